//! The arena that is interrupted: how it is laid out, and short ways to use it.
//!
//! Places are named by their offset from the window's start. Accesses are probes: nothing that Rust knows of is in the
//! window, nor in its guards.

use kernel_arena::{
    Access, AllocRequest, ArenaPtr, Context, Fault, FreeError, InstructionAddr, KernelAddr, Owner, PAGE_SIZE,
    PageCount, PageIndex, ReserveError, SlotState, Violation, WINDOW_SIZE,
};
use support::{PHYSICAL_MAP, probe_read_u64, probe_write_u64};

use crate::bench::KernelArena;
use crate::check::{Checked, equal};

/// Bytes of a page.
pub(crate) const PAGE: u64 = PAGE_SIZE;
/// The offset behind the window's last byte, where the upper guard is.
pub(crate) const END: u64 = WINDOW_SIZE;
/// Bytes of a region outside the extent.
pub(crate) const REGION: u64 = 2 << 20;

/// The first page of every arena here; those before it are in leaf tables, but nobody's.
pub(crate) const FIRST: u32 = 16;
/// Where operations that name their pages have them: across the border of two words of the bitmaps.
pub(crate) const STAGE: u32 = 127;
/// From this page on handlers take pages for themselves; below, only what is allocated anywhere.
pub(crate) const FRESH: u32 = 256;

/// Whose pages the interrupted operations are about.
pub(crate) const OURS: Owner = Owner::Kernel;

/// The offset of a page.
pub(crate) fn page(number: u32) -> u64 {
    u64::from(number) * PAGE
}

/// So many pages.
pub(crate) fn count(number: u32) -> PageCount {
    PageCount::new(number).expect("no more pages than the window has")
}

/// The pointer to a page.
pub(crate) fn pointer(number: u32) -> ArenaPtr {
    PageIndex::new(number).and_then(PageIndex::to_ptr).expect("a page of the window")
}

/// A request for pages, anywhere.
pub(crate) fn pages(number: u32, context: Context) -> AllocRequest {
    AllocRequest::new(count(number), OURS).in_context(context)
}

/// An arena, registered.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) arena: &'a KernelArena,
}

impl Site<'_> {
    /// The address at an offset, which may be negative, in two's complement.
    pub(crate) fn address(&self, offset: u64) -> KernelAddr {
        KernelAddr::new(self.arena.layout().base().value().wrapping_add(offset))
    }

    /// A store there, as a fault.
    pub(crate) fn fault(&self, offset: u64) -> Fault {
        Fault { address: self.address(offset), access: Access::Write, instruction: InstructionAddr::new(0x5_7e95) }
    }

    /// Reads eight bytes.
    pub(crate) fn read(&self, offset: u64) -> Option<u64> {
        // SAFETY: nothing that Rust knows of is in the window.
        unsafe { probe_read_u64(self.address(offset).value()) }
    }

    /// Writes eight bytes; whether they were written.
    pub(crate) fn write(&self, offset: u64, value: u64) -> bool {
        // SAFETY: nothing that Rust knows of is in the window.
        unsafe { probe_write_u64(self.address(offset).value(), value) }
    }

    /// Frees pages at once.
    pub(crate) fn free(&self, first: u32, number: u32) -> Result<(), FreeError> {
        self.arena.free_pages(pointer(first), count(number), OURS)
    }

    /// Queues pages to be freed.
    pub(crate) fn defer(&self, first: u32, number: u32) -> Result<(), FreeError> {
        self.arena.free_pages_deferred(pointer(first), count(number), OURS)
    }

    /// Sets pages aside.
    pub(crate) fn reserve(&self, first: u32, number: u32) -> Result<(), ReserveError> {
        self.arena.reserve_pages(pointer(first), count(number), OURS)
    }

    /// Allocates these pages and writes into each.
    pub(crate) fn alloc_at(&self, first: u32, number: u32) -> Checked {
        self.arena.alloc_pages(pages(number, Context::MayWait).exactly_at(pointer(first)))?;
        for number in first..first + number {
            equal("written", self.write(page(number), 0xdead), true)?;
        }
        Ok(())
    }

    /// What a page's slot says.
    pub(crate) fn state(&self, number: u32) -> SlotState {
        let page = PageIndex::new(number).expect("a page of the window");
        self.arena.page_state(page).expect("a page of the extent")
    }

    /// Empties the record of violations.
    pub(crate) fn drain(&self) -> Option<Violation> {
        core::iter::from_fn(|| self.arena.take_violation()).last()
    }

    /// Checks that pages were handed out as promised: zeroed, and that what is written through their addresses arrives in
    /// their frames, whatever the TLB may have remembered of these addresses.
    pub(crate) fn are_new(&self, first: u32, number: u32) -> Checked {
        for number in first..first + number {
            let SlotState::Mapped(frame, OURS) = self.state(number) else {
                return equal("pages are mapped, first not", number, 0);
            };
            let dirty = (0..PAGE).step_by(8).find(|byte| self.read(page(number) + byte) != Some(0));
            equal("first byte that is not zero", dirty, None)?;
            let mark = 0x6d61_726b_0000 | u64::from(number);
            equal("written", self.write(page(number) + 8, mark), true)?;
            // SAFETY: the map of physical memory has it, and it is the arena's, whose memory Rust does not know.
            let arrived = unsafe { probe_read_u64(PHYSICAL_MAP + frame.address() + 8) };
            equal("what arrived in the frame", arrived, Some(mark))?;
        }
        Ok(())
    }
}
