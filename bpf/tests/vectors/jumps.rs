//! Section 4.3: which comparisons jump; and calls.

use super::Vector;
use crate::assembler::*;

const MIN64: u64 = 1 << 63;
const M64: u64 = u64::MAX;

/// Two operands, and whether it jumps, of 64 bits and of 32.
type Row = (u64, u64, u8, u8);

/// The high four bits of the opcode, and for pairs of operands whether it jumps, of 64 bits and of 32.
#[rustfmt::skip]
const COMPARED: &[(u8, &[Row])] = &[
    // equal
    (0x10, &[(5, 5, 1, 1), (5, 6, 0, 0), (M64, M64, 1, 1), (0x1_0000_0005, 5, 0, 1), (0xffff_ffff, M64, 0, 1)]),
    // greater, greater or equal
    (0x20, &[(6, 5, 1, 1), (5, 5, 0, 0), (4, 5, 0, 0), (M64, 1, 1, 1), (1, M64, 0, 0), (0x1_0000_0001, 1, 1, 0)]),
    (0x30, &[(6, 5, 1, 1), (5, 5, 1, 1), (4, 5, 0, 0), (M64, 1, 1, 1), (1, M64, 0, 0), (0x1_0000_0000, 1, 1, 0)]),
    // a bit in common
    (0x40, &[(6, 2, 1, 1), (5, 2, 0, 0), (0, M64, 0, 0), (1 << 40, M64, 1, 0), (M64, 0, 0, 0)]),
    // not equal
    (0x50, &[(5, 5, 0, 0), (5, 6, 1, 1), (0x1_0000_0005, 5, 1, 0)]),
    // greater, greater or equal, with sign
    (0x60, &[(6, 5, 1, 1), (5, 5, 0, 0), (M64, 1, 0, 0), (1, M64, 1, 1), (MIN64, 0, 0, 0), (0x8000_0000, 0, 1, 0)]),
    (0x70, &[(6, 5, 1, 1), (5, 5, 1, 1), (M64, 1, 0, 0), (1, M64, 1, 1), (MIN64, 0, 0, 1), (0x8000_0000, 0, 1, 0)]),
    // less, less or equal
    (0xa0, &[(4, 5, 1, 1), (5, 5, 0, 0), (1, M64, 1, 1), (M64, 1, 0, 0), (0x1_0000_0000, 1, 0, 1)]),
    (0xb0, &[(4, 5, 1, 1), (5, 5, 1, 1), (6, 5, 0, 0), (1, M64, 1, 1), (M64, 1, 0, 0), (0x1_0000_0001, 1, 0, 1)]),
    // less, less or equal, with sign
    (0xc0, &[(4, 5, 1, 1), (5, 5, 0, 0), (M64, 1, 1, 1), (1, M64, 0, 0), (MIN64, 0, 1, 0), (0x8000_0000, 0, 0, 1)]),
    (0xd0, &[(4, 5, 1, 1), (5, 5, 1, 1), (6, 5, 0, 0), (M64, 1, 1, 1), (1, M64, 0, 0), (0x8000_0000, 0, 0, 1)]),
];

/// Ends with 1 if the instruction jumps, by two; else with 0.
fn jumps(jump: kernel_arena_bpf::Insn, a: u64, b: u64, expected: u8) -> Vector {
    Vector {
        what: format!("{jump:?} with {a:#x} and {b:#x}"),
        code: vec![jump, mov(0, 0), EXIT, mov(0, 1), EXIT],
        arguments: [a, b, 0, 0, 0],
        r0: expected.into(),
    }
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for &(operation, rows) in COMPARED {
        for &(a, b, wide, narrow) in rows {
            for (class, expected) in [(0x05, wide), (0x06, narrow)] {
                all.push(jumps(insn(operation | class | 8, 1, 2, 2, 0), a, b, expected));
                let immediate = b as i32;
                if class == 0x06 || immediate as i64 as u64 == b {
                    all.push(jumps(insn(operation | class, 1, 0, 2, immediate), a, b, expected));
                }
            }
        }
    }
    all.push(jumps(ja(2), 0, 0, 1));
    all.push(jumps(insn(0x06, 0, 0, 0, 2), 0, 0, 1));
    all.push(jumps(may_goto(2), 0, 0, 0));
    let program = |what: &str, code: &[kernel_arena_bpf::Insn], r0| Vector {
        what: what.to_owned(),
        code: code.to_vec(),
        arguments: [10, 0, 0, 0, 0],
        r0,
    };
    all.push(program(
        "a loop: its sum",
        // r0 += r1; r1 -= 1; back if r1 is not 0
        &[mov(0, 0), insn(0x0f, 0, 1, 0, 0), add(1, -1), jne(1, 0, -3), EXIT],
        55,
    ));
    all.push(program("backwards, far", &[insn(0x06, 0, 0, 0, 2), mov(0, 3), EXIT, insn(0x06, 0, 0, 0, -3)], 3));
    all.push(program("a jump by 0", &[mov(0, 4), ja(0), insn(0x06, 0, 0, 0, 0), EXIT], 4));
    all.push(program("a call, forwards", &[local(1), EXIT, mov(0, 5), EXIT], 5));
    all.push(program("a call, backwards", &[ja(2), mov(0, 6), EXIT, local(-3), EXIT], 6));
    // Farther than 16 bits count: over what would change the result, there and back.
    let between = vec![mov(0, 1); 70_000];
    let there = |jump: fn(i32) -> kernel_arena_bpf::Insn, last| {
        let rest = [mov(0, 7), last];
        [&[jump(70_001), EXIT][..], &between, &rest].concat()
    };
    let gotol = |by| insn(0x06, 0, 0, 0, by);
    all.push(program("far, and back", &there(gotol, gotol(-70_003)), 7));
    all.push(program("a call of what is far", &there(local, EXIT), 7));
    all
}
