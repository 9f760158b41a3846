//! Where pointers come from: put together by arithmetic, handed from function to function. Upstream's loader follows their types
//! through all of this; here an address is a number, however it came to be.

use kernel_arena::Bytecode;

use super::{ID, at, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};
use crate::plain::UPPER;

/// The word that all programs here are after.
const PAGE: u32 = 40;
const WORD: u64 = 0x2_8010;

fn with_word<F: Format>(value: u64) -> Machine<F> {
    let m = machine::<F>(&[PAGE]);
    m.memory(0).store(at(PAGE, 16), &value);
    m
}

/// `dst += src` and `dst ^= src`.
const ADD: u8 = 0x0f;
const XOR: u8 = 0xaf;

/// T20 to T24: a number and a pointer, two pointers, a number and a pointer bit by bit, a pointer of another kind and one of the
/// arena's, and these the other way round.
fn an_address_may_be_put_together_in_any_way<F: Format>() {
    let m = with_word::<F>(77);
    let pointer = UPPER | (WORD - 16);
    let kernels = 0xffff_8880_0000_0010;
    for (what, operation, left, right) in [
        ("T20", ADD, 16, pointer),
        ("T21", ADD, UPPER | 0x1_4000, UPPER | 0x1_4010),
        ("T22", XOR, 16, pointer),
        ("T23", ADD, kernels, pointer),
        ("T24", ADD, pointer, kernels),
    ] {
        let code = [insn(operation, 1, 2, 0, 0), load(0, 1, 0), add(0, 1), store(1, 0, 0), EXIT];
        m.memory(0).store(at(PAGE, 16), &77u64);
        let ended = run(&m, &code, [left, right, 0, 0, 0]);
        assert_eq!((ended.result, ended.holes), (Ok(78), 0), "{what}");
        assert_eq!(m.memory(0).load::<u64>(at(PAGE, 16)), 78, "{what}");
        let number = if operation == ADD { left.wrapping_add(right) } else { left ^ right };
        assert_eq!((ended.registers[1], number & 0xffff_ffff), (number, WORD), "{what}: the register has all of it");
    }
    m.finish();
}
each_format!(an_address_may_be_put_together_in_any_way);

/// T25: upstream refuses an atomic that sees a pointer to the stack once and one to the arena once. Here both are of one kind.
fn one_atomic_sees_the_stack_and_the_arena<F: Format>() {
    let m = with_word::<F>(7);
    let code = [
        store(10, -8, 3),
        copy(4, 10),
        add(4, -8),
        jne(2, 1, 1),
        copy(4, 1),
        mov(5, 100),
        insn(0xdb, 4, 5, 0, 0x01),
        load(0, 4, 0),
        EXIT,
    ];
    for (which, was) in [(0, 30), (1, 7), (0, 30)] {
        let ended = run(&m, &code, [WORD, which, 30, 0, 0]);
        assert_eq!((ended.result, ended.registers[5], ended.holes), (Ok(was + 100), was, 0));
    }
    assert_eq!(m.memory(0).load::<u64>(at(PAGE, 16)), 107, "once");
    m.finish();
}
each_format!(one_atomic_sees_the_stack_and_the_arena);

/// T26: from one function to another and back, a pointer to the arena and one to the caller's frame.
fn functions_pass_and_return_pointers<F: Format>() {
    let m = with_word::<F>(20);
    let code = [
        // The word, by a function that returns where it is; and a word of this frame, by the same.
        store(10, -16, 2),
        local(8),
        copy(1, 0),
        local(9),
        copy(6, 0),
        copy(1, 10),
        add(1, -32),
        local(2),
        copy(1, 0),
        ja(3),
        // 16 bytes further on.
        copy(0, 1),
        add(0, 16),
        EXIT,
        local(2),
        insn(0x0f, 0, 6, 0, 0),
        EXIT,
        // What is there, one more from now on.
        load(0, 1, 0),
        copy(7, 0),
        add(7, 1),
        store(1, 0, 7),
        EXIT,
    ];
    let ended = run(&m, &code, [UPPER | (WORD - 16), 300, 0, 0, 0]);
    assert_eq!((ended.result, ended.holes), (Ok(320), 0));
    assert_eq!(m.memory(0).load::<u64>(at(PAGE, 16)), 21);
    m.finish();
}
each_format!(functions_pass_and_return_pointers);

/// T62: whichever function of a program meets a hole, it is the program's, at the function's instruction.
fn a_hole_in_a_called_function_is_the_programs<F: Format>() {
    let m = machine::<F>(&[]);
    let code = [local(2), load(0, 1, 0), EXIT, local(1), EXIT, insn(0x72, 1, 0, 0, 1), EXIT];
    let ended = run(&m, &code, [WORD, 0, 0, 0, 0]);
    assert_eq!((ended.result, ended.holes), (Ok(0), 2));
    for (instruction, bytes) in [(5, 1), (1, 8)] {
        let seen = m.arena().take_violation().expect("it is recorded");
        assert_eq!((seen.program, seen.bytecode), (ID, Some(Bytecode { instruction, bytes })));
        assert_eq!(seen.address.value(), m.arena().layout().base().value() + WORD);
    }
    assert_eq!(m.arena().take_violation(), None);
    m.finish();
}
each_format!(a_hole_in_a_called_function_is_the_programs);
