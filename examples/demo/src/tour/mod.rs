//! The steps of the tour, one file each.

use kernel_arena::{ArenaPtr, PAGE_SIZE, PageCount, PageIndex, PageRange};
use support::Machine;

use crate::KernelArena;
use crate::report::{Report, Stop};

pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod heap;
pub(crate) mod schedule;

mod deferred;
mod heal;
mod pages;
mod programs;
mod record;
mod refusals;
mod registry;
mod scratch;
mod wild;

/// All steps between the arena's creation and its end, in order. Each leaves to the next what the map shows.
pub(crate) fn visit(report: &Report, machine: &'static Machine, arena: &KernelArena) -> Result<(), Stop> {
    pages::use_pages(report, arena)?;
    refusals::show(report, arena)?;
    let accesses = wild::touch(report, machine, arena);
    record::drain(report, arena, &accesses);
    heal::heal(report, arena);
    scratch::stay_hidden(report, arena)?;
    deferred::free_later(report, arena)?;
    registry::tell_apart(report, machine, arena)?;
    programs::meet(report, machine, arena)
}

/// The page that the tour means by a number.
fn page(number: u32) -> PageIndex {
    PageIndex::new(number).expect("the tour's pages are in the window")
}

/// That many pages.
fn count(number: u32) -> PageCount {
    PageCount::new(number).expect("the tour's counts fit the window")
}

/// The pointer to a page's first byte.
fn pointer(number: u32) -> ArenaPtr {
    page(number).to_ptr().expect("the tour has no business in page 0")
}

/// The offset of a byte of a page.
fn offset(page: u32, byte: u32) -> i64 {
    i64::from(page) * PAGE_SIZE.cast_signed() + i64::from(byte)
}

/// The number of the last page.
fn last(pages: PageRange) -> u32 {
    pages.first().number() + pages.count().get() - 1
}
