//! What upstream's selftests of arena atomics and of fault reports claim, by their numbers.

use kernel_arena::{Bytecode, Owner, PageCount, ViolationKind};

use super::{ID, at, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};
use kernel_arena_bpf::Insn;

const PAGE: u32 = 40;
const ADDRESS: u64 = 40 << 12;

/// The words of 64 and of 32 bits are the page's first two; r1 is their address.
fn words<F: Format>(m: &Machine<F>, wide: u64, narrow: u32) {
    m.memory(0).store(at(PAGE, 0), &wide);
    m.memory(0).store(at(PAGE, 8), &narrow);
}

fn wide<F: Format>(m: &Machine<F>) -> u64 {
    m.memory(0).load(at(PAGE, 0))
}

fn narrow<F: Format>(m: &Machine<F>) -> u32 {
    m.memory(0).load(at(PAGE, 8))
}

/// T46 to T50: an operation with an operand, fetching and not, of both sizes, and on the stack.
fn fetches<F: Format>(operation: i32, before: u64, operand: i64, after: u64) {
    let m = machine::<F>(&[PAGE]);
    let operand = operand as u64;
    let no_hole = |code: &[Insn]| {
        let ended = run(&m, code, [ADDRESS, operand, before, 0, 0]);
        assert_eq!(ended.holes, 0);
        ended
    };
    for fetch in [0, 1] {
        let operation = operation + fetch;
        words(&m, before, before as u32);
        let ended = no_hole(&[insn(0xdb, 1, 2, 0, operation), copy(0, 2), EXIT]);
        assert_eq!((wide(&m), ended.result), (after, Ok(if fetch == 1 { before } else { operand })));
        let ended = no_hole(&[insn(0xc3, 1, 2, 8, operation), copy(0, 2), EXIT]);
        let before = u64::from(before as u32);
        assert_eq!((narrow(&m), ended.result), (after as u32, Ok(if fetch == 1 { before } else { operand })));
        let ended = no_hole(&[store(10, -8, 3), insn(0xdb, 10, 2, -8, operation), load(0, 10, -8), EXIT]);
        assert_eq!(ended.result, Ok(after));
    }
    m.finish();
}

fn t46_add<F: Format>() {
    fetches::<F>(0x00, 1, 2, 3);
    fetches::<F>(0x00, u64::MAX, 1, 0);
}
each_format!(t46_add);

/// There is no subtraction: the operand is negated before.
fn t47_sub<F: Format>() {
    fetches::<F>(0x00, 1, -2, u64::MAX);
}
each_format!(t47_sub);

fn t48_and<F: Format>() {
    fetches::<F>(0x50, 0x110_0000_0110, 0x011_0000_0011, 0x010_0000_0010);
}
each_format!(t48_and);

fn t49_or<F: Format>() {
    fetches::<F>(0x40, 0x110_0000_0110, 0x011_0000_0011, 0x111_0000_0111);
}
each_format!(t49_or);

fn t50_xor<F: Format>() {
    fetches::<F>(0xa0, 0x110_0000_0110, 0x011_0000_0011, 0x101_0000_0101);
}
each_format!(t50_xor);

fn t51_cmpxchg<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    words(&m, 1, 1);
    for (opcode, offset) in [(0xdb, 0), (0xc3, 8)] {
        let with = |expected| {
            run(&m, &[mov(0, expected), insn(opcode, 1, 2, offset, 0xf1), EXIT], [ADDRESS, 2, 0, 0, 0]).result
        };
        assert_eq!([with(0), with(1), with(1)], [Ok(1), Ok(1), Ok(2)]);
    }
    assert_eq!((wide(&m), narrow(&m)), (2, 2));
    m.finish();
}
each_format!(t51_cmpxchg);

fn t52_xchg<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    words(&m, 1, 1);
    for (opcode, offset) in [(0xdb, 0), (0xc3, 8)] {
        assert_eq!(run(&m, &[insn(opcode, 1, 2, offset, 0xe1), copy(0, 2), EXIT], [ADDRESS, 2, 0, 0, 0]).result, Ok(1));
    }
    assert_eq!((wide(&m), narrow(&m)), (2, 2));
    m.finish();
}
each_format!(t52_xchg);

/// r0 is the operand, or the pointer, which stays.
fn t53_fetch_r0<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    words(&m, 0b0110, 0);
    let ended = run(&m, &[mov(0, 0b0011), insn(0xdb, 1, 0, 0, 0x41), EXIT], [ADDRESS, 0, 0, 0, 0]);
    assert_eq!((ended.result, wide(&m)), (Ok(0b0110), 0b0111));
    let ended = run(&m, &[copy(0, 1), insn(0xdb, 0, 2, 0, 0x51), EXIT], [ADDRESS, 0b1001, 0, 0, 0]);
    assert_eq!((ended.result, ended.registers[2], wide(&m)), (Ok(ADDRESS), 0b0111, 0b0001));
    // Both at once: what was there takes the pointer's place.
    let ended = run(&m, &[copy(0, 1), insn(0xdb, 0, 0, 0, 0x41), EXIT], [ADDRESS, 0, 0, 0, 0]);
    assert_eq!((ended.result, wide(&m)), (Ok(0b0001), ADDRESS | 1));
    m.finish();
}
each_format!(t53_fetch_r0);

/// Each atomic on a page that was freed is recovered and recorded, and what it would fetch is 0.
fn t54_uaf<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    words(&m, 7, 7);
    m.arena().free_pages(at(PAGE, 0), PageCount::ONE, Owner::Program).unwrap();
    let operations = [0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 0x100, 0x110];
    let forms = operations.into_iter().flat_map(|operation| [(0xdb, operation, 2), (0xc3, operation, 2)]);
    let of_r0 = [(0xdb, 0x41, 0), (0xc3, 0x41, 0)];
    let mut left = 26;
    for (opcode, operation, operand) in forms.chain(of_r0) {
        let atomic =
            if operation == 0x100 { insn(opcode, 2, 1, 0, operation) } else { insn(opcode, 1, operand, 0, operation) };
        let ended = run(&m, &[mov(0, 5), atomic, EXIT], [ADDRESS, 6, 0, 0, 0]);
        let seen = m.arena().take_violation().expect("it is recorded");
        let is_read = operation == 0x100;
        assert_eq!((seen.kind == ViolationKind::Read, ended.holes), (is_read, 1), "{atomic:?}");
        let (r0, r2) = match operation {
            0xf1 => (0, 6),
            _ if operand == 0 => (0, 6),
            0x100 => (5, 0),
            _ if operation & 1 == 1 => (5, 0),
            _ => (5, 6),
        };
        assert_eq!((ended.registers[0], ended.registers[2]), (r0, r2), "{atomic:?}");
        left -= 1;
    }
    assert_eq!((left, m.arena().stats().tainted_pages), (0, 0));
    m.finish();
}
each_format!(t54_uaf);

fn t55_load_acquire<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    words(&m, 0x1234_5678_90ab_cdef, 0);
    for (opcode, expected) in [(0xd3, 0xef), (0xcb, 0xcdef), (0xc3, 0x90ab_cdef), (0xdb, 0x1234_5678_90ab_cdef)] {
        assert_eq!(
            run(&m, &[mov(0, -1), insn(opcode, 0, 1, 0, 0x100), EXIT], [ADDRESS, 0, 0, 0, 0]).result,
            Ok(expected)
        );
    }
    m.finish();
}
each_format!(t55_load_acquire);

fn t56_store_release<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    for (opcode, expected) in [(0xd3, 0xef), (0xcb, 0xcdef), (0xc3, 0x90ab_cdef), (0xdb, 0x1234_5678_90ab_cdef)] {
        words(&m, 0, 0);
        let ended = run(&m, &[insn(opcode, 1, 2, 0, 0x110), EXIT], [ADDRESS, 0x1234_5678_90ab_cdef, 0, 0, 0]);
        assert_eq!((ended.holes, wide(&m), narrow(&m)), (0, expected, 0));
    }
    m.finish();
}
each_format!(t56_store_release);

/// One access to what was never there: what is recorded, and the program's value.
fn reported<F: Format>(access: Insn, kind: ViolationKind, bytes: u8, r0: u64) {
    let m = machine::<F>(&[]);
    let ended = run(&m, &[mov(0, -1), copy(3, 0), access, EXIT], [ADDRESS, 0xdead, 0, 0, 0]);
    let seen = m.arena().take_violation().expect("it is recorded");
    assert_eq!((ended.result, seen.kind, seen.program), (Ok(r0), kind, ID));
    assert_eq!(seen.bytecode, Some(Bytecode { instruction: 2, bytes }));
    assert_eq!(seen.address.value(), m.arena().layout().base().value() + ADDRESS + 0x7ff8);
    let (is_read, text) = (kind == ViolationKind::Read, seen.to_string());
    assert!(text.starts_with(if is_read { "wild read" } else { "wild write" }), "{text}");
    m.finish();
}

fn t57_a_store_is_reported<F: Format>() {
    reported::<F>(store(1, 0x7ff8, 2), ViolationKind::Write, 8, u64::MAX);
}
each_format!(t57_a_store_is_reported);

fn t58_a_load_is_reported<F: Format>() {
    reported::<F>(insn(0x61, 0, 1, 0x7ff8, 0), ViolationKind::Read, 4, 0);
}
each_format!(t58_a_load_is_reported);

/// U8, too: a read, at the address of its source, and its register is 0 afterwards.
fn t59_a_load_acquire_is_reported<F: Format>() {
    reported::<F>(insn(0xdb, 0, 1, 0x7ff8, 0x100), ViolationKind::Read, 8, 0);
    reported::<F>(insn(0xd3, 0, 1, 0x7ff8, 0x100), ViolationKind::Read, 1, 0);
}
each_format!(t59_a_load_acquire_is_reported);

fn t60_an_exchange_is_reported<F: Format>() {
    reported::<F>(insn(0xdb, 1, 0, 0x7ff8, 0xe1), ViolationKind::Write, 8, 0);
}
each_format!(t60_an_exchange_is_reported);

fn t61_a_compare_exchange_is_reported<F: Format>() {
    reported::<F>(insn(0xc3, 1, 2, 0x7ff8, 0xf1), ViolationKind::Write, 4, 0);
}
each_format!(t61_a_compare_exchange_is_reported);
