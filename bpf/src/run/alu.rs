//! Arithmetic where the processor's own, or Rust's, is something else (RFC 9669, section 4.1).
//!
//! The 32-bit operations have operands of 32 bits, so their results have an upper half of 0 when they are widened.

#![expect(clippy::cast_possible_truncation, reason = "truncation is what is asked for")]

/// By 0: 0.
#[inline(always)]
pub(super) fn div32(a: u32, b: u32) -> u32 {
    a.checked_div(b).unwrap_or(0)
}

/// By 0: 0.
#[inline(always)]
pub(super) fn div64(a: u64, b: u64) -> u64 {
    a.checked_div(b).unwrap_or(0)
}

/// By 0: 0; the smallest number by -1: itself.
#[inline(always)]
pub(super) fn sdiv32(a: u32, b: u32) -> u32 {
    if b == 0 { 0 } else { (a as i32).wrapping_div(b as i32) as u32 }
}

/// By 0: 0; the smallest number by -1: itself.
#[inline(always)]
pub(super) fn sdiv64(a: u64, b: u64) -> u64 {
    if b == 0 { 0 } else { (a as i64).wrapping_div(b as i64) as u64 }
}

/// By 0: the dividend.
#[inline(always)]
pub(super) fn mod32(a: u32, b: u32) -> u32 {
    a.checked_rem(b).unwrap_or(a)
}

/// By 0: the dividend.
#[inline(always)]
pub(super) fn mod64(a: u64, b: u64) -> u64 {
    a.checked_rem(b).unwrap_or(a)
}

/// With the sign of the dividend. By 0: the dividend; by -1: 0.
#[inline(always)]
pub(super) fn smod32(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { (a as i32).wrapping_rem(b as i32) as u32 }
}

/// With the sign of the dividend. By 0: the dividend; by -1: 0.
#[inline(always)]
pub(super) fn smod64(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 }
}

/// A shift that keeps the sign.
#[inline(always)]
pub(super) fn arsh32(a: u32, by: u32) -> u32 {
    (a as i32).wrapping_shr(by) as u32
}

/// A shift that keeps the sign.
#[inline(always)]
pub(super) fn arsh64(a: u64, by: u64) -> u64 {
    (a as i64).wrapping_shr(by as u32) as u64
}

/// Counts are masked, by `wrapping_shl` as by the RFC.
#[inline(always)]
pub(super) fn lsh64(a: u64, by: u64) -> u64 {
    a.wrapping_shl(by as u32)
}

/// As above.
#[inline(always)]
pub(super) fn rsh64(a: u64, by: u64) -> u64 {
    a.wrapping_shr(by as u32)
}

/// The low bits of a value, so many (the offset of a `mov`), with the sign of the highest of them.
#[inline(always)]
pub(super) fn sign_extended(value: u64, bits: i16) -> u64 {
    match bits {
        8 => i64::from(value as i8) as u64,
        16 => i64::from(value as i16) as u64,
        32 => i64::from(value as i32) as u64,
        _ => value,
    }
}

/// The low bits of a value, so many, as the machine has them: programs are little-endian.
#[inline(always)]
pub(super) fn truncated(value: u64, bits: i32) -> u64 {
    match bits {
        16 => (value as u16).into(),
        32 => (value as u32).into(),
        _ => value,
    }
}

/// The same with their bytes in the other order.
#[inline(always)]
pub(super) fn swapped(value: u64, bits: i32) -> u64 {
    match bits {
        16 => (value as u16).swap_bytes().into(),
        32 => (value as u32).swap_bytes().into(),
        _ => value.swap_bytes(),
    }
}
