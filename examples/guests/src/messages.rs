//! Messages through shared memory, by load-acquire and store-release.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::machine::{atomic8, atomic16, atomic32, atomic64, call};
use guests::abi::TELL;

/// Reads a word until it is not 0, says so, and reads on for ever.
pub(crate) fn watch(word: u64) -> u64 {
    while atomic64(word).load(Acquire) == 0 {}
    call(TELL, [atomic64(word).load(Relaxed), 0, 0, 0]);
    loop {
        let _read = atomic64(word).load(Relaxed);
    }
}

/// Answers so many messages: a flag that counts the kernel's, a flag that counts ours, and the message. The flags are the low bytes
/// of their words. Ends with the number of messages that were right.
pub(crate) fn answer(at: u64, count: u64, flag_bytes: u64) -> u64 {
    let (asked, answered, message) = (Flag { at, bytes: flag_bytes }, Flag { at: at + 8, bytes: flag_bytes }, at + 16);
    let mut right = 0;
    for number in 1..=count {
        while asked.load() != asked.cut(number) {
            core::hint::spin_loop();
        }
        right += u64::from(atomic64(message).load(Relaxed) == number * 3);
        atomic64(message).store(number * 5, Relaxed);
        answered.store(number);
    }
    right
}

/// A flag of 1, 2, 4 or 8 bytes.
struct Flag {
    at: u64,
    bytes: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "a flag has the low bytes of a count")]
impl Flag {
    fn cut(&self, count: u64) -> u64 {
        match self.bytes {
            1 => (count as u8).into(),
            2 => (count as u16).into(),
            4 => (count as u32).into(),
            _ => count,
        }
    }

    fn load(&self) -> u64 {
        match self.bytes {
            1 => atomic8(self.at).load(Acquire).into(),
            2 => atomic16(self.at).load(Acquire).into(),
            4 => atomic32(self.at).load(Acquire).into(),
            _ => atomic64(self.at).load(Acquire),
        }
    }

    fn store(&self, count: u64) {
        match self.bytes {
            1 => atomic8(self.at).store(count as u8, Release),
            2 => atomic16(self.at).store(count as u16, Release),
            4 => atomic32(self.at).store(count as u32, Release),
            _ => atomic64(self.at).store(count, Release),
        }
    }
}
