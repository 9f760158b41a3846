//! An operation that is going on: what was asked for, and what it has done so far.
//!
//! While an operation is interrupted nobody can say what it is going to do next; but each change of a page can be put down to
//! whoever ran since the last look, and each operation may make some changes only (the transitions S1 to S6 of
//! `docs/MODEL.md`). This file has that table. What an operation says when it returns is compared with what it did elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use kernel_arena::platform::CpuId;
use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{Context, Owner, ProgramId};

use super::model::{Class, Page, Pages, Seen, State, Words};
use super::tasks::{Kind, Trouble, Via, When};
use super::world::View;

/// A task with everything looked up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Alloc(Request),
    Free { range: Range, owner: Owner, when: When, upper_half: Option<u32> },
    Reserve { range: Range, owner: Owner, upper_half: Option<u32> },
    Reclaim,
    Access { page: u32, word: usize, kind: Kind, via: Via, view: Option<View>, value: u64 },
    Drain(u32),
    Flood(u32),
    Create,
    Attach { rights: ViewRights, policy: FaultPolicy },
    Detach,
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) count: u32,
    pub(super) align: u32,
    pub(super) exactly: Option<u32>,
    pub(super) owner: Owner,
    pub(super) context: Context,
    /// Of a program's number, if it is a program that asks.
    pub(super) upper_half: Option<u32>,
}

/// A range as a caller names it, right or wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) offset: u32,
    pub(super) count: u32,
}

impl Range {
    pub(super) fn pages(self) -> std::ops::Range<u32> {
        self.offset >> 12..(self.offset >> 12) + self.count
    }
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) action: Action,
    pub(super) arena: usize,
    /// The CPU that it runs on, and what the kernel says about that.
    pub(super) on: usize,
    pub(super) cpu: Option<CpuId>,
    pub(super) program: Option<ProgramId>,
    pub(super) trouble: Trouble,
    /// The arena as it was.
    pub(super) start: Pages,
    pub(super) effects: Effects,
    /// What others did meanwhile.
    pub(super) touched: BTreeSet<u32>,
    pub(super) scratched_by_others: bool,
    pub(super) interrupted: bool,
    /// Pages that this operation took away and may not have flushed yet: a CPU may still reach what was there.
    pub(super) ghosts: BTreeMap<u32, Ghost>,
    /// Pages whose number this operation may hold, of those that it has changed.
    pub(super) changed: BTreeSet<u32>,
}

/// What a CPU may still reach where there is nothing any more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ghost {
    /// A page that held this.
    pub(super) words: Option<Words>,
    pub(super) scratch: bool,
}

#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) mapped: BTreeSet<u32>,
    /// Mapped or reserved, and then somebody else's free came before they were handed out.
    pub(super) stolen: BTreeSet<u32>,
    pub(super) gave_up: BTreeSet<u32>,
    /// Freed from scratch by an allocation, to be mapped.
    pub(super) healed: BTreeSet<u32>,
    pub(super) reserved: BTreeSet<u32>,
    /// Queued.
    pub(super) deferred: BTreeSet<u32>,
    pub(super) freed: u32,
    pub(super) healed_pages: u32,
    pub(super) healed_regions: u32,
    pub(super) scratched: u32,
}

impl Effects {
    pub(super) fn are_none(&self) -> bool {
        let sets = [&self.mapped, &self.stolen, &self.gave_up, &self.healed, &self.reserved, &self.deferred];
        let counts = [self.freed, self.healed_pages, self.healed_regions, self.scratched];
        sets.iter().all(|set| set.is_empty()) && counts.iter().all(|count| *count == 0)
    }
}

impl Run {
    /// Notes that this operation has changed a page; panics if it is none that it may change, or not so.
    pub(super) fn changes(&mut self, page: u32, class: Class, was: &Page, now: Seen) {
        let allowed = self.transition(page, class, was.seen, now);
        assert!(allowed, "{:?} made page {page} go from {:?} to {now:?}", self.action, was.seen);
        self.changed.insert(page);
        if was.seen.has_page() && !now.has_page() {
            self.ghosts.entry(page).or_default().words = Some(was.words);
        } else if was.seen.scratch && !now.scratch && !now.has_page() {
            self.ghosts.entry(page).or_default().scratch = true;
        }
    }

    fn transition(&mut self, page: u32, class: Class, was: Seen, now: Seen) -> bool {
        use State::*;
        let same_scratch = was.scratch == now.scratch;
        let effects = &mut self.effects;
        match self.action {
            // S1
            Action::Access { page: accessed, via: Via::Kernel, .. } => {
                effects.scratched += 1;
                let absent = matches!(was.state, Free | Reserved(_) | Elsewhere);
                page == accessed && absent && was.state == now.state && !was.scratch && now.scratch
            }
            // S2, of a page that a lazy view gives.
            Action::Access { page: accessed, via: Via::Program, kind, view: Some(view), .. } => {
                effects.mapped.insert(page);
                let given = view.policy == FaultPolicy::Lazy && (kind == Kind::Read || view.is_writable());
                page == accessed && given && was.state == Free && !was.scratch && now.state == Mapped(Owner::Program)
            }
            Action::Alloc(request) => {
                let named = request.exactly.is_none_or(|offset| {
                    let range = Range { offset, count: request.count };
                    range.pages().contains(&page)
                });
                let owner = request.owner;
                named
                    && match (was.state, now.state) {
                        // S2, after S3 if need be
                        (Free, Mapped(theirs)) => {
                            effects.mapped.insert(page);
                            theirs == owner && (!was.scratch || request.context == Context::MayWait)
                        }
                        // S3, and S2 only after a while, or never
                        (Free, Free) => {
                            effects.healed.insert(page);
                            was.scratch && !now.scratch && request.context == Context::MayWait
                        }
                        // S2 and S5, or S5 of what was mapped before
                        (Free, Deferred(theirs)) => {
                            effects.gave_up.insert(page);
                            theirs == owner && self.scratched_by_others
                        }
                        (Mapped(of), Deferred(theirs)) => {
                            let own = effects.mapped.remove(&page) || effects.stolen.contains(&page);
                            effects.gave_up.insert(page);
                            own && of == owner && theirs == owner && was.frame == now.frame && self.scratched_by_others
                        }
                        _ => false,
                    }
            }
            // S4
            Action::Free { range, owner, when: When::Now, .. } => {
                effects.freed += 1;
                let own = was.state == Mapped(owner) || was.state == Reserved(owner);
                range.pages().contains(&page) && own && now == Seen::without_page(Free, false)
            }
            // S5, S6
            Action::Free { range, owner, when: When::Deferred, .. } => {
                let fits = match was.state {
                    Mapped(theirs) => {
                        effects.deferred.insert(page);
                        theirs == owner && now.state == Deferred(owner) && was.frame == now.frame
                    }
                    Reserved(theirs) => {
                        effects.freed += 1;
                        theirs == owner && now.state == Free && same_scratch
                    }
                    _ => false,
                };
                range.pages().contains(&page) && fits
            }
            Action::Reserve { range, owner, .. } => {
                effects.reserved.insert(page);
                range.pages().contains(&page) && was.state == Free && now.state == Reserved(owner) && same_scratch
            }
            // S4 and S3
            Action::Reclaim => match (was.state, now.state, class) {
                (Deferred(_), Free, _) => {
                    effects.freed += 1;
                    !now.scratch
                }
                (Free, Free, _) | (Elsewhere, Elsewhere, Class::Slot) => {
                    effects.healed_pages += 1;
                    was.scratch && !now.scratch
                }
                (Elsewhere, Elsewhere, Class::Region) => {
                    effects.healed_regions += 1;
                    was.scratch && !now.scratch
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Notes that another operation has changed a page in the middle of this one.
    pub(super) fn other_changed(&mut self, page: u32, was: Seen, now: Seen) {
        self.touched.insert(page);
        self.scratched_by_others |= !was.scratch && now.scratch;
        if was.state != now.state && (self.effects.mapped.remove(&page) || self.effects.reserved.remove(&page)) {
            self.effects.stolen.insert(page);
        }
        if now.has_page() {
            self.ghosts.remove(&page);
        }
    }

    /// Pages whose numbers this operation may have claimed although their slots say that they are nobody's.
    pub(super) fn may_hold(&self, pages: &Pages) -> BTreeSet<u32> {
        let range = match self.action {
            Action::Alloc(Request { exactly: Some(offset), count, .. }) => Range { offset, count },
            Action::Alloc(_) => return pages.keys().copied().collect(),
            Action::Free { range, .. } | Action::Reserve { range, .. } => range,
            Action::Reclaim => {
                let marked = pages.iter().filter(|(_, at)| at.may_be_marked).map(|(page, _)| *page);
                return marked.chain(self.changed.iter().copied()).collect();
            }
            Action::Access { page, view: Some(view), .. } if view.policy == FaultPolicy::Lazy => {
                return [page].into();
            }
            _ => return BTreeSet::new(),
        };
        range.pages().collect()
    }

    /// Deferred pages that this operation may have, or have not yet put, in the queue.
    pub(super) fn may_hold_queued(&self, page: u32) -> bool {
        match self.action {
            Action::Reclaim => true,
            Action::Free { .. } => self.effects.deferred.contains(&page),
            _ => false,
        }
    }
}
