//! A format that no processor walks: for models, and for hosts of other architectures.
//!
//! Its slots are changed by the `sync` module's atomics only, so loom sees every access, and a table may have
//! as few as two entries, so that a model of the whole arena stays small.

#[cfg(all(not(kernel_arena_loom), any(unix, windows, not(any(target_arch = "x86_64", target_arch = "aarch64")))))]
pub(crate) mod interrupts;

#[cfg(all(feature = "zerocopy", not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) mod access;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) mod prefetch;

use crate::arch::{Arch, Leaf, Reach, TableReach, UnsupportedCpu};
use crate::layout::ArenaLayout;
use crate::platform::{EntryAttributes, Frame};

/// Bit 0: present. Bit 1: reachable from user mode. Bit 2, in tables: nothing below is writable. Bits 51:12: the frame. Bits
/// 55:52: software.
#[derive(Debug)]
pub struct Portable<const TABLE_SHIFT: u32 = 9>;

const PRESENT: u64 = 1 << 0;
const USER: u64 = 1 << 1;
const READ_ONLY: u64 = 1 << 2;
const SOFTWARE_SHIFT: u32 = 52;

// SAFETY: the encoders and decoders invert each other (tested below), the slot functions are the trait's own atomics, and
// there is no walker to order against.
unsafe impl<const TABLE_SHIFT: u32> Arch for Portable<TABLE_SHIFT> {
    const NAME: &'static str = "portable";
    const TABLE_SHIFT: u32 = TABLE_SHIFT;
    const BREAK_BEFORE_MAKE: bool = true;
    const LEAF_ATTRIBUTES: u64 = 0;
    const TABLE_ATTRIBUTES: u64 = 0;

    #[inline]
    fn leaf(leaf: Leaf, _attributes: EntryAttributes) -> u64 {
        let user = if leaf.reach == Reach::User { USER } else { 0 };
        PRESENT | user | leaf.frame.address() | u64::from(leaf.software & 0xf) << SOFTWARE_SHIFT
    }

    #[inline]
    fn decode_leaf(word: u64, _attributes: EntryAttributes) -> Option<Leaf> {
        (word & PRESENT != 0).then(|| Leaf {
            frame: Frame::from_entry(word),
            reach: if word & USER != 0 { Reach::User } else { Reach::KernelOnly },
            software: (word >> SOFTWARE_SHIFT & 0xf) as u8,
        })
    }

    #[inline]
    fn table(table: Frame, reach: TableReach, _attributes: EntryAttributes) -> u64 {
        let user = match reach {
            TableReach::Open | TableReach::Program | TableReach::ProgramReadOnly => USER,
            TableReach::KernelView | TableReach::Kernel => 0,
        };
        let read_only = if reach == TableReach::ProgramReadOnly { READ_ONLY } else { 0 };
        PRESENT | user | read_only | table.address()
    }

    #[inline]
    fn decode_table(word: u64, _attributes: EntryAttributes) -> Option<Frame> {
        (word & PRESENT != 0).then(|| Frame::from_entry(word))
    }

    fn check_cpu(_layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        if cfg!(any(unix, windows)) { Ok(()) } else { Err(UnsupportedCpu::OtherArchitecture) }
    }
}
