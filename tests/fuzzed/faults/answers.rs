//! What becomes of a fault, by what the pages were before it.

use std::collections::BTreeSet;

use kernel_arena::arch::{MODEL_STOPPED, MODEL_TRY};
use kernel_arena::views::{FaultPolicy, ProgramAccess, ProgramFault, ProgramFaultOutcome, Refusal, View, ViewRights};
use kernel_arena::{
    Access, AllocRequest, Fault, FaultOutcome, GUARD_SIZE, Owner, PageCount, PageIndex, SlotState, ViolationKind,
    WINDOW_PAGES, WINDOW_SIZE,
};

use super::{ARENAS, Act, PAGES, VIEWS};
use crate::machine::{Format, Lent, Machine};

/// What each page of an extent is.
type States = [SlotState; PAGES as usize];

pub(super) struct World<F: Format> {
    m: Machine<F>,
    views: [Option<View<Lent>>; VIEWS.len()],
    bases: [u64; VIEWS.len()],
    ids: [kernel_arena::views::ViewId; VIEWS.len()],
    /// Of each arena, what holds scratch and is in no extent.
    scratched: [BTreeSet<Place>; ARENAS],
}

/// What has no page ever: a page's slot, or a region of 2 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(u64),
    Region(u64),
}

impl Place {
    fn of(page: u64) -> Self {
        // The extent is in the first table; the guard has slots of its own.
        if page < 512 || page >= WINDOW_PAGES.into() { Self::Slot(page) } else { Self::Region(page / 512) }
    }
}

impl<F: Format> World<F> {
    pub(super) fn new(m: Machine<F>) -> Self {
        let views = VIEWS.map(|(arena, rights, policy)| {
            m.attach(arena, m.lend(arena, 1), rights, policy).expect("there is room for a view")
        });
        let bases = views.each_ref().map(|view| view.base().address().value());
        let ids = views.each_ref().map(View::id);
        Self { m, views: views.map(Some), bases, ids, scratched: Default::default() }
    }

    /// Where windows and views start.
    pub(super) fn bases(&self) -> ([u64; ARENAS], [u64; VIEWS.len()]) {
        (std::array::from_fn(|arena| self.m.arena_at(arena).layout().base().value()), self.bases)
    }

    fn states(&self) -> [States; ARENAS] {
        let state = |arena, page: u32| self.m.arena_at(arena).page_state(PageIndex::new(page).unwrap()).unwrap();
        std::array::from_fn(|arena| {
            std::array::from_fn(|page| self.m.quietly(|| state(arena, u32::try_from(page).unwrap() + 1)))
        })
    }

    /// The page of an extent that this is, by its place there.
    fn in_extent(page: u64) -> Option<usize> {
        usize::try_from(page.checked_sub(1)?).ok().filter(|place| *place < PAGES as usize)
    }

    /// A fault of the kernel's, on its way through the registry.
    pub(super) fn kernels(&mut self, fault: Fault) {
        let (mut states, windows) = (self.states(), self.bases().0);
        let offsets = windows.map(|base| fault.address.value().wrapping_sub(base));
        let ours = offsets.iter().position(|offset| *offset < WINDOW_SIZE + GUARD_SIZE);
        let mut expected = FaultOutcome::NotOurs;
        if let Some(arena) = ours {
            let page = offsets[arena] >> 12;
            let (is_absent, is_hole) = match Self::in_extent(page).map(|place| states[arena][place]) {
                Some(SlotState::Vacant | SlotState::Vacated(_) | SlotState::Reserved(_)) => (true, true),
                Some(SlotState::Scratch | SlotState::ScratchOverReserved(_)) => (false, true),
                Some(_) => (false, false),
                None => (!self.scratched[arena].contains(&Place::of(page)), true),
            };
            expected = match fault.instruction == MODEL_TRY {
                true if is_hole => FaultOutcome::Resume(MODEL_STOPPED),
                false if is_absent => FaultOutcome::Recovered,
                _ => FaultOutcome::Spurious,
            };
            if expected == FaultOutcome::Recovered {
                match Self::in_extent(page).map(|place| &mut states[arena][place]) {
                    Some(state) => *state = scratched(*state),
                    None => _ = self.scratched[arena].insert(Place::of(page)),
                }
            }
        }
        assert_eq!(self.m.cpu(0).raise(&fault), expected, "{fault:?}");
        assert_eq!(self.states(), states, "{fault:?}");
        for arena in 0..ARENAS {
            let recorded = self.m.arena_at(arena).take_violation();
            let is_new = expected == FaultOutcome::Recovered && ours == Some(arena);
            assert_eq!(recorded.is_some(), is_new, "{fault:?}: {recorded:?}");
            if let Some(recorded) = recorded {
                let kind = if fault.access == Access::Read { ViolationKind::Read } else { ViolationKind::Write };
                assert_eq!((recorded.address, recorded.kind), (fault.address, kind));
                assert_eq!(recorded.instruction, fault.instruction);
            }
        }
    }

    /// A program's fault, in this view.
    pub(super) fn programs(&mut self, number: usize, fault: ProgramFault) {
        let (arena, rights, policy) = VIEWS[number];
        let mut states = self.states();
        let offset = fault.address.value().wrapping_sub(self.bases[number]);
        let refused = ProgramFaultOutcome::Refused;
        let mut given = None;
        let expected = match Self::in_extent(offset >> 12) {
            _ if offset >= WINDOW_SIZE || self.views[number].is_none() => ProgramFaultOutcome::NotOurs,
            _ if fault.access == ProgramAccess::Execute => refused(Refusal::NotExecutable),
            _ if fault.access == ProgramAccess::Write && rights == ViewRights::ReadOnly => {
                refused(Refusal::ReadOnlyView)
            }
            None => refused(Refusal::OutsideExtent),
            Some(place) => match states[arena][place] {
                SlotState::Mapped(_, Owner::Kernel) | SlotState::Deferred(_, Owner::Kernel) => {
                    refused(Refusal::KernelPage)
                }
                SlotState::Mapped(..) | SlotState::Deferred(..) => ProgramFaultOutcome::Retry,
                SlotState::Reserved(_) | SlotState::ScratchOverReserved(_) => refused(Refusal::Reserved),
                SlotState::Scratch => refused(Refusal::Scratched),
                _ if policy == FaultPolicy::Segv => refused(Refusal::Policy),
                _ => {
                    given = Some(place);
                    ProgramFaultOutcome::PageGiven
                }
            },
        };
        assert_eq!(self.m.arena_at(arena).handle_program_fault(self.ids[number], &fault), expected, "{fault:?}");
        let after = self.states();
        if let Some(place) = given {
            assert!(matches!(after[arena][place], SlotState::Mapped(_, Owner::Program)), "{fault:?}");
            states[arena][place] = after[arena][place];
        }
        assert_eq!(after, states, "{fault:?}");
    }

    /// What happens beside faults.
    pub(super) fn change(&mut self, act: Act) {
        let before = self.states();
        let at = |page| PageIndex::new(page).and_then(PageIndex::to_ptr).unwrap();
        let (arena, page, changed) = match act {
            Act::Alloc { arena, page, owner } => {
                let request = AllocRequest::new(PageCount::ONE, owner).exactly_at(at(page));
                (arena, page, self.m.arena_at(arena).alloc_pages(request).is_ok())
            }
            Act::Free { arena, page, owner, deferred: false } => {
                (arena, page, self.m.arena_at(arena).free_pages(at(page), PageCount::ONE, owner).is_ok())
            }
            Act::Free { arena, page, owner, deferred: true } => {
                (arena, page, self.m.arena_at(arena).free_pages_deferred(at(page), PageCount::ONE, owner).is_ok())
            }
            Act::Reserve { arena, page } => {
                let owner = Owner::Program;
                (arena, page, self.m.arena_at(arena).reserve_pages(at(page), PageCount::ONE, owner).is_ok())
            }
            Act::Reclaim { arena } => {
                self.m.arena_at(arena).reclaim();
                self.scratched[arena].clear();
                let unclean = |state: &SlotState| matches!(state, SlotState::Scratch | SlotState::Deferred(..));
                assert!(!self.states()[arena].iter().any(unclean));
                return;
            }
            Act::Detach { view } => {
                if let Some(token) = self.views[view].take() {
                    self.m.detach(VIEWS[view].0, token).expect("its own arena's");
                }
                return;
            }
            Act::Kernel(_) | Act::Program { .. } => unreachable!("those are faults"),
        };
        // What was refused has changed nothing, and what was done one page.
        let (mut after, place) = (self.states(), page as usize - 1);
        if changed {
            after[arena][place] = before[arena][place];
        }
        assert_eq!(after, before, "{act:?}");
        while self.m.arena_at(arena).take_violation().is_some() {}
    }

    pub(super) fn finish(self) {
        let Self { m, views, .. } = self;
        for (view, (arena, ..)) in views.into_iter().zip(VIEWS).filter_map(|(view, of)| Some((view?, of))) {
            m.detach(arena, view).expect("its own arena's");
        }
        m.finish();
    }
}

fn scratched(state: SlotState) -> SlotState {
    match state {
        SlotState::Reserved(owner) => SlotState::ScratchOverReserved(owner),
        _ => SlotState::Scratch,
    }
}
