//! A claim's own arena, with short ways to use it well and badly.
//!
//! Places are named by their offset from the window's start, negative below it. Accesses are probes, each one machine
//! instruction: what is declined gives nothing instead of ending the kernel. They are safe because nothing that Rust knows
//! of is in any window, nor between windows: pages are reached by these functions alone, never by a reference.

use alloc::format;
use core::fmt::Debug;

use kernel_arena::{
    AllocRequest, ArenaPtr, FreeError, GUARD_SIZE, KernelAddr, Owner, PAGE_SIZE, PageCount, PageIndex, PageRange,
    ReserveError, SlotState, Violation, WINDOW_SIZE,
};
use support::{probe_read_u8, probe_read_u32, probe_read_u64, probe_write_u8, probe_write_u32, probe_write_u64};

use crate::bench::{Bench, KernelArena};
use crate::check::{Checked, Failure, equal, holds};
use crate::fault::Faults;

/// Bytes of a page.
pub(crate) const PAGE: i64 = PAGE_SIZE.cast_signed();
/// The offset behind the window's last byte.
pub(crate) const END: i64 = WINDOW_SIZE.cast_signed();
/// Bytes of a guard.
pub(crate) const GUARD: i64 = GUARD_SIZE.cast_signed();

/// The offset of a page.
pub(crate) fn page(number: u32) -> i64 {
    i64::from(number) * PAGE
}

/// The page with this number.
pub(crate) fn index(number: u32) -> PageIndex {
    PageIndex::new(number).expect("a page of the window")
}

/// So many pages.
pub(crate) fn count(number: u32) -> PageCount {
    PageCount::new(number).expect("no more pages than the window has")
}

/// The pointer to a page.
pub(crate) fn pointer(number: u32) -> ArenaPtr {
    index(number).to_ptr().expect("not page 0")
}

/// So many pages for the kernel, anywhere.
pub(crate) fn pages(number: u32) -> AllocRequest {
    AllocRequest::new(count(number), Owner::Kernel)
}

/// What a claim is tried on.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) arena: &'a KernelArena,
}

impl Site<'_> {
    /// The address at an offset from the window's start, which may be in a guard or a little beyond.
    pub(crate) fn address(&self, offset: i64) -> KernelAddr {
        assert!((-2 * GUARD..END + 2 * GUARD).contains(&offset), "{offset:#x} is not around the window");
        KernelAddr::new(self.arena.layout().base().value().wrapping_add_signed(offset))
    }

    /// Reads eight bytes.
    pub(crate) fn read(&self, offset: i64) -> Option<u64> {
        // SAFETY: nothing that Rust knows of is around the window.
        unsafe { probe_read_u64(self.address(offset).value()) }
    }

    /// Reads four bytes.
    pub(crate) fn read_u32(&self, offset: i64) -> Option<u32> {
        // SAFETY: nothing that Rust knows of is around the window.
        unsafe { probe_read_u32(self.address(offset).value()) }
    }

    /// Reads one byte.
    pub(crate) fn read_u8(&self, offset: i64) -> Option<u8> {
        // SAFETY: nothing that Rust knows of is around the window.
        unsafe { probe_read_u8(self.address(offset).value()) }
    }

    /// Writes eight bytes; whether they were written.
    pub(crate) fn write(&self, offset: i64, value: u64) -> bool {
        // SAFETY: nothing that Rust knows of is around the window.
        unsafe { probe_write_u64(self.address(offset).value(), value) }
    }

    /// Writes four bytes; whether they were written.
    pub(crate) fn write_u32(&self, offset: i64, value: u32) -> bool {
        // SAFETY: nothing that Rust knows of is around the window.
        unsafe { probe_write_u32(self.address(offset).value(), value) }
    }

    /// Writes one byte; whether it was written.
    pub(crate) fn write_u8(&self, offset: i64, value: u8) -> bool {
        // SAFETY: nothing that Rust knows of is around the window.
        unsafe { probe_write_u8(self.address(offset).value(), value) }
    }

    /// Does something and checks what it gives and which faults it causes.
    pub(crate) fn expect<T: PartialEq + Debug>(
        &self,
        what: &str,
        action: impl FnOnce(&Self) -> T,
        result: T,
        faults: Faults,
    ) -> Checked {
        let before = Faults::so_far();
        let found = action(self);
        let caused = Faults::so_far().since(before);
        equal(what, (found, caused), (result, faults))
    }

    /// Reads eight bytes, which must be `value`, with these faults.
    pub(crate) fn reads(&self, offset: i64, value: u64, faults: Faults) -> Checked {
        self.expect(&format!("read at {offset:#x}"), |site| site.read(offset), Some(value), faults)
    }

    /// Writes eight bytes, which must work, with these faults.
    pub(crate) fn writes(&self, offset: i64, value: u64, faults: Faults) -> Checked {
        self.expect(&format!("write at {offset:#x}"), |site| site.write(offset, value), true, faults)
    }

    /// Allocates pages for the kernel, anywhere.
    pub(crate) fn alloc(&self, number: u32) -> Result<PageRange, Failure> {
        Ok(self.arena.alloc_pages(pages(number))?)
    }

    /// Allocates pages for the kernel from this one on.
    pub(crate) fn alloc_at(&self, first: u32, number: u32) -> Checked {
        let got = self.arena.alloc_pages(pages(number).exactly_at(pointer(first)))?;
        equal("pages at an exact place", (got.first(), got.count()), (index(first), count(number)))
    }

    /// Frees pages of the kernel.
    pub(crate) fn free(&self, first: u32, number: u32) -> Result<(), FreeError> {
        self.arena.free_pages(pointer(first), count(number), Owner::Kernel)
    }

    /// Queues pages of the kernel to be freed.
    pub(crate) fn defer(&self, first: u32, number: u32) -> Result<(), FreeError> {
        self.arena.free_pages_deferred(pointer(first), count(number), Owner::Kernel)
    }

    /// Reserves pages for the kernel.
    pub(crate) fn reserve(&self, first: u32, number: u32) -> Result<(), ReserveError> {
        self.arena.reserve_pages(pointer(first), count(number), Owner::Kernel)
    }

    /// What a page's slot says.
    pub(crate) fn state(&self, number: u32) -> Option<SlotState> {
        self.arena.page_state(index(number))
    }

    /// Takes the next violation, which there must be.
    pub(crate) fn violation(&self) -> Result<Violation, Failure> {
        self.arena.take_violation().ok_or_else(|| Failure::new("no violation was recorded"))
    }

    /// Checks that no violation is left in the record.
    pub(crate) fn no_violation(&self) -> Checked {
        equal("another violation", self.arena.take_violation(), None)
    }

    /// Checks how many violations there have been.
    pub(crate) fn violations(&self, number: u64) -> Checked {
        equal("violations so far", self.arena.stats().violations, number)
    }

    /// Checks that all words of pages hold `value`, without a fault.
    pub(crate) fn all_words_are(&self, pages: PageRange, value: u64) -> Checked {
        let before = Faults::so_far();
        let start = page(pages.first().number());
        let end = start + pages.count().bytes().cast_signed();
        let wrong = (start..end).step_by(8).find(|offset| self.read(*offset) != Some(value));
        holds(&format!("all words of {pages:?} are {value:#x}, not so at {wrong:x?}"), wrong.is_none())?;
        equal("faults", Faults::so_far().since(before), Faults::NONE)
    }

    /// Fills pages with `value`.
    pub(crate) fn fill(&self, pages: PageRange, value: u64) -> Checked {
        let start = page(pages.first().number());
        let end = start + pages.count().bytes().cast_signed();
        holds("all words were written", (start..end).step_by(8).all(|offset| self.write(offset, value)))
    }
}
