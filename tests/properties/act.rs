//! From a task to calls of the arena: what a target means now, and doing it.

use kernel_arena::{
    AllocError, AllocRequest, Context, CreateError, FreeError, Owner, PageCount, PageRange, Reclaimed, ReserveError,
    Violation, VirtAddr,
};

use super::model::{Model, WORDS};
use super::run::{Action, Range, Request, Run};
use super::tasks::{Flaw, Kind, Op, Target, Task, Via, When, Whose};
use super::world::{Oracle, View, World, pointer};
use crate::machine::{Declined, Format, Machine, count};

/// What an operation said.
#[derive(Debug)]
pub(super) enum Outcome {
    Alloc(Result<PageRange, AllocError>),
    Free(Result<(), FreeError>),
    Reserve(Result<(), ReserveError>),
    Reclaim(Reclaimed),
    /// What was read, or written.
    Accessed(Result<u64, Declined>),
    Drained(Vec<Violation>),
    Created(Result<(), CreateError>),
    Done,
}

impl Oracle {
    /// What a task means in the present state of things and in this context.
    pub(super) fn look_up(&mut self, task: &Task) -> Action {
        let arena = task.arena.min(self.models.len() - 1);
        let outer = self.runs.last();
        // An interrupt does not wait for a shootdown on the CPU that it has interrupted.
        let may_wait = outer.is_none_or(|outer| outer.on != task.cpu);
        let outer = outer.filter(|outer| outer.arena == arena);
        let model = &self.models[arena];
        let find = |target| find(model, outer, target);
        match task.op {
            Op::Alloc { count, align, exactly, owner, context } => {
                let context = if may_wait { context } else { Context::Any };
                let exactly = exactly.map(|target| find(target).0);
                let count = fitting(model, exactly.unwrap_or(model.first), count);
                let exactly = exactly.map(start_of);
                // A program asks for no alignment.
                let upper_half = task.upper_half.filter(|_| owner == Owner::Program && align == 1);
                Action::Alloc(Request { count, align, exactly, owner, context, upper_half })
            }
            Op::Free { target, count, whose, when, flaw } => {
                let (page, most) = find(target);
                let owner = match whose {
                    Whose::Owner => model.owner_of(page).unwrap_or(Owner::Program),
                    Whose::Not(owner) => owner,
                };
                let range = flawed(model, page, fitting(model, page, count).min(most), flaw);
                let when = if may_wait { when } else { When::Deferred };
                let upper_half = task.upper_half.filter(|_| owner == Owner::Program);
                Action::Free { range, owner, when, upper_half }
            }
            Op::Reserve { target, count, owner, flaw } => {
                let (page, _) = find(target);
                let upper_half = task.upper_half.filter(|_| owner == Owner::Program);
                Action::Reserve { range: flawed(model, page, count, flaw), owner, upper_half }
            }
            Op::Reclaim if may_wait => Action::Reclaim,
            Op::Reclaim => self.look_up(&Task {
                op: Op::Access { target: Target::Interrupted(1), word: 0, kind: Kind::Write, via: Via::Kernel },
                ..*task
            }),
            Op::Access { target, word, kind, via } => {
                let page = find(target).0;
                let in_program_view = matches!(via, Via::Program | Via::KernelInProgramView);
                let view = self.view_of(arena).filter(|_| in_program_view && page < 1 << 20);
                if in_program_view && view.is_none() {
                    return Action::Nothing;
                }
                Action::Access { page, word, kind, via, view, value: self.new_value() }
            }
            Op::Drain(count) => Action::Drain(count),
            Op::Flood(count) => Action::Flood(count),
            Op::Create if self.models.len() == 1 && self.runs.is_empty() => Action::Create,
            Op::Attach { rights, policy } if self.views.len() < 3 => Action::Attach { rights, policy },
            Op::Detach if !self.views.is_empty() && may_wait => Action::Detach,
            _ => Action::Nothing,
        }
    }

    fn view_of(&self, arena: usize) -> Option<View> {
        self.views.iter().rfind(|view| view.arena == arena).copied()
    }
}

/// A page, and how many there are of its kind from there on.
fn find(model: &Model, outer: Option<&Run>, target: Target) -> (u32, u32) {
    let some = |number: u32| (model.first + number % model.count, u32::MAX);
    match target {
        Target::Page(number) => some(number),
        Target::Elsewhere(number) => (model.elsewhere()[number as usize % model.elsewhere().len()], u32::MAX),
        Target::Owned(number) => {
            let runs = model.owned_runs();
            match runs.get(number as usize % runs.len().max(1)) {
                Some((page, count, _)) => (*page, *count),
                None => some(number),
            }
        }
        Target::Interrupted(number) => match outer.map(|outer| outer.action) {
            Some(Action::Free { range, .. } | Action::Reserve { range, .. }) => {
                some((range.offset >> 12).wrapping_sub(model.first).wrapping_add(number))
            }
            Some(Action::Alloc(Request { exactly: Some(offset), .. })) => {
                some((offset >> 12).wrapping_sub(model.first).wrapping_add(number))
            }
            Some(Action::Access { page, .. }) => (page, u32::MAX),
            // An allocation takes the lowest, so it is about here.
            Some(Action::Alloc(_)) => {
                let free = model.extent().filter(|(_, at)| at.seen.state == super::model::State::Free);
                free.map(|(page, _)| (page, u32::MAX)).nth(number as usize).unwrap_or_else(|| some(number))
            }
            _ => some(number),
        },
    }
}

/// As many pages as the extent has from there on; what does not fit is tried only now and then. In a large extent more than a
/// few means about a batch (64 pages).
fn fitting(model: &Model, page: u32, count: u32) -> u32 {
    let room = (model.first + model.count).saturating_sub(page);
    let count = if model.count > 100 && (4..60).contains(&count) { 60 + count % 9 } else { count };
    match (count, room) {
        (0 | 69, _) | (_, 0) => count,
        _ if count <= room => count,
        _ => 1 + count % room.min(3),
    }
}

fn flawed(model: &Model, page: u32, count: u32, flaw: Flaw) -> Range {
    match flaw {
        Flaw::None => Range { offset: start_of(page), count: fitting(model, page, count) },
        Flaw::Misaligned => Range { offset: page << 12 | 8, count },
        Flaw::Outside => Range { offset: (model.first + model.count - 1) << 12, count: count.max(2) },
    }
}

/// The offset of a page, in 32 bits. Where that is 0, which has no pointer, page 1's.
fn start_of(page: u32) -> u32 {
    (page << 12).max(1 << 12)
}

/// Does it.
pub(super) fn act<F: Format>(m: &Machine<F>, world: &World, cpu: usize, arena: usize, action: Action) -> Outcome {
    let it = m.arena_at(arena);
    match action {
        Action::Alloc(request) => Outcome::Alloc(match request.upper_half {
            Some(upper) => {
                let at = number(upper, request.exactly.unwrap_or(0));
                it.alloc_for_program(at, request.count.into(), request.context)
            }
            None => it.alloc_pages(to_request(request)),
        }),
        Action::Free { range, owner, when, upper_half } => {
            let (at, pages) = (pointer(range.offset), count(range.count));
            Outcome::Free(match (upper_half, when) {
                (Some(upper), When::Now) => {
                    it.free_for_program(number(upper, range.offset), range.count.into(), Context::MayWait)
                }
                (Some(upper), When::Deferred) => {
                    it.free_for_program(number(upper, range.offset), range.count.into(), Context::Any)
                }
                (None, When::Now) => it.free_pages(at, pages, owner),
                (None, When::Deferred) => it.free_pages_deferred(at, pages, owner),
            })
        }
        Action::Reserve { range, owner, upper_half } => Outcome::Reserve(match upper_half {
            Some(upper) => it.reserve_for_program(number(upper, range.offset), range.count.into()).map(|reserved| {
                assert_eq!((reserved.to_ptr().offset(), reserved.count().get()), (range.offset, range.count));
            }),
            None => it.reserve_pages(pointer(range.offset), count(range.count), owner),
        }),
        Action::Reclaim => Outcome::Reclaim(it.reclaim()),
        Action::Access { page, word, kind, via, view, value } => {
            Outcome::Accessed(access(m, cpu, arena, (page, word), kind, via, view, value))
        }
        Action::Drain(most) => {
            Outcome::Drained(std::iter::from_fn(|| it.take_violation()).take(most as usize).collect())
        }
        Action::Flood(frees) => {
            for _ in 0..frees {
                let refused = it.free_pages_deferred(pointer(1), count(1), Owner::Program);
                assert_eq!(refused, Err(FreeError::Misaligned));
                world.oracle.borrow_mut().refused_free(1);
            }
            Outcome::Done
        }
        Action::Create => Outcome::Created(m.create_arena().map(drop)),
        Action::Attach { rights, policy } => {
            world.attach(m, arena, u16::try_from(cpu).unwrap(), rights, policy);
            Outcome::Done
        }
        Action::Detach => {
            let view = world.oracle.borrow_mut().views.remove(0);
            m.detach_view(view.base);
            Outcome::Done
        }
        Action::Nothing => Outcome::Done,
    }
}

/// As a program passes it.
fn number(upper_half: u32, offset: u32) -> u64 {
    u64::from(upper_half) << 32 | u64::from(offset)
}

fn to_request(request: Request) -> AllocRequest {
    let pages = AllocRequest::new(count(request.count), request.owner).in_context(request.context);
    match request.exactly {
        Some(offset) => pages.exactly_at(pointer(offset)),
        None => pages.aligned(PageCount::new(request.align).unwrap()),
    }
}

#[expect(clippy::too_many_arguments, reason = "an access is all of these")]
fn access<F: Format>(
    m: &Machine<F>,
    cpu: usize,
    arena: usize,
    (page, word): (u32, usize),
    kind: Kind,
    via: Via,
    view: Option<View>,
    value: u64,
) -> Result<u64, Declined> {
    let kernel =
        VirtAddr::new(m.arena_at(arena).layout().base().value() + (u64::from(page) << 12) + u64::from(WORDS[word]));
    let on = m.cpu(cpu);
    let program = || {
        let view = view.expect("looked up before");
        m.cpu(cpu).switch_to(view.tag);
        VirtAddr::new(view.base.address().value() + (u64::from(page) << 12) + u64::from(WORDS[word]))
    };
    let (on, address) = match via {
        Via::Kernel => (on, kernel),
        Via::UserInKernelView => (on.user(), kernel),
        Via::Program => (on.user(), program()),
        Via::KernelInProgramView => (on, program()),
    };
    match kind {
        Kind::Read => on.read_u64(address),
        Kind::Write => on.write_u64(address, value).map(|()| value),
    }
}
