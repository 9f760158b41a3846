//! The heap of an arena: its pages for objects, its platform's frames for bookkeeping.

use super::{Heap, InitError};
use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::platform::{Platform, ReversibleMap};
use crate::slab::Mode;
use crate::source::{ArenaPages, FrameMetadata};

/// The heap of a private arena, for a static: `static HEAP: ArenaHeap<MyKernel> = ArenaHeap::new();`, and
/// [`HEAP.start(arena)`](Heap::start) once there is an arena. An example is at [`Heap`].
pub type ArenaHeap<P, A = Native> = Heap<ArenaPages<'static, P, A>, FrameMetadata<'static, P>>;

impl<'a, P: Platform, A: Arch> Heap<ArenaPages<'a, P, A>, FrameMetadata<'a, P>>
where
    P::PhysMap: ReversibleMap,
{
    /// Gives the heap the pages of a [private](crate::ArenaLayout::private) arena, and the frames of its platform for
    /// bookkeeping, in [`Mode::Fast`].
    ///
    /// It may be used in any context, so it waits for nothing: pages that it has given back, or keeps for speed, come back by
    /// [`reclaim`](Self::reclaim) alone. Until somebody calls that an allocation may be refused though little is live: of 16 MiB
    /// the seventeenth block of 1 MiB, where each was freed before the next was taken. A kernel whose shootdown may be called
    /// wherever it allocates wants [`start_waiting`](Self::start_waiting) instead.
    ///
    /// Context: *any* in which the frame source may be called. Who comes while another is at it is refused, not kept waiting.
    ///
    /// # Errors
    /// [`InitError`]; the heap is as it was.
    pub fn start(&self, arena: &'a Arena<P, A>) -> Result<(), InitError> {
        self.start_in(Mode::Fast, arena)
    }

    /// The same in another mode: in [`Mode::Debug`] mistakes of those who use the heap are recorded as violations of the
    /// arena.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_in(&self, mode: Mode, arena: &'a Arena<P, A>) -> Result<(), InitError> {
        self.start_on(ArenaPages::new(arena), mode)
    }

    /// The same, in [`Mode::Fast`], for a heap that is used only where a [shootdown](crate::platform::Shootdown) may be waited for.
    /// An allocation that finds no page gives up what is kept for speed, has the arena [reclaim](Arena::reclaim), and looks
    /// again: it is refused only if there is no room. It takes that much longer then, and as much stack as `reclaim`.
    ///
    /// With [`LocalShootdown`](crate::arch::x86_64::tlb::LocalShootdown) and
    /// [`BroadcastShootdown`](crate::arch::aarch64::BroadcastShootdown), which wait for no other CPU, that is wherever
    /// [`start`](Self::start)'s may be used.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_waiting(&self, arena: &'a Arena<P, A>) -> Result<(), InitError> {
        self.start_waiting_in(Mode::Fast, arena)
    }

    /// The same in another mode, as [`start_in`](Self::start_in).
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_waiting_in(&self, mode: Mode, arena: &'a Arena<P, A>) -> Result<(), InitError> {
        self.start_on(ArenaPages::new(arena).waiting(), mode)
    }

    fn start_on(&self, pages: ArenaPages<'a, P, A>, mode: Mode) -> Result<(), InitError> {
        Ok(self.init(pages, FrameMetadata::new(pages.arena().platform()), mode)?)
    }
}
