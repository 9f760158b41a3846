//! The first programs.

use crate::assembler::*;
use crate::plain::{TOP, UPPER, run};
use kernel_arena_bpf::{Insn, Reason};

#[test]
fn a_program_ends_with_r0() {
    assert_eq!(run(&[mov(0, -7), EXIT], [0; 5], &[]).0.result, Ok(-7i64 as u64));
}

#[test]
fn the_stack_is_in_the_window() {
    let code = [mov(1, 5), store(10, -8, 1), load(0, 10, -8), EXIT];
    let (ended, window) = run(&code, [0; 5], &[]);
    assert_eq!(ended.result, Ok(5));
    assert_eq!((ended.registers[10], ended.spent), (UPPER + u64::from(TOP), 4));
    assert_eq!(window.page(0x20)[0xff8], 5);
}

#[test]
fn a_trap_ends_a_run() {
    assert_eq!(run(&[Insn::TRAP], [0; 5], &[]).0.result, Err(Reason::Trap));
}
