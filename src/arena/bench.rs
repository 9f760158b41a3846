//! The slots of an arena without the rest of it, for the benches of this repository.
//!
//! It is there with the feature `_bench` alone, and is no part of the API: any version may change it. What is measured is what
//! the operations use, `Arena::put_mapped` and `Arena::take_mapped` behind the same walk. What an operation does around them is
//! left out: the claim of the number, the frame source, the barrier, the shootdown.

use core::fmt;

use super::Arena;
use super::slots::claimed::Claimed;
use crate::addr::{PageIndex, PageRange};
use crate::arch::{Arch, Native};
use crate::platform::{Frame, Platform};
use crate::slot::{Owner, SlotState};

/// Pages that are claimed, in whose slots nothing is.
///
/// ```
/// use kernel_arena::{Arena, Owner, PageIndex, bench::Slots, platform::Frame};
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// # use kernel::{LAYOUT, MyKernel};
/// # let arena = Arena::<MyKernel>::new(MyKernel::boot(), LAYOUT, Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()))).unwrap();
/// let (pages, frame) = (arena.layout().extent(), Frame::new(0x1000).unwrap());
/// let slots = Slots::claim(&arena, pages).unwrap();
/// assert!(Slots::claim(&arena, pages).is_none()); // all are claimed
///
/// // SAFETY: the page is claimed, and nothing walks these tables.
/// let mut install = || unsafe { slots.install(pages.first(), frame, Owner::Kernel) };
/// assert!(install() && !install());
/// assert!(arena.page_state(pages.first()).is_some_and(|state| state.is_present()));
///
/// // SAFETY: as above.
/// let mut take = |owner| unsafe { slots.take(pages.first(), owner) };
/// assert_eq!((take(Owner::Program), take(Owner::Kernel), take(Owner::Kernel)), (None, Some(frame), None));
/// drop(slots);
/// assert_eq!(arena.stats().claimed_pages, 0);
/// ```
pub struct Slots<'a, P: Platform, A: Arch = Native> {
    arena: &'a Arena<P, A>,
    claimed: Claimed<'a>,
}

impl<'a, P: Platform, A: Arch> Slots<'a, P, A> {
    /// Claims these pages, until it is dropped. `None` if not all of them are there to be claimed.
    #[must_use]
    pub fn claim(arena: &'a Arena<P, A>, pages: PageRange) -> Option<Self> {
        if !arena.in_extent(pages) {
            return None;
        }
        arena.maps.claim(pages).ok()?;
        Some(Self { arena, claimed: Claimed::new(&arena.maps, pages) })
    }

    /// Installs a page: whether its slot was vacant.
    ///
    /// # Safety
    /// - The page is one of those that are claimed, and taken out again before they are given up.
    /// - The frame is the caller's until then, and no allocator's; a processor that walks the tables may reach it.
    #[inline(always)]
    pub unsafe fn install(&self, page: PageIndex, frame: Frame, owner: Owner) -> bool {
        let slot = self.arena.slot(page.number());
        slot.is_some_and(|slot| self.arena.put_mapped(slot, frame, owner))
    }

    /// Takes a page of `owner`'s out again: its frame, or `None` if it was not there.
    ///
    /// # Safety
    /// - The page is one of those that are claimed.
    /// - Nobody has reached it by way of the window: no TLB is flushed.
    #[inline(always)]
    pub unsafe fn take(&self, page: PageIndex, owner: Owner) -> Option<Frame> {
        let slot = self.arena.slot(page.number())?;
        self.arena.take_mapped(slot, owner, |_| self.arena.codec.encode(SlotState::Vacated(self.arena.next_tag())))
    }
}

impl<P: Platform, A: Arch> fmt::Debug for Slots<'_, P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("pages", &self.claimed.pages()).finish_non_exhaustive()
    }
}
