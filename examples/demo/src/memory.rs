//! Loads and stores around an arena's window, at offsets good and bad.
//!
//! The kernel keeps nothing of its own in the window, and nothing else is mapped near it, so any offset is harmless.
//! Each access is one machine instruction; if its fault is declined, it is given up.

use kernel_arena::WINDOW_SIZE;
use support::{probe_read_u64, probe_write_u64};

use crate::KernelArena;
use crate::fault::Faults;

/// What an access came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No fault: a page is there, or the scratch page was.
    Plain(u64),
    /// A fault that the arena recovered; then the instruction ran.
    Recovered(u64),
    /// A fault that no arena wanted; the access was given up.
    Declined,
}

/// Reads eight bytes at an offset from the window's start.
pub(crate) fn load(arena: &KernelArena, offset: i64) -> Access {
    let address = address(arena, offset);
    access(|| {
        // SAFETY: nothing that Rust knows of is at or near the window.
        unsafe { probe_read_u64(address) }
    })
}

/// Writes eight bytes at an offset from the window's start, and says with which value.
pub(crate) fn store(arena: &KernelArena, offset: i64, value: u64) -> Access {
    let address = address(arena, offset);
    access(|| {
        // SAFETY: nothing that Rust knows of is at or near the window.
        unsafe { probe_write_u64(address, value) }.then_some(value)
    })
}

/// Makes an access and looks what faults it caused.
fn access(make: impl FnOnce() -> Option<u64>) -> Access {
    let before = Faults::so_far();
    let value = make();
    let caused = Faults::so_far().since(before);
    match (value, caused) {
        (Some(value), Faults { recovered: 0, declined: 0 }) => Access::Plain(value),
        (Some(value), Faults { declined: 0, .. }) => Access::Recovered(value),
        _ => Access::Declined,
    }
}

/// The address at `offset` from the window's start.
///
/// # Panics
/// If it is not in the window, nor within a mebibyte of it.
pub(crate) fn address(arena: &KernelArena, offset: i64) -> u64 {
    const NEAR: i64 = 1 << 20;
    assert!((-NEAR..WINDOW_SIZE.cast_signed() + NEAR).contains(&offset), "not around the window");
    arena.layout().base().value().wrapping_add_signed(offset)
}
