//! Sections 5.1 and 5.2: loads and stores of each size, on the stack.

use super::Vector;
use crate::assembler::*;

const PATTERN: u64 = 0x8182_8384_8586_8788;

/// Loads: opcode, offset from the pattern, what is loaded.
#[rustfmt::skip]
const LOADS: &[(u8, i16, u64)] = &[
    (0x71, 0, 0x88), (0x71, 7, 0x81), (0x69, 0, 0x8788), (0x69, 5, 0x8283), (0x61, 0, 0x8586_8788), (0x61, 3, 0x8283_8485),
    (0x79, 0, PATTERN),
    (0x91, 0, 0xffff_ffff_ffff_ff88), (0x89, 0, 0xffff_ffff_ffff_8788), (0x81, 0, 0xffff_ffff_8586_8788),
    (0x91, 9, 0x12), (0x89, 8, 0x1234), (0x81, 8, 0x5678_1234),
];

/// Stores over the pattern: opcode, offset, immediate value, what then is there. Of the register forms the register holds the
/// value, with its sign.
#[rustfmt::skip]
const STORES: &[(u8, i16, i32, u64)] = &[
    (0x72, 1, 0x1ff, 0x8182_8384_8586_ff88), (0x6a, 2, 0x1_2345, 0x8182_8384_2345_8788),
    (0x62, 4, -2, 0xffff_fffe_8586_8788), (0x7a, 0, -2, 0xffff_ffff_ffff_fffe), (0x7a, 0, 0x7000_0001, 0x7000_0001),
];

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    let put = [&wide(2, PATTERN)[..], &[store(10, -32, 2)], &wide(2, 0x5678_1234), &[store(10, -24, 2)]].concat();
    for &(opcode, offset, expected) in LOADS {
        let load = insn(opcode, 0, 10, offset - 32, 0);
        let code = [&put[..], &[mov(0, -1), load, EXIT]].concat();
        all.push(Vector { what: format!("{load:?}"), code, arguments: [0; 5], r0: expected });
    }
    for &(opcode, offset, immediate, expected) in STORES {
        for store in [insn(opcode, 10, 0, offset - 32, immediate), insn(opcode | 1, 10, 1, offset - 32, 0)] {
            let code = [&put[..], &[mov(1, immediate), store, load(0, 10, -32), EXIT]].concat();
            all.push(Vector { what: format!("{store:?}"), code, arguments: [0; 5], r0: expected });
        }
    }
    all
}
