//! The memory that programs work on: the window of an arena, by numbers.
//!
//! A trait, so that the runner can be tried on a plain model; what a kernel uses is the implementation for
//! [`Memory`], the typed access of an arena, in the flavour that stops at a hole.

use kernel_arena::access::{Accessor, Memory, TryCopyError, Width};
use kernel_arena::arch::Arch;
use kernel_arena::{ArenaPtr, Platform};

/// Whether an access reads or writes. A change (an atomic that reads and writes) counts as a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A load, or a load-acquire.
    Read,
    /// A store, a store-release, or a change.
    Write,
}

/// An access that found no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The index of the instruction in its program.
    pub instruction: u32,
    /// Where, from the start of the window: -32768 (in the lower guard) to 4 GiB + 32766 (in the upper one).
    pub offset: i64,
    /// What was asked for.
    pub direction: Direction,
    /// How many bytes.
    pub width: Width,
}

/// The window of an arena. Offsets are those of the window's start; an access may end in the upper guard.
pub trait Window {
    /// Loads at an offset, zero-extended; `None` if there is no page.
    fn load(&self, at: u32, width: Width) -> Option<u64>;

    /// Stores the low bytes; `None` if there is no page.
    fn store(&self, at: u32, width: Width, value: u64) -> Option<()>;

    /// Copies bytes into the window, up to a hole: how many are there then.
    fn write(&self, at: u32, bytes: &[u8]) -> usize;
}

impl<P: Platform, A: Arch, M: Accessor> Window for Memory<'_, P, A, M> {
    #[inline]
    fn load(&self, at: u32, width: Width) -> Option<u64> {
        let at = ArenaPtr::<u8>::new(at)?;
        match width {
            Width::One => self.try_load(at).map(u64::from),
            Width::Two => self.try_load(at.cast::<u16>()).map(u64::from),
            Width::Four => self.try_load(at.cast::<u32>()).map(u64::from),
            Width::Eight => self.try_load(at.cast::<u64>()),
        }
        .ok()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bytes are what is stored")]
    #[inline]
    fn store(&self, at: u32, width: Width, value: u64) -> Option<()> {
        let at = ArenaPtr::<u8>::new(at)?;
        match width {
            Width::One => self.try_store(at, &(value as u8)),
            Width::Two => self.try_store(at.cast(), &(value as u16)),
            Width::Four => self.try_store(at.cast(), &(value as u32)),
            Width::Eight => self.try_store(at.cast(), &value),
        }
        .ok()
    }

    fn write(&self, at: u32, bytes: &[u8]) -> usize {
        let Some(to) = ArenaPtr::<u8>::new(at) else { return 0 };
        match self.try_copy_out(to, bytes) {
            Ok(()) => bytes.len(),
            Err(TryCopyError::Hole { copied, .. }) => copied,
            Err(_) => 0,
        }
    }
}
