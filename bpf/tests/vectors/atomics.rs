//! Section 5.3, and the load-acquire and store-release that came later.

use super::Vector;
use crate::assembler::*;

/// What is there before, and what the source register holds.
const BEFORE: u64 = 0x8000_0001_ffff_fff3;
const OPERAND: u64 = 0x4000_0002_0000_0015;

/// Immediate value; what is there afterwards, of 64 bits and of 32. The fetching form (each +1) has the same effect.
#[rustfmt::skip]
const CHANGES: &[(i32, u64, u64)] = &[
    (0x00, 0xc000_0004_0000_0008, 0x8000_0001_0000_0008),
    (0x40, 0xc000_0003_ffff_fff7, 0x8000_0001_ffff_fff7),
    (0x50, 0x0000_0000_0000_0011, 0x8000_0001_0000_0011),
    (0xa0, 0xc000_0003_ffff_ffe6, 0x8000_0001_ffff_ffe6),
];

/// A program on the word at `[r10 - 8]`, which r1 is stored to before, with the operand in r2; it ends with the register `says`.
fn on_a_word(what: &str, atomic: kernel_arena_bpf::Insn, says: &[kernel_arena_bpf::Insn], r0: u64) -> Vector {
    let code = [&[store(10, -8, 1), copy(0, 3), atomic], says, &[EXIT]].concat();
    Vector { what: format!("{atomic:?}: {what}"), code, arguments: [BEFORE, OPERAND, EXPECTED, 0, 0], r0 }
}

/// What r0 holds before: for a compare-exchange it is what is there.
const EXPECTED: u64 = BEFORE;

pub(super) fn vectors() -> Vec<Vector> {
    let there = &[load(0, 10, -8)][..];
    let fetched = &[copy(0, 2)][..];
    let mut all = Vec::new();
    let low = BEFORE & 0xffff_ffff;
    for &(operation, wide, narrow) in CHANGES {
        for (opcode, after, before) in [(0xdb, wide, BEFORE), (0xc3, narrow, low)] {
            all.push(on_a_word("there", insn(opcode, 10, 2, -8, operation), there, after));
            all.push(on_a_word("not fetched", insn(opcode, 10, 2, -8, operation), fetched, OPERAND));
            all.push(on_a_word("there", insn(opcode, 10, 2, -8, operation + 1), there, after));
            all.push(on_a_word("fetched", insn(opcode, 10, 2, -8, operation + 1), fetched, before));
        }
    }
    let half = BEFORE & 0xffff_ffff_0000_0000 | OPERAND & 0xffff_ffff;
    for (opcode, after, before) in [(0xdb, OPERAND, BEFORE), (0xc3, half, low)] {
        all.push(on_a_word("exchanged", insn(opcode, 10, 2, -8, 0xe1), there, after));
        all.push(on_a_word("fetched", insn(opcode, 10, 2, -8, 0xe1), fetched, before));
        all.push(on_a_word("compared and exchanged", insn(opcode, 10, 2, -8, 0xf1), there, after));
        all.push(on_a_word("compared: r0", insn(opcode, 10, 2, -8, 0xf1), &[], before));
        // Compared with what is not there: nothing changes but r0.
        let other = |says: &[kernel_arena_bpf::Insn], r0| Vector {
            what: format!("{opcode:x} compares with something else"),
            code: [&[store(10, -8, 1), mov(0, 7), insn(opcode, 10, 2, -8, 0xf1)], says, &[EXIT]].concat(),
            arguments: [BEFORE, OPERAND, 0, 0, 0],
            r0,
        };
        all.push(other(there, BEFORE));
        all.push(other(&[], before));
    }
    // Of 32 bits only the low half of r0 is compared.
    all.push(Vector {
        what: "r0 has another upper half".to_owned(),
        code: [
            &[store(10, -8, 1)],
            &wide(0, 0x7777_0000_0000_0000 | low)[..],
            &[insn(0xc3, 10, 2, -8, 0xf1)],
            there,
            &[EXIT],
        ]
        .concat(),
        arguments: [BEFORE, OPERAND, 0, 0, 0],
        r0: half,
    });
    for (opcode, mask) in [(0xd3, 0xff), (0xcb, 0xffff), (0xc3, 0xffff_ffff), (0xdb, u64::MAX)] {
        all.push(on_a_word("acquired", insn(opcode, 0, 10, -8, 0x100), &[], BEFORE & mask));
        let after = BEFORE & !mask | OPERAND & mask;
        all.push(on_a_word("released", insn(opcode, 10, 2, -8, 0x110), there, after));
        all.push(on_a_word("not fetched", insn(opcode, 10, 2, -8, 0x110), fetched, OPERAND));
    }
    all
}
