//! A list, a table and a lock that program and kernel share, in Rust.
//!
//! Nothing in it may panic: what does calls functions that no kernel has, and the object is refused by their names. It is compiled
//! against a `core` built for `bpf.json`, the compiler's own target with atomics of 32 bits, compare-exchange, and objects in ELF
//! in place of bitcode:
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 rustc -Zunstable-options --target bpf.json --edition 2024 --crate-type rlib --emit obj \
//!     -Copt-level=2 -Ccodegen-units=1 -Cpanic=abort --extern noprelude:core=libcore.rmeta \
//!     -o ../objects/shared.rustc.v4.o shared.rs
//! ```

#![no_std]

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

/// A node of a list that program and kernel share.
#[repr(C)]
pub struct Node {
    next: *mut Node,
    value: u64,
}

/// The first node.
#[unsafe(no_mangle)]
pub static mut HEAD: *mut Node = ptr::null_mut();

/// Data that are not all zeros.
#[unsafe(no_mangle)]
pub static mut SQUARES: [u64; 4] = [0, 1, 4, 9];

/// Constants that refer to other data.
static NAMES: [&[u8]; 3] = [b"one", b"three", b"eleven"];

/// Two numbers that are equal whenever nobody holds the lock.
#[repr(C)]
pub struct Guarded {
    lock: AtomicU32,
    spins: AtomicU32,
    first: u64,
    second: u64,
}

/// Those that the kernel counts, too.
#[unsafe(no_mangle)]
pub static mut GUARDED: Guarded = Guarded { lock: AtomicU32::new(0), spins: AtomicU32::new(0), first: 0, second: 0 };

/// Pushes a node that the kernel has made.
///
/// # Safety
/// It is nobody else's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn push(node: *mut Node) -> u64 {
    unsafe {
        (*node).next = HEAD;
        HEAD = node;
        (*node).value
    }
}

/// The sum of all values; of `limit` nodes at most, for the list may be a ring.
///
/// # Safety
/// Nobody changes the list meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sum(limit: u64) -> u64 {
    let (mut total, mut left) = (0u64, limit);
    let mut node = unsafe { HEAD };
    while !node.is_null() && left > 0 {
        unsafe {
            total = total.wrapping_add((*node).value);
            node = (*node).next;
        }
        left -= 1;
    }
    total
}

/// The square of a number that the table has, or else -1.
///
/// # Safety
/// Nobody changes the table meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn square(number: u64) -> u64 {
    let squares = unsafe { ptr::read_volatile(&raw const SQUARES) };
    squares.get(number as usize).copied().unwrap_or(u64::MAX)
}

/// How long a name is, and its first letter.
#[unsafe(no_mangle)]
pub extern "C" fn name(number: u64) -> u64 {
    let Some(name) = NAMES.get(number as usize) else { return 0 };
    (name.len() as u64) << 8 | name.first().copied().map_or(0, u64::from)
}

/// Counts both numbers up under the lock; how often they were found different.
///
/// # Safety
/// Whoever else counts takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn count(times: u64) -> u64 {
    let guarded = &raw mut GUARDED;
    let (lock, spins) = unsafe { (&(*guarded).lock, &(*guarded).spins) };
    let mut torn = 0;
    for _ in 0..times {
        while lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spins.fetch_add(1, Ordering::Relaxed);
        }
        unsafe {
            let (first, second) = (&raw mut (*guarded).first, &raw mut (*guarded).second);
            torn += u64::from(first.read_volatile() != second.read_volatile());
            first.write_volatile(first.read_volatile() + 1);
            second.write_volatile(second.read_volatile() + 1);
        }
        lock.store(0, Ordering::Release);
    }
    torn
}
