//! What program and kernel agree on: the numbers of system calls and of behaviours, and the shape of what they share.
//!
//! Both take it from here.

/// Ends the program, with a value.
pub const EXIT: u64 = 0;
/// Gives back the sum of its four arguments.
pub const ECHO: u64 = 1;
/// Allocates pages: an address or 0, and how many. Gives the pages' address in the program's view, or an error.
pub const ALLOC: u64 = 2;
/// Frees pages: their address, and how many. Gives 0, or an error.
pub const FREE: u64 = 3;
/// Sets pages aside: their address, and how many. Gives their address, or an error.
pub const RESERVE: u64 = 4;
/// Tells the kernel a value. Gives 0.
pub const TELL: u64 = 5;
/// A call that was refused gives this, and the reason's number in the low bits.
pub const REFUSED: u64 = 1 << 63;

/// Behaviours: the program's first argument, and what the others are.
pub mod does {
    /// Ends with the sum of 1 to the second argument.
    pub const COMPUTE: u64 = 0;
    /// Makes so many calls of `ECHO`, and ends with the number of answers that were right.
    pub const ECHOES: u64 = 1;
    /// Loads a word from an address, and ends with it.
    pub const LOAD: u64 = 2;
    /// Stores to an address a word, and ends with 0.
    pub const STORE: u64 = 3;
    /// Never ends.
    pub const SPIN: u64 = 4;
    /// Executes what is at an address.
    pub const JUMP: u64 = 5;
    /// Walks the list that begins at an address: ends with the sum of its values.
    pub const WALK: u64 = 6;
    /// Builds a list of so many nodes on pages that it asks for, with values 1 and on: ends with its head.
    pub const BUILD: u64 = 7;
    /// Looks in the table at an address for keys 1 to so many: ends with the sum of their values.
    pub const LOOK_UP: u64 = 8;
    /// Enters into the table at an address, which has room, keys from so many on, so many of them, each with its double.
    pub const ENTER: u64 = 9;
    /// Makes all atomic operations on the words at an address, so many times each: ends with the number of those that lost nothing.
    pub const ATOMICS: u64 = 10;
    /// Makes one call, of a number, with two arguments: ends with its answer.
    pub const CALL: u64 = 11;
    /// Reads a word until it is not zero, tells the kernel so, and goes on reading for ever.
    pub const WATCH: u64 = 12;
    /// Answers messages at an address, so many, with flags of so many bytes: waits for the kernel's, reads and writes the message,
    /// sets its own.
    pub const ANSWER: u64 = 13;
    /// Does its worst: a seed, the base of its view, and how many things.
    pub const WORST: u64 = 14;
    /// Writes so many words from an address on, 4096 bytes apart, and ends with how many pages were zero before.
    pub const TOUCH: u64 = 15;
    /// Does something that only a kernel may: which of [`FORBIDDEN`](super::FORBIDDEN) things.
    pub const FORBIDDEN: u64 = 16;
    /// Sets flags of the processor's that a kernel must not run with, tells the kernel, and ends with whether they are still set.
    pub const FLAGS: u64 = 17;
    /// Fills all registers with numbers of a seed, comes into the kernel in one of three ways ([`CALLS`](super::CALLS),
    /// [`LOADS`](super::LOADS), [`WAITS`](super::WAITS)) and ends with a bit for each register that was lost: which way, the
    /// seed, and an address.
    pub const REGISTERS: u64 = 18;
}

/// How many forbidden things a program knows.
pub const FORBIDDEN: u64 = 9;

/// A way into the kernel: by a call of [`TELL`].
pub const CALLS: u64 = 0;
/// By a load of a word, which is 0.
pub const LOADS: u64 = 1;
/// By whatever comes until a word is 1.
pub const WAITS: u64 = 2;

/// A node of a list: the next one's address as programs have it, 0 at the end, and a value.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Node {
    /// The next.
    pub next: u64,
    /// The value.
    pub value: u64,
}

/// Buckets of a table, each the address of its first entry as programs have it, or 0.
pub const BUCKETS: u64 = 64;

/// An entry of a table.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// The next in the bucket.
    pub next: u64,
    /// The key, which is not 0.
    pub key: u64,
    /// The value.
    pub value: u64,
}

/// The bucket that a key belongs to.
#[must_use]
pub const fn bucket(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58
}
