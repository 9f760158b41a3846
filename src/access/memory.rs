//! The handle, and what all accesses share: where a pointer leads, and whether a page that is there holds scratch.

use core::fmt;

use super::{Accessor, Hole, LeavesWindow, PrivateArena, Processor};
use crate::addr::{ArenaPtr, GUARD_SIZE, KernelAddr, PAGE_SIZE, WINDOW_SIZE};
use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::layout::Sharing;
use crate::platform::Platform;

/// Access to what is in the window of a shared arena.
///
/// Plain accesses go anywhere in window and upper guard, and see or change the scratch page where there is no page; those that
/// are called `try_` say [`Hole`]. Context: *any*, for all of them.
pub struct Memory<'a, P: Platform, A: Arch = Native, M = Processor> {
    arena: &'a Arena<P, A>,
    /// Of the window: here, so that a loop has it in a register.
    base: u64,
    pub(super) accessor: M,
}

impl<P: Platform> Arena<P> {
    /// Typed access to the window, by this processor. The kernel's page-fault handler must ask the arena
    /// ([`handle_kernel_fault`](Self::handle_kernel_fault)) and heed [`Resume`](crate::FaultOutcome::Resume). Context: *any*.
    ///
    /// # Errors
    /// [`PrivateArena`]: of such an arena's memory the kernel may hold references.
    pub fn memory(&self) -> Result<Memory<'_, P>, PrivateArena> {
        self.memory_by(Processor)
    }
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// The same, by somebody else: a model of a processor. Context: *any*.
    ///
    /// # Errors
    /// As [`memory`](Arena::memory).
    pub fn memory_by<M: Accessor>(&self, accessor: M) -> Result<Memory<'_, P, A, M>, PrivateArena> {
        match self.layout().sharing() {
            Sharing::Shared => Ok(Memory { arena: self, base: self.layout().base().value(), accessor }),
            Sharing::Private => Err(PrivateArena),
        }
    }
}

impl<'a, P: Platform, A: Arch, M: Accessor> Memory<'a, P, A, M> {
    /// Whose memory it is.
    pub const fn arena(&self) -> &'a Arena<P, A> {
        self.arena
    }

    /// Where `bytes` from a pointer on lie, as an offset, if all are in window and guard.
    #[inline]
    pub(super) fn reach<T>(ptr: ArenaPtr<T>, bytes: usize) -> Result<u64, LeavesWindow> {
        let (offset, bytes) = (ptr.offset(), bytes as u64);
        if bytes <= WINDOW_SIZE + GUARD_SIZE - u64::from(offset) {
            Ok(offset.into())
        } else {
            Err(LeavesWindow { offset, bytes })
        }
    }

    /// The kernel's address of an offset in window or guard.
    #[inline]
    pub(super) fn address(&self, offset: u64) -> KernelAddr {
        KernelAddr::new(self.base + offset)
    }

    /// Whether an access that stops must look at the page before, and not only at its own fault.
    #[inline(always)]
    pub(super) fn must_look(&self) -> bool {
        !M::STOPS || self.arena.may_hold_scratch()
    }

    /// Says so if one of the pages of at most two, that `bytes` from `offset` on lie in, is none to an access that stops.
    #[inline(always)]
    pub(super) fn look(&self, offset: u64, bytes: usize) -> Result<(), Hole> {
        if self.must_look() { self.look_closely(offset, bytes) } else { Ok(()) }
    }

    #[cold]
    fn look_closely(&self, offset: u64, bytes: usize) -> Result<(), Hole> {
        self.look_at(offset)?;
        let in_page = offset % PAGE_SIZE + bytes as u64;
        if in_page > PAGE_SIZE { self.look_at(offset - offset % PAGE_SIZE + PAGE_SIZE) } else { Ok(()) }
    }

    #[inline(always)]
    fn look_at(&self, offset: u64) -> Result<(), Hole> {
        let is_none = if M::STOPS { self.arena.holds_scratch(offset) } else { self.arena.is_hole(offset) };
        if is_none { Err(Hole { address: self.address(offset) }) } else { Ok(()) }
    }

    /// Where an access stopped that had at most two pages: in the first, unless that is there.
    #[cold]
    pub(super) fn hole(&self, offset: u64, bytes: usize) -> Hole {
        let last = (offset + (bytes as u64).saturating_sub(1)) / PAGE_SIZE * PAGE_SIZE;
        let first = last <= offset || self.arena.is_hole(offset);
        Hole { address: self.address(if first { offset } else { last }) }
    }
}

// Not derived: a derive would ask the same of `P` and `A`.
impl<P: Platform, A: Arch, M: Clone> Clone for Memory<'_, P, A, M> {
    fn clone(&self) -> Self {
        Self { arena: self.arena, base: self.base, accessor: self.accessor.clone() }
    }
}
impl<P: Platform, A: Arch, M: Copy> Copy for Memory<'_, P, A, M> {}

impl<P: Platform, A: Arch, M> fmt::Debug for Memory<'_, P, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("arena", self.arena).finish_non_exhaustive()
    }
}
