//! The backends: one folder a page-table format.

pub mod aarch64;
pub mod portable;
#[cfg(all(feature = "zerocopy", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) mod stubs;
pub mod x86_64;

/// The accesses of a window by the processor that the crate is compiled for.
#[cfg(all(feature = "zerocopy", not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) use portable::access;
#[cfg(all(feature = "zerocopy", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use stubs as access;

/// The interrupt masks of the CPU that runs.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub(crate) use aarch64::interrupts;
#[cfg(all(not(kernel_arena_loom), any(unix, windows, not(any(target_arch = "x86_64", target_arch = "aarch64")))))]
pub(crate) use portable::interrupts;
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub(crate) use x86_64::interrupts;

/// Fetching cache lines ahead.
#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::prefetch::prefetch_for_writing;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use portable::prefetch::prefetch_for_writing;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::prefetch::prefetch_for_writing;

/// The format of the processor that the crate is compiled for.
#[cfg(target_arch = "x86_64")]
pub type Native = x86_64::X86_64;
/// The format of the processor that the crate is compiled for.
#[cfg(target_arch = "aarch64")]
pub type Native = aarch64::AArch64;
/// The format of the processor that the crate is compiled for.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub type Native = portable::Portable;
