//! Typed access to shared windows, on the software machine: each flavour on each kind of page, at both ends of the window, of
//! each size; and against a plain model of bytes.

mod atomics;
mod copies;
mod flavours;
mod model;
mod pieces;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod process;
mod slices;

use kernel_arena::access::Hole;
use kernel_arena::{AllocRequest, ArenaPtr, KernelAddr, Owner, PageCount};

use crate::machine::{Format, Machine};

/// The extent of these tests: pages 16 to 79, so that the leaf table reaches beyond it on both sides.
const FIRST: u32 = 16;

fn machine<F: Format>() -> Machine<F> {
    Machine::builder().extent(FIRST, 64).build()
}

/// The pointer to an offset that is not null.
fn at<T>(offset: u32) -> ArenaPtr<T> {
    ArenaPtr::new(offset).expect("an offset that is not 0")
}

/// The offset of a byte of a page.
const fn byte(page: u32, byte: u32) -> u32 {
    page * 0x1000 + byte
}

/// Allocates a page, by number.
fn alloc<F: Format>(m: &Machine<F>, page: u32) {
    let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at(byte(page, 0)));
    m.arena().alloc_pages(request).expect("the page is free");
}

/// A hole, by offset from the window's start.
fn hole<F: Format>(m: &Machine<F>, offset: u64) -> Hole {
    let base = m.arena().layout().base().value();
    Hole { address: KernelAddr::new(base + offset) }
}

/// Nothing is left of the accesses so far: no violation, no scratch, no mark.
fn nothing_is_left<F: Format>(m: &Machine<F>) {
    let stats = m.arena().stats();
    assert_eq!((stats.violations, stats.tainted_pages, stats.tainted_regions), (0, 0, 0));
}
