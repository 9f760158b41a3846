//! Programs on an arena, on the software machine: its page tables, TLBs and fault path are between them and their pages.

mod border;
mod freed;
mod holes;
mod interrupts;
mod nodes;
mod numbers;
mod pointers;
mod upstream;

use kernel_arena::{AllocRequest, ArenaPtr, Owner, PageCount, ProgramId};
use kernel_arena_bpf::{Ended, Hosts, Insn, Program, Runner};

use crate::machine::{Format, Machine};
use crate::plain::{STACK, base, stack};

/// The extent of these tests, which ends in the second region of 2 MiB.
const FIRST: u32 = 16;
const LAST: u32 = 599;

/// The name of each program here.
const ID: Option<ProgramId> = ProgramId::new(77);

/// With these pages, and that of the stack.
fn machine<F: Format>(pages: &[u32]) -> Machine<F> {
    let m = Machine::builder().extent(FIRST, LAST - FIRST + 1).build();
    pages.iter().chain([&STACK]).for_each(|page| alloc(&m, *page));
    m
}

fn at<T>(page: u32, byte: u32) -> ArenaPtr<T> {
    ArenaPtr::new(page * 0x1000 + byte).expect("an offset that is not 0")
}

fn alloc<F: Format>(m: &Machine<F>, page: u32) {
    let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at(page, 0));
    m.arena().alloc_pages(request).expect("the page is free");
}

fn free<F: Format>(m: &Machine<F>, page: u32) {
    m.arena().free_pages(at(page, 0), PageCount::ONE, Owner::Program).expect("it is allocated");
}

/// Runs a program of this name from its start, on CPU 0.
fn run<F: Format>(m: &Machine<F>, code: &[Insn], arguments: [u64; 5]) -> Ended {
    let program = Program::check(code, Hosts::NONE).unwrap_or_else(|refused| panic!("{refused}"));
    let runner = Runner::new(program, stack(), base()).for_program(ID.unwrap());
    runner.run(&m.memory(0), program.start(), arguments, &mut ())
}
