//! Moves that extend a sign or cast an address, and the immediate values of 64 bits.

use super::Vector;
use crate::assembler::*;
use crate::plain::UPPER;

/// Opcode, offset, immediate value, source, result.
#[rustfmt::skip]
const MOVES: &[(u8, i16, i32, u64, u64)] = &[
    (0xbf, 8, 0, 0x1234_5680, -128i64 as u64), (0xbf, 8, 0, 0x1234_567f, 0x7f),
    (0xbf, 16, 0, 0x1234_8000, -32768i64 as u64), (0xbf, 16, 0, 0x1234_7fff, 0x7fff),
    (0xbf, 32, 0, 0x12_8000_0000, 0xffff_ffff_8000_0000), (0xbf, 32, 0, 0x12_7fff_ffff, 0x7fff_ffff),
    (0xbc, 8, 0, 0x1234_5680, 0xffff_ff80), (0xbc, 8, 0, u64::MAX << 7, 0xffff_ff80), (0xbc, 8, 0, 0x17f, 0x7f),
    (0xbc, 16, 0, 0x1234_8000, 0xffff_8000), (0xbc, 16, 0, 0x7fff, 0x7fff),
    // To the kernel: the low half. To the program: its base, unless that is null.
    (0xbf, 1, 1, 0x9999_0000_1234, 0x1234), (0xbf, 1, 1, 0x9999_0000_0000, 0),
    (0xbf, 1, 0x1_0000, 0x9999_0000_1234, UPPER | 0x1234), (0xbf, 1, 0x1_0000, 0x1234, UPPER | 0x1234),
    (0xbf, 1, 0x1_0000, 0, 0), (0xbf, 1, 0x1_0000, 0x9999_0000_0000, 0),
    (0xbf, 1, 0x1_0000, 0xffff_ffff, UPPER | 0xffff_ffff),
];

pub(super) fn vectors() -> Vec<Vector> {
    let moves = MOVES.iter().map(|&(opcode, offset, immediate, from, expected)| {
        Vector::of_one(insn(opcode, 0, 1, offset, immediate), 0xdead_beef_dead_beef, from, expected)
    });
    let wide = [0, 1, u64::MAX, 0x8000_0000, 0x1122_3344_8877_6655].map(|value| Vector {
        what: format!("the immediate value {value:#x}"),
        code: [&wide(0, value)[..], &[EXIT]].concat(),
        arguments: [0; 5],
        r0: value,
    });
    moves.chain(wide).collect()
}
