//! Section 4.1, and 4.2 for byte swaps.

use super::Vector;
use crate::assembler::*;

const MIN64: u64 = 1 << 63;
const MIN32: u64 = 1 << 31;
/// -1, of 64 bits and of 32.
const M64: u64 = u64::MAX;
const M32: u64 = u32::MAX as u64;

/// High four bits of the opcode, offset, operands, result: of 64 bits.
#[rustfmt::skip]
const WIDE: &[(u8, i16, u64, u64, u64)] = &[
    // Sums, differences and products wrap.
    (0x00, 0, 2, 3, 5), (0x00, 0, M64, 1, 0), (0x00, 0, 1, M64, 0), (0x00, 0, 0x7fff_ffff_ffff_ffff, 1, MIN64),
    (0x10, 0, 2, 3, M64), (0x10, 0, MIN64, 1, 0x7fff_ffff_ffff_ffff), (0x10, 0, 7, M64, 8),
    (0x20, 0, 6, 7, 42), (0x20, 0, M64, M64, 1), (0x20, 0, 0x1_0000_0001, 0x1_0000_0001, 0x2_0000_0001),
    (0x20, 0, MIN64, 2, 0),
    // Quotients without sign: an immediate value is extended with its sign, and has none then.
    (0x30, 0, 7, 2, 3), (0x30, 0, M64, 2, 0x7fff_ffff_ffff_ffff), (0x30, 0, 5, M64, 0), (0x30, 0, M64, M64, 1),
    (0x30, 0, MIN64, M64, 0), (0x30, 0, 0x1_0000_0000, 0x1_0000, 0x1_0000),
    // With sign, towards 0.
    (0x30, 1, 7, 2, 3), (0x30, 1, -7i64 as u64, 2, -3i64 as u64), (0x30, 1, 7, -2i64 as u64, -3i64 as u64),
    (0x30, 1, -7i64 as u64, -2i64 as u64, 3), (0x30, 1, MIN64, M64, MIN64), (0x30, 1, MIN64, 1, MIN64),
    (0x40, 0, 0b1100, 0b1010, 0b1110), (0x40, 0, 0xf000_0000_0000_0000, M64 << 31, M64 << 31),
    (0x50, 0, 0b1100, 0b1010, 0b1000), (0x50, 0, 0xabcd_0000_0000_1234, -16i64 as u64, 0xabcd_0000_0000_1230),
    // Counts are taken by their low six bits.
    (0x60, 0, 1, 4, 16), (0x60, 0, 1, 63, MIN64), (0x60, 0, 1, 64, 1), (0x60, 0, 3, 65, 6), (0x60, 0, 1, M64, MIN64),
    (0x70, 0, 16, 4, 1), (0x70, 0, M64, 63, 1), (0x70, 0, 5, 64, 5), (0x70, 0, MIN64, 127, 1),
    (0x90, 0, 7, 3, 1), (0x90, 0, M64, 10, 5), (0x90, 0, 5, M64, 5), (0x90, 0, MIN64, M64, MIN64),
    // The sign of the dividend.
    (0x90, 1, -13i64 as u64, 4, M64), (0x90, 1, 13, -3i64 as u64, 1), (0x90, 1, -13i64 as u64, -3i64 as u64, M64),
    (0x90, 1, 13, 4, 1), (0x90, 1, MIN64, M64, 0), (0x90, 1, -42i64 as u64, 43, -42i64 as u64),
    (0xa0, 0, 0b1100, 0b1010, 0b0110), (0xa0, 0, M64, M64, 0),
    (0xb0, 0, 5, 7, 7), (0xb0, 0, 5, M64, M64), (0xb0, 0, 5, 0xffff_ffff_8000_0000, 0xffff_ffff_8000_0000),
    (0xc0, 0, -16i64 as u64, 4, M64), (0xc0, 0, MIN64, 63, M64), (0xc0, 0, 0x7000_0000_0000_0000, 60, 7),
    (0xc0, 0, -16i64 as u64, 64, -16i64 as u64), (0xc0, 0, -16i64 as u64, 66, -4i64 as u64),
];

/// The same of 32 bits: of the operands the low halves count, and the result's upper half is 0.
#[rustfmt::skip]
const NARROW: &[(u8, i16, u64, u64, u64)] = &[
    (0x00, 0, 2, 3, 5), (0x00, 0, M32, 1, 0), (0x00, 0, M64, 1, 0), (0x00, 0, 0xdead_0000_0001, 1, 2),
    (0x10, 0, 2, 3, M32), (0x10, 0, MIN32, 1, 0x7fff_ffff), (0x10, 0, 0x9_0000_0000, 0, 0),
    (0x20, 0, 6, 7, 42), (0x20, 0, M32, M32, 1), (0x20, 0, 0x1_0001, 0x1_0001, 0x2_0001), (0x20, 0, MIN32, 2, 0),
    (0x30, 0, 7, 2, 3), (0x30, 0, M32, 2, 0x7fff_ffff), (0x30, 0, MIN32, M32, 0), (0x30, 0, 0x1_0000_0007, 2, 3),
    (0x30, 1, 7, 2, 3), (0x30, 1, M32 - 6, 2, M32 - 2), (0x30, 1, 7, M32 - 1, M32 - 2), (0x30, 1, M32 - 6, M32 - 1, 3),
    (0x30, 1, MIN32, M32, MIN32), (0x30, 1, MIN32, M64, MIN32), (0x30, 1, 0xff_8000_0000, 1, MIN32),
    (0x40, 0, 0b1100, 0b1010, 0b1110), (0x40, 0, 0x1_0000_0000, 0, 0), (0x40, 0, 0, M64, M32),
    (0x50, 0, 0b1100, 0b1010, 0b1000), (0x50, 0, M64, M64, M32),
    // Counts are taken by their low five bits.
    (0x60, 0, 1, 4, 16), (0x60, 0, 0x11, 60, 0x1000_0000), (0x60, 0, 1, 31, MIN32), (0x60, 0, 1, 32, 1), (0x60, 0, 3, 31, MIN32),
    (0x70, 0, 16, 4, 1), (0x70, 0, M64, 31, 1), (0x70, 0, M64, 0, M32), (0x70, 0, 5, 32, 5), (0x70, 0, M32, 33, 0x7fff_ffff),
    (0x90, 0, 7, 3, 1), (0x90, 0, M32, 10, 5), (0x90, 0, 0x1_0000_0007, 4, 3), (0x90, 0, MIN32, M32, MIN32),
    (0x90, 1, M32 - 12, 4, M32), (0x90, 1, 13, M32 - 2, 1), (0x90, 1, MIN32, M32, 0), (0x90, 1, 13, 4, 1),
    (0xa0, 0, 0b1100, 0b1010, 0b0110), (0xa0, 0, M64, 0, M32), (0xa0, 0, 0, M64, M32),
    (0xb0, 0, 5, 7, 7), (0xb0, 0, M64, M64, M32),
    (0xc0, 0, M32 - 15, 4, M32), (0xc0, 0, MIN32, 31, M32), (0xc0, 0, 0x7000_0000, 28, 7), (0xc0, 0, 0xf_ffff_fff0, 33, M32 - 7),
];

/// Opcodes without a second operand, the immediate value, operand, result.
#[rustfmt::skip]
const ALONE: &[(u8, i32, u64, u64)] = &[
    (0x87, 0, 5, -5i64 as u64), (0x87, 0, MIN64, MIN64), (0x87, 0, 0, 0),
    (0x84, 0, 5, M32 - 4), (0x84, 0, MIN32, MIN32), (0x84, 0, 0xabcd_0000_0001, M32),
    // To little-endian, which it is already: the upper bits go.
    (0xd4, 16, 0x1122_3344_5566_7788, 0x7788), (0xd4, 32, 0x1122_3344_5566_7788, 0x5566_7788),
    (0xd4, 64, 0x1122_3344_5566_7788, 0x1122_3344_5566_7788),
    // To big-endian, and the swap that is the same everywhere.
    (0xdc, 16, 0x1122_3344_5566_7788, 0x8877), (0xdc, 32, 0x1122_3344_5566_7788, 0x8877_6655),
    (0xdc, 64, 0x1122_3344_5566_7788, 0x8877_6655_4433_2211),
    (0xd7, 16, 0x1122_3344_5566_7788, 0x8877), (0xd7, 32, 0x1122_3344_5566_7788, 0x8877_6655),
    (0xd7, 64, 0x1122_3344_5566_7788, 0x8877_6655_4433_2211),
];

/// By 0, which no immediate value may be: a quotient is 0, a remainder the dividend. Class, offset, operation, dividend, divisor.
#[rustfmt::skip]
const BY_ZERO: &[(u8, i16, u64, u64, u64)] = &[
    (0x3f, 0, 7, 0, 0), (0x3f, 1, MIN64, 0, 0), (0x9f, 0, M64, 0, M64), (0x9f, 1, MIN64, 0, MIN64),
    // Of the divisor only the low half counts; the dividend loses its upper half.
    (0x3c, 0, M64, 0, 0), (0x3c, 1, M64, 0x5_0000_0000, 0), (0x9c, 0, M64, 0, M32), (0x9c, 1, M64, 0x5_0000_0000, M32),
    (0x9c, 0, 0x7_0000_0009, 0x5_0000_0000, 9),
];

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for (class, table) in [(0x07, WIDE), (0x04, NARROW)] {
        for &(operation, offset, a, b, expected) in table {
            all.push(Vector::of_one(insn(operation | class | 8, 0, 1, offset, 0), a, b, expected));
            let immediate = b as i32;
            let is_immediate = class == 0x04 || immediate as i64 as u64 == b;
            if is_immediate && !(matches!(operation, 0x30 | 0x90) && immediate == 0) {
                all.push(Vector::of_one(insn(operation | class, 0, 0, offset, immediate), a, b, expected));
            }
        }
    }
    all.extend(
        ALONE
            .iter()
            .map(|&(opcode, immediate, a, expected)| Vector::of_one(insn(opcode, 0, 0, 0, immediate), a, 0, expected)),
    );
    all.extend(
        BY_ZERO
            .iter()
            .map(|&(opcode, offset, a, b, expected)| Vector::of_one(insn(opcode, 0, 1, offset, 0), a, b, expected)),
    );
    all
}
