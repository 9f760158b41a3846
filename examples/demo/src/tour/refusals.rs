//! What the arena refuses, and in which words.

use alloc::format;
use core::fmt::{Debug, Display};

use kernel_arena::{
    AllocError, AllocRequest, ArenaPtr, FreeError, Owner, Reclaimable, ReserveError, Violation, ViolationKind,
};

use super::{count, last, page, pointer};
use crate::KernelArena;
use crate::report::{Report, Stop};

/// Asks for what cannot be had.
pub(super) fn show(report: &Report, arena: &KernelArena) -> Result<(), Stop> {
    report.section("Refusals", "Each has a type and says what to do about it. None changes anything.");
    let before = arena.stats();
    report.columns(format_args!("{:<36}the arena's answer", "asked for"));
    refuse_allocations(report, arena);
    refuse_reservations(report, arena);
    let frees = refuse_frees(report, arena);
    let after = arena.stats();
    report.check(
        after.claimed_pages == before.claimed_pages && arena.validate().is_ok(),
        "the arena is as it was before",
    );
    let recorded = core::iter::from_fn(|| arena.take_violation())
        .filter(|violation: &Violation| violation.kind == ViolationKind::InvalidFree)
        .count();
    report.check(recorded == frees, format!("the {frees} bad frees stand in the record of violations"));
    Ok(())
}

fn refuse_allocations(report: &Report, arena: &KernelArena) {
    let pages = |number| AllocRequest::new(count(number), Owner::Kernel);
    let beyond = last(arena.layout().extent()) + 1;
    let nothing = Reclaimable::default();
    for (asked, request, expected) in [
        ("no page", pages(0), AllocError::ZeroPages),
        ("an alignment of 3 pages", pages(1).aligned(count(3)), AllocError::BadAlignment),
        ("a page at offset 0x30010", pages(1).exactly_at(ArenaPtr::new(0x3_0010).unwrap()), AllocError::Misaligned),
        ("the page behind the extent", pages(1).exactly_at(pointer(beyond)), AllocError::Outside),
        ("the last page of the window", pages(1).exactly_at(pointer((1 << 20) - 1)), AllocError::Outside),
        ("page 48, which is allocated", pages(1).exactly_at(pointer(48)), AllocError::Taken { page: page(48) }),
        ("page 64, which is reserved", pages(1).exactly_at(pointer(64)), AllocError::Taken { page: page(64) }),
        ("4096 pages in a row", pages(4096), AllocError::NoSpace(nothing)),
    ] {
        row(report, asked, arena.alloc_pages(request), expected);
    }
}

fn refuse_reservations(report: &Report, arena: &KernelArena) {
    for (asked, at, number, expected) in [
        ("a reservation of no page", pointer(80), 0, ReserveError::ZeroPages),
        ("a reservation at offset 0x50001", ArenaPtr::new(0x5_0001).unwrap(), 1, ReserveError::Misaligned),
        ("a reservation of page 71 once more", pointer(71), 2, ReserveError::Taken { page: page(71) }),
    ] {
        row(report, asked, arena.reserve_pages(at, count(number), Owner::Kernel), expected);
    }
}

/// Gives the number of refusals.
fn refuse_frees(report: &Report, arena: &KernelArena) -> usize {
    let (kernel, program) = (Owner::Kernel, Owner::Program);
    let wrong = [
        ("a free at offset 0x30010", ArenaPtr::new(0x3_0010).unwrap(), program, FreeError::Misaligned),
        ("a free of the window's last page", pointer((1 << 20) - 1), kernel, FreeError::Outside),
        ("a second free of page 16", pointer(16), kernel, FreeError::NotAllocated { page: page(16) }),
        ("a free of a page never allocated", pointer(1000), kernel, FreeError::NotAllocated { page: page(1000) }),
        (
            "a program's free of a kernel's page",
            pointer(20),
            program,
            FreeError::NotOwner { page: page(20), owner: kernel },
        ),
    ];
    for (asked, at, owner, expected) in wrong {
        row(report, asked, arena.free_pages(at, count(1), owner), expected);
    }
    wrong.len()
}

fn row<T, E: Display + Debug + PartialEq>(report: &Report, asked: &str, answer: Result<T, E>, expected: E) {
    match answer {
        Err(error) => {
            let right = error == expected;
            report.check_row(right, &format!("{asked:<36}"), error);
        }
        Ok(_) => report.check_row(false, &format!("{asked:<36}"), "(granted)"),
    }
}
