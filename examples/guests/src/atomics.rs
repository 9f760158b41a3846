//! Atomic operations on words that the kernel changes, too.
//!
//! Every operation is one whose effect on its word can be told whatever others do to other bits of it: sums add up, each side has
//! bits of its own, and a compare-exchange is tried until it succeeds.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use crate::machine::{atomic32, atomic64};

/// The program's bits in words of which the kernel has others.
const OURS_64: u64 = 0xffff_0000_ffff_0000;
const OURS_32: u32 = 0xff00_ff00;

/// Words, from an address on: 64 bits to add to and subtract from, to set and clear bits in, to flip bits of, to count in by
/// compare-exchange, to exchange; then the same with 32 bits. Ends with the number of operations that went wrong.
pub(crate) fn all(words: u64, times: u64) -> u64 {
    let wide = |number: u64| atomic64(words + number * 8);
    let narrow = |number: u64| atomic32(words + 64 + number * 4);
    let mut wrong = 0;
    for _ in 0..times {
        wide(0).fetch_add(3, AcqRel);
        wide(0).fetch_sub(1, Relaxed);
        narrow(0).fetch_add(3, SeqCst);
        narrow(0).fetch_sub(1, Release);
        // Bits of one's own are as one left them.
        wrong += u64::from(wide(1).fetch_or(OURS_64, Acquire) & OURS_64 != 0);
        wrong += u64::from(wide(1).fetch_and(!OURS_64, AcqRel) & OURS_64 != OURS_64);
        wrong += u64::from(narrow(1).fetch_or(OURS_32, Acquire) & OURS_32 != 0);
        wrong += u64::from(narrow(1).fetch_and(!OURS_32, AcqRel) & OURS_32 != OURS_32);
        wrong += u64::from(wide(2).fetch_xor(OURS_64, SeqCst) & OURS_64 != 0);
        wrong += u64::from(wide(2).fetch_xor(OURS_64, SeqCst) & OURS_64 != OURS_64);
        wrong += u64::from(narrow(2).fetch_xor(OURS_32, SeqCst) & OURS_32 != 0);
        wrong += u64::from(narrow(2).fetch_xor(OURS_32, SeqCst) & OURS_32 != OURS_32);
        let mut seen = wide(3).load(Relaxed);
        while let Err(now) = wide(3).compare_exchange(seen, seen + 1, AcqRel, Acquire) {
            seen = now;
        }
        let mut seen = narrow(3).load(Relaxed);
        while let Err(now) = narrow(3).compare_exchange_weak(seen, seen + 1, SeqCst, Relaxed) {
            seen = now;
        }
        // A token is passed: whoever takes it puts it back.
        let token = wide(4).swap(0, AcqRel);
        if token != 0 {
            wide(5).fetch_add(1, Relaxed);
            wide(4).store(token, Release);
        }
        let token = narrow(4).swap(0, AcqRel);
        if token != 0 {
            narrow(5).fetch_add(1, Relaxed);
            narrow(4).store(token, Release);
        }
    }
    wrong
}
