//! The memory that programs work on: the window of an arena, by numbers.
//!
//! A trait, so that the runner can be tried on a plain model; what a kernel uses is the implementation for
//! [`Memory`], the typed access of an arena, in the flavour that stops at a hole.

use core::sync::atomic::{Ordering, fence};

use kernel_arena::access::{Accessor, Atomic, AtomicValue, Hole, Memory, TryCopyError, Width};
use kernel_arena::arch::Arch;
use kernel_arena::{ArenaPtr, Platform, ProgramHole};

/// How a word is changed by an atomic that reads and writes. The new value depends on the old one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// Adds, and wraps.
    Add(T),
    /// Or, bit by bit.
    Or(T),
    /// And, bit by bit.
    And(T),
    /// Exclusive or, bit by bit.
    Xor(T),
    /// Puts this there.
    Exchange(T),
    /// Puts `new` there if `current` is.
    CompareExchange {
        /// What must be there.
        current: T,
        /// What then is put there.
        new: T,
    },
}

/// The window of an arena. Offsets are those of the window's start, and 0 is a hole; an access may end in the upper guard.
///
/// An answer of `None` says that there is no page: nothing was accessed there. (A store across two pages, of which only the first
/// is there, may have changed that one.)
pub trait Window {
    /// Loads at an offset, zero-extended; `None` if there is no page.
    fn load(&self, at: u32, width: Width) -> Option<u64>;

    /// Stores the low bytes; `None` if there is no page.
    fn store(&self, at: u32, width: Width, value: u64) -> Option<()>;

    /// A load that comes before all accesses behind it. The offset is a multiple of the width.
    fn load_acquire(&self, at: u32, width: Width) -> Option<u64>;

    /// A store that comes after all accesses before it. The offset is a multiple of the width.
    fn store_release(&self, at: u32, width: Width, value: u64) -> Option<()>;

    /// Changes four bytes at a multiple of four, sequentially consistent; what was there before.
    fn change32(&self, at: u32, change: Change<u32>) -> Option<u32>;

    /// Changes eight bytes at a multiple of eight, sequentially consistent; what was there before.
    fn change64(&self, at: u32, change: Change<u64>) -> Option<u64>;

    /// Copies bytes into the window, up to a hole: how many are there then.
    fn write(&self, at: u32, bytes: &[u8]) -> usize;

    /// Takes note of an access that found no page, which the runner does once for each; an arena
    /// [records](kernel_arena::Arena::record_hole) it.
    fn missed(&self, hole: &ProgramHole);
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

    fn load_acquire(&self, at: u32, width: Width) -> Option<u64> {
        match width {
            Width::One | Width::Two => {
                let loaded = Window::load(self, at, width);
                // What was loaded in one piece, and then a fence: what is behind it comes after the load.
                fence(Ordering::Acquire);
                loaded
            }
            Width::Four => self.atomic(ArenaPtr::<u32>::new(at)?).ok()?.try_load(Ordering::Acquire).ok().map(u64::from),
            Width::Eight => self.atomic(ArenaPtr::<u64>::new(at)?).ok()?.try_load(Ordering::Acquire).ok(),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bytes are what is stored")]
    fn store_release(&self, at: u32, width: Width, value: u64) -> Option<()> {
        match width {
            Width::One | Width::Two => {
                // What is before it comes before the store, which is in one piece.
                fence(Ordering::Release);
                Window::store(self, at, width, value)
            }
            Width::Four => self.atomic(ArenaPtr::<u32>::new(at)?).ok()?.try_store(value as u32, Ordering::Release).ok(),
            Width::Eight => self.atomic(ArenaPtr::<u64>::new(at)?).ok()?.try_store(value, Ordering::Release).ok(),
        }
    }

    fn change32(&self, at: u32, change: Change<u32>) -> Option<u32> {
        made(&self.atomic(ArenaPtr::new(at)?).ok()?, change).ok()
    }

    fn change64(&self, at: u32, change: Change<u64>) -> Option<u64> {
        made(&self.atomic(ArenaPtr::new(at)?).ok()?, change).ok()
    }

    fn write(&self, at: u32, bytes: &[u8]) -> usize {
        let Some(to) = ArenaPtr::<u8>::new(at) else { return 0 };
        match self.try_copy_out(to, bytes) {
            Ok(()) => bytes.len(),
            Err(TryCopyError::Hole { copied, .. }) => copied,
            Err(_) => 0,
        }
    }

    fn missed(&self, hole: &ProgramHole) {
        self.arena().record_hole(hole);
    }
}

/// Makes a change; what was there before.
fn made<T: AtomicValue, P: Platform, A: Arch, M: Accessor>(
    word: &Atomic<'_, T, P, A, M>,
    change: Change<T>,
) -> Result<T, Hole> {
    let order = Ordering::SeqCst;
    match change {
        Change::Add(value) => word.try_fetch_add(value, order),
        Change::Or(value) => word.try_fetch_or(value, order),
        Change::And(value) => word.try_fetch_and(value, order),
        Change::Xor(value) => word.try_fetch_xor(value, order),
        Change::Exchange(value) => word.try_swap(value, order),
        Change::CompareExchange { current, new } => {
            word.try_compare_exchange(current, new, order, order).map(|seen| seen.unwrap_or_else(|other| other))
        }
    }
}
