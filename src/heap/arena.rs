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
        Ok(self.init(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), mode)?)
    }
}
