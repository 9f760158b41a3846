//! Pages, on a program's behalf: what is done is done to pages that were the program's or nobody's, and what is refused to none.

use kernel_arena::{AllocError, Context, Owner, SlotState};

use super::PAGES;
use super::world::World;
use crate::machine::Format;

fn is_vacant(state: &SlotState) -> bool {
    matches!(state, SlotState::Vacant | SlotState::Vacated(_))
}

fn is_programs(state: &SlotState) -> bool {
    matches!(state, SlotState::Mapped(_, Owner::Program) | SlotState::Reserved(Owner::Program))
        || *state == SlotState::ScratchOverReserved(Owner::Program)
}

/// The places in the extent that a program names, if it names any: from the low half of the address on.
fn named(at: u64, pages: u64) -> Option<std::ops::Range<usize>> {
    let (offset, first) = (at & 0xffff_ffff, (at & 0xffff_ffff) >> 12);
    let fits = offset % 4096 == 0
        && first >= 1
        && pages >= 1
        && pages <= u64::from(PAGES) + 1 - first.min(u64::from(PAGES) + 1);
    fits.then(|| usize::try_from(first - 1).unwrap()..usize::try_from(first - 1 + pages).unwrap())
}

impl<F: Format> World<'_, F> {
    pub(super) fn alloc(&self, at: u64, pages: u64, context: Context) {
        let before = self.states();
        let allocated = self.m.arena().alloc_for_program(at, pages, context);
        let mut after = self.states();
        match allocated {
            Ok(range) => {
                let first = u64::from(range.to_ptr().offset());
                assert!(at & 0xffff_ffff == 0 || first == at & 0xffff_ffff);
                let places = named(first, pages).expect("pages of the extent");
                for place in places {
                    let was_free =
                        is_vacant(&before[place]) || before[place] == SlotState::Scratch && context == Context::MayWait;
                    assert!(was_free, "{:?}", before[place]);
                    assert!(matches!(after[place], SlotState::Mapped(_, Owner::Program)), "{:?}", after[place]);
                    after[place] = before[place];
                }
            }
            Err(AllocError::Outside | AllocError::Misaligned | AllocError::ZeroPages) => {
                assert!(at & 0xffff_ffff == 0 || named(at, pages).is_none());
            }
            Err(_) => {}
        }
        assert_eq!(after, before, "{allocated:?}");
    }

    pub(super) fn free(&self, at: u64, pages: u64, context: Context) {
        let (before, violations) = (self.states(), self.m.arena().stats().violations);
        let freed = self.m.arena().free_for_program(at, pages, context);
        let mut after = self.states();
        let places = named(at, pages);
        let may = places.clone().is_some_and(|mut places| places.all(|place| is_programs(&before[place])));
        assert_eq!(freed.is_ok(), may, "{freed:?} of {before:?}");
        for place in places.filter(|_| may).into_iter().flatten() {
            assert!(!is_programs(&after[place]), "{:?}", after[place]);
            after[place] = before[place];
        }
        assert_eq!(after, before, "{freed:?}");
        let recorded = self.m.arena().stats().violations - violations;
        assert_eq!(recorded, u64::from(!may), "what is refused is recorded");
    }

    pub(super) fn reserve(&self, at: u64, pages: u64) {
        let before = self.states();
        let reserved = self.m.arena().reserve_for_program(at, pages);
        let mut after = self.states();
        let free = |place: usize| is_vacant(&before[place]) || before[place] == SlotState::Scratch;
        let may = named(at, pages).is_some_and(|mut places| places.all(free));
        assert_eq!(reserved.is_ok(), may, "{reserved:?} of {before:?}");
        for place in named(at, pages).filter(|_| may).into_iter().flatten() {
            let is_reserved = |state| {
                matches!(state, SlotState::Reserved(Owner::Program) | SlotState::ScratchOverReserved(Owner::Program))
            };
            assert!(is_reserved(after[place]), "{:?}", after[place]);
            after[place] = before[place];
        }
        assert_eq!(after, before, "{reserved:?}");
    }
}
