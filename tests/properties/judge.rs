//! What an operation may say when it returns, given the map as it was when it started and what it did.
//!
//! If nobody touched what it looked at, that is one answer, but for two things that no one can see from outside: which old
//! marks are left (`may_be_marked`), and which numbers an interrupted operation holds (`hidden`). If others did come between,
//! the answer must still fit what it did, and must not deny what was there all along (I9).

use std::collections::BTreeSet;

use kernel_arena::platform::CpuId;
use kernel_arena::{AllocError, Context, PageIndex, PageRange, Reclaimable};

use super::model::{Model, Page, Pages, State, lowest_run};
use super::run::{Range, Request, Run};
use super::tasks::Trouble;

/// What a judgement is based on, beside the operation itself.
pub(super) struct Bench<'a> {
    pub(super) run: &'a Run,
    pub(super) model: &'a Model,
    /// Numbers that an interrupted operation may hold.
    pub(super) hidden: BTreeSet<u32>,
    /// Deferred pages that may not be in the queue.
    pub(super) unqueued: BTreeSet<u32>,
    /// Whether the frame source may have been short of frames for a reason other than this operation.
    pub(super) frames_unsure: bool,
}

pub(super) fn is_free(at: &Page) -> bool {
    at.seen.state == State::Free
}

pub(super) fn page_of(index: PageIndex) -> u32 {
    index.number()
}

impl Bench<'_> {
    pub(super) fn start(&self) -> &Pages {
        &self.run.start
    }

    pub(super) fn at(&self, page: u32) -> &Page {
        &self.run.start[&page]
    }

    pub(super) fn in_extent(&self, range: Range) -> bool {
        range.pages().start >= self.model.first && range.pages().end <= self.model.first + self.model.count
    }

    /// Whether the page was so at the start, or may have been since.
    pub(super) fn was(&self, page: PageIndex, so: impl Fn(&Page) -> bool) -> bool {
        so(self.at(page_of(page))) || self.run.touched.contains(&page_of(page))
    }

    pub(super) fn alloc(&self, request: Request, result: Result<PageRange, AllocError>) {
        let effects = &self.run.effects;
        let malformed = self.malformed(request);
        if !malformed.is_empty() {
            assert!(result.is_err_and(|error| malformed.contains(&error)), "{request:?}: {result:?}");
            assert!(effects.are_none());
            return;
        }
        match result {
            Ok(pages) => {
                let got: BTreeSet<u32> = pages.pages().map(page_of).collect();
                let first = page_of(pages.first());
                assert_eq!(got.len(), request.count as usize);
                assert!(request.exactly.is_some() || first % request.align == 0, "{request:?}: {pages:?}");
                assert!(request.exactly.is_none_or(|offset| offset >> 12 == first), "{request:?}: {pages:?}");
                // A free by others may have taken some of them, or some that it gave up before.
                let missing: BTreeSet<u32> = got.difference(&effects.mapped).copied().collect();
                assert!(effects.mapped.is_subset(&got), "{pages:?}, and it mapped {:?}", effects.mapped);
                assert!(missing.is_subset(&effects.stolen), "{pages:?}, and it did not map {missing:?}");
                assert!(self.frames_may_do(request.count), "more frames than there are");
                if self.run.touched.is_empty() {
                    assert!(effects.gave_up.is_empty() && effects.healed.is_subset(&got));
                    self.placement(request, first);
                }
            }
            Err(error) => {
                assert!(effects.mapped.is_empty(), "{error:?} and {:?} mapped", effects.mapped);
                assert!(effects.are_none() || self.run.scratched_by_others);
                self.refusal(request, error);
            }
        }
    }

    fn malformed(&self, request: Request) -> Vec<AllocError> {
        let mut errors = Vec::new();
        if request.count == 0 {
            errors.push(AllocError::ZeroPages);
        }
        if let Some(offset) = request.exactly {
            if offset % 4096 != 0 {
                errors.push(AllocError::Misaligned);
            }
            if !self.in_extent(Range { offset, count: request.count }) {
                errors.push(AllocError::Outside);
            }
        } else {
            let (first, end) = (self.model.first, self.model.first + self.model.count);
            if !request.align.is_power_of_two() {
                errors.push(AllocError::BadAlignment);
            }
            // With no page of that alignment, too, or too few from there on.
            if first.next_multiple_of(request.align.max(1)) + request.count > end {
                errors.push(AllocError::Outside);
            }
        }
        errors
    }

    /// Surely to be had, without waiting, from start to end.
    fn sure(&self) -> impl Fn(u32, &Page) -> bool {
        |page, at| is_free(at) && !at.may_be_marked && !self.hidden.contains(&page) && !self.run.touched.contains(&page)
    }

    /// The lowest fit, if need be from the CPU's own place on, and scratch only if there is nothing else.
    fn placement(&self, request: Request, first: u32) {
        let scratch = (first..first + request.count).any(|page| self.at(page).seen.scratch);
        assert!((first..first + request.count).all(|page| is_free(self.at(page))));
        assert!(!scratch || request.context == Context::MayWait);
        if request.exactly.is_some() {
            return;
        }
        let own_place = self.run.cpu.map(CpuId::number).filter(|cpu| self.model.moved.contains(cpu));
        let own_place = own_place.map(|cpu| self.model.own_place(cpu));
        let lowest_of = |free: &dyn Fn(u32, &Page) -> bool| {
            let from = |place| {
                let above = |page, at: &Page| page >= place && free(page, at);
                lowest_run(self.start(), request.count, request.align, above)
            };
            own_place.and_then(from).or_else(|| from(0))
        };
        if let Some(lowest) = lowest_of(&self.sure()) {
            assert!(first <= lowest, "{request:?} got page {first}, and {lowest} is free");
            assert!(!scratch, "{request:?} took scratch at {first}, and {lowest} is free");
        } else if scratch {
            let free = |page, at: &Page| is_free(at) && !self.hidden.contains(&page);
            let lowest = lowest_of(&free);
            assert!(lowest.is_none_or(|lowest| first <= lowest), "{request:?} got page {first}, {lowest:?} is free");
        }
    }

    fn refusal(&self, request: Request, error: AllocError) {
        let wrong = || -> ! { panic!("{request:?}: {error:?}, hidden {:?}, {:#?}", self.hidden, self.start()) };
        let undisturbed = self.run.touched.is_empty();
        let (count, align) = (request.count, request.align);
        let waits = request.context == Context::MayWait;
        let run_of = |free: &dyn Fn(u32, &Page) -> bool| lowest_run(self.start(), count, align, free).is_some();
        let named = |page: PageIndex| {
            let range = Range { offset: request.exactly.unwrap_or_else(|| wrong()), count };
            range.pages().contains(&page_of(page))
        };
        let below = |page: PageIndex, so: &dyn Fn(&Page) -> bool| {
            let first = request.exactly.unwrap_or_else(|| wrong()) >> 12;
            (first..page_of(page)).any(|page| so(self.at(page)))
        };
        match error {
            AllocError::OutOfFrames => {
                if !self.frames_may_fail(count) {
                    wrong();
                }
            }
            AllocError::NoSpace(reclaimable) => {
                // Free pages that somebody holds are in passing state: with them it would be `Busy`.
                let any = run_of(&|_, at| is_free(at) && (waits || !at.may_be_marked));
                if request.exactly.is_some() || run_of(&self.sure()) || undisturbed && any {
                    wrong();
                }
                self.reclaimable(reclaimable);
            }
            AllocError::Busy(reclaimable) => {
                let passing = |page: u32, at: &Page| match is_free(at) {
                    true => self.hidden.contains(&page),
                    false => self.unqueued.contains(&page),
                };
                let available = |page: u32, at: &Page| passing(page, at) || is_free(at) && (waits || !at.seen.scratch);
                let right = match request.exactly {
                    Some(offset) => Range { offset, count }.pages().any(|page| passing(page, self.at(page))),
                    None => {
                        let without = run_of(&|page, at| is_free(at) && !passing(page, at) && waits);
                        run_of(&available) && !without && self.start().iter().any(|(page, at)| passing(*page, at))
                    }
                };
                let denied = request.exactly.is_none() && run_of(&self.sure());
                if denied || undisturbed && !right {
                    wrong();
                }
                self.reclaimable(reclaimable);
            }
            AllocError::Taken { page } => {
                let lower = undisturbed && below(page, &|at| !is_free(at));
                if !named(page) || !self.was(page, |at| !is_free(at)) || lower {
                    wrong();
                }
            }
            AllocError::Tainted { page } => {
                let scratch = |at: &Page| is_free(at) && at.seen.scratch;
                let lower = undisturbed && below(page, &scratch);
                if !named(page) || request.context != Context::Any || !self.was(page, scratch) || lower {
                    wrong();
                }
            }
            _ => wrong(),
        }
    }

    fn frames_may_do(&self, count: u32) -> bool {
        match self.run.trouble {
            _ if self.frames_unsure || !self.run.touched.is_empty() => true,
            Trouble::None => true,
            Trouble::FailAt(n) | Trouble::Left(n) => n >= count,
        }
    }

    fn frames_may_fail(&self, count: u32) -> bool {
        match self.run.trouble {
            Trouble::None => false,
            _ if self.frames_unsure || !self.run.touched.is_empty() => true,
            Trouble::FailAt(n) | Trouble::Left(n) => n < count,
        }
    }

    fn reclaimable(&self, said: Reclaimable) {
        if !self.run.touched.is_empty() {
            return;
        }
        let extent = || self.start().iter();
        let deferred = |sure: bool| {
            extent()
                .filter(|(page, at)| {
                    matches!(at.seen.state, State::Deferred(_)) && !(sure && self.unqueued.contains(page))
                })
                .count()
        };
        let sure = extent().filter(|(page, at)| is_free(at) && at.seen.scratch && !self.hidden.contains(page)).count();
        let at_most = extent().filter(|(_, at)| is_free(at) && at.may_be_marked).count();
        assert!((deferred(true)..=deferred(false)).contains(&(said.deferred as usize)), "{said}");
        assert!((sure..=at_most).contains(&(said.tainted as usize)), "{said}: not {sure} to {at_most}");
    }
}
