//! The parts of the kernel's page tables that are lent to arenas.
//!
//! A window hangs on four consecutive 1 GiB entries of one table: 4 GiB of addresses, aligned to
//! 4 GiB. What lies before it is not mapped (the lower guard); behind it the next 1 GiB entry
//! leads to a directory of the kernel's, whose first 2 MiB entry is lent too, for the upper
//! guard. All of them are empty until somebody fills them, and the kernel never touches them.
//!
//! Above the lent entries nothing grants access from user mode, nor execution: on x86_64 all
//! windows hang below one entry of the root that forbids both; on aarch64 the four entries are in
//! the root itself, and whoever fills them forbids it there.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::KernelAddr;
use kernel_arena::platform::UpperSlots;

use crate::arch::tables::{GUARD_DIRECTORIES, WINDOW_TABLE, WINDOW_TABLE_BASE};
use crate::layout::{FIRST_WINDOW_ENTRY, WINDOW_COUNT, WINDOW_STRIDE};

const GIB: u64 = 1 << 30;

/// Which windows are lent.
static LENT: [AtomicBool; WINDOW_COUNT] = [const { AtomicBool::new(false) }; WINDOW_COUNT];

/// A window, lent: holding one proves that nobody else holds the same.
///
/// Dropping it gives the window back, if all its entries are empty again; a window that was left
/// with tables in it is never lent again.
#[derive(Debug)]
pub struct Window {
    index: usize,
}

impl Window {
    /// Lends the lowest window that is free.
    pub(crate) fn lend() -> Option<Self> {
        (0..WINDOW_COUNT).find(|&index| !LENT[index].swap(true, Ordering::Acquire)).map(|index| Self { index })
    }

    /// Its first address.
    #[must_use]
    pub fn base(&self) -> KernelAddr {
        KernelAddr::new(WINDOW_TABLE_BASE + self.first_entry() as u64 * GIB)
    }

    /// What the five lent entries hold: four for the window, then the guard's. All zero where no arena is.
    #[must_use]
    pub fn entries(&self) -> [u64; 5] {
        let [first, second, third, fourth] = self.gib_entries();
        [first, second, third, fourth, self.guard()].map(|entry| entry.load(Ordering::Relaxed))
    }

    fn gib_entries(&self) -> [&'static AtomicU64; 4] {
        core::array::from_fn(|gib| &WINDOW_TABLE[self.first_entry() + gib])
    }

    fn guard(&self) -> &'static AtomicU64 {
        &GUARD_DIRECTORIES[self.index][0]
    }

    fn first_entry(&self) -> usize {
        FIRST_WINDOW_ENTRY + self.index * WINDOW_STRIDE
    }
}

impl UpperSlots for Window {
    fn window_base(&self) -> KernelAddr {
        self.base()
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        self.gib_entries()
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        self.guard()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if self.entries() == [0; 5] {
            LENT[self.index].store(false, Ordering::Release);
        }
    }
}
