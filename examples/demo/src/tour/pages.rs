//! Using pages the way they are meant to be used.

use alloc::format;
use alloc::string::String;

use kernel_arena::{AllocRequest, ArenaPtr, Owner, PageRange, ProgramAddr, ProgramBase};

use super::{count, last, offset, pointer};
use crate::KernelArena;
use crate::map;
use crate::memory::{Access, load, store};
use crate::report::{Report, Stop};

/// Allocates, writes, reads, reserves and frees.
pub(super) fn use_pages(report: &Report, arena: &KernelArena) -> Result<(), Stop> {
    report.section(
        "Pages",
        "Pages are allocated, reserved and freed by number. Each has an owner, who alone may free it.",
    );
    let kernel = arena.alloc_pages(AllocRequest::new(count(8), Owner::Kernel))?;
    let lowest = kernel.first() == arena.layout().extent().first();
    report.check(lowest && is_zero(arena, kernel), format!("8 pages for the kernel: {}, all zero", name(kernel)));

    let program = arena.alloc_pages(AllocRequest::new(count(4), Owner::Program).aligned(count(16)))?;
    let aligned = program.first().number() % 16 == 0;
    report.check(aligned, format!("4 pages for a program, 16 pages aligned: {}", name(program)));

    let exact = AllocRequest::new(count(2), Owner::Kernel).exactly_at(pointer(48));
    let exact = arena.alloc_pages(exact)?;
    report.check(exact.to_ptr() == pointer(48), format!("2 pages at just the place that was named: {}", name(exact)));

    arena.reserve_pages(pointer(64), count(8), Owner::Program)?;
    report.check(arena.stats().claimed_pages == 22, "8 pages reserved: 22 are in use, 14 of them with memory behind");

    one_byte_two_names(report, arena, kernel);

    arena.free_pages(kernel.to_ptr(), count(4), Owner::Kernel)?;
    report.check(arena.stats().claimed_pages == 18, "4 of the kernel's pages freed again");
    map::draw(report, arena);
    Ok(())
}

/// A value is stored in the kernel view, and the same byte named in a program's.
fn one_byte_two_names(report: &Report, arena: &KernelArena, pages: PageRange) {
    let at = pages.first().number() + 5;
    let written = store(arena, offset(at, 8), 42) == Access::Plain(42);
    let read = load(arena, offset(at, 8)) == Access::Plain(42);
    report.check(written && read, "42 is stored and read back");

    let pointer: ArenaPtr<u64> = ArenaPtr::new(pages.to_ptr().offset() + 5 * 4096 + 8).unwrap();
    let kernel = arena.layout().to_kernel(pointer);
    let base = ProgramBase::new(ProgramAddr::new(0x0000_1234_0000_0000)).expect("a multiple of 4 GiB");
    let program = pointer.to_program(base);
    let same = arena.layout().to_ptr(kernel) == Ok(pointer) && base.to_ptr(program) == Ok(pointer);
    report.check(same, "its pointer has 32 bits, and leads there and back in every view:");
    report.figure("pointer", format!("{:#018x}", pointer.offset()));
    report.figure("to the kernel", format!("{:#018x}", kernel.value()));
    report.figure("to a program", format!("{:#018x}   if its view starts at 0x0000123400000000", program.value()));
}

fn is_zero(arena: &KernelArena, pages: PageRange) -> bool {
    let start = offset(pages.first().number(), 0);
    let end = start + pages.count().bytes().cast_signed();
    (start..end).step_by(8).all(|offset| load(arena, offset) == Access::Plain(0))
}

fn name(pages: PageRange) -> String {
    format!("pages {} to {}", pages.first().number(), last(pages))
}
