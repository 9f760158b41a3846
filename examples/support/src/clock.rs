//! Time, as far as a test wants it.

use crate::arch::{ARCHITECTURE, relax, ticks};

/// How long so many ticks take: exact on QEMU's aarch64, about right on x86_64.
#[must_use]
pub fn milliseconds(ticks: u64) -> u64 {
    ticks / if ARCHITECTURE == "x86_64" { 2_500_000 } else { 62_500 }
}

/// Waits so long, or a little longer, and answers shootdowns meanwhile.
pub fn pause(microseconds: u32) {
    let start = ticks();
    while milliseconds(ticks().wrapping_sub(start).saturating_mul(1000)) < microseconds.into() {
        relax();
    }
}
