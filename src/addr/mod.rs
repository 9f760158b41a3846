//! Addresses, page numbers and the 32-bit pointer that both sides share.
//!
//! A byte of the window has three names: its offset ([`ArenaPtr`], 32 bits, what a program stores), its address in the
//! kernel view ([`KernelAddr`]) and its address in a program view ([`ProgramAddr`]). The three are types of their own,
//! so that none is taken for another; each conversion has a name, and one that could lose bits returns a [`Result`].
//! What is not here: access to the memory behind an address.

mod pages;
mod pointer;
mod program;
mod virt;

pub use pages::{PageCount, PageIndex, PageRange};
pub use pointer::ArenaPtr;
pub(crate) use program::window_offset;
pub use program::{OutsideWindow, ProgramBase};
pub use virt::{AddressRange, KernelAddr, ProgramAddr, VirtAddr};

/// log2 of the page size.
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a page: 4 KiB, the only granule this crate maps.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// The same, to compare sizes of memory with.
pub(crate) const PAGE_BYTES: usize = 1 << PAGE_SHIFT;
/// Bytes in the window: 4 GiB.
pub const WINDOW_SIZE: u64 = 1 << 32;
/// Pages in the window: 2^20.
pub const WINDOW_PAGES: u32 = 1 << (32 - PAGE_SHIFT);
/// Bytes in each guard: 32 KiB, what a signed 16-bit displacement can overshoot the window by.
pub const GUARD_SIZE: u64 = 1 << 15;
