//! The bits of an x86_64 entry.

use bitflags::bitflags;

use crate::arch::{Leaf, Reach, TableReach};
use crate::platform::{EntryAttributes, Frame};

bitflags! {
    /// The bits of a paging-structure entry that this crate sets (Intel SDM vol. 3, tables 5-16 to 5-20).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EntryFlags: u64 {
        /// P: the entry is present.
        const PRESENT = 1 << 0;
        /// R/W: writes are allowed.
        const WRITABLE = 1 << 1;
        /// U/S: user mode may reach what is below, if all levels say so.
        const USER = 1 << 2;
        /// PWT: memory type, with PCD and PAT.
        const WRITE_THROUGH = 1 << 3;
        /// PCD: memory type.
        const CACHE_DISABLE = 1 << 4;
        /// A: accessed; set from the start, so that the processor never writes the entry.
        const ACCESSED = 1 << 5;
        /// D: dirty, in leaves; set from the start.
        const DIRTY = 1 << 6;
        /// PAT: memory type, in 4 KiB leaves.
        const PAT = 1 << 7;
        /// XD: instruction fetches are not allowed.
        const NO_EXECUTE = 1 << 63;
    }
}

/// Four of the ignored bits 58:52. Bits 62:59 are protection keys' when CR4.PKE or PKS is set, bit 11 has a meaning under
/// HLAT paging: both are left alone.
const SOFTWARE_SHIFT: u32 = 52;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Where an encryption bit may lie (AMD APM vol. 2, 15.34.1: CPUID 8000_001F gives it; Intel TDX: the top address bit).
const ENCRYPTION: u64 = 0x000f_8000_0000_0000;

/// What the physical map may decide in a leaf: the memory type and an encryption bit.
pub(super) const LEAF_ATTRIBUTES: u64 =
    EntryFlags::WRITE_THROUGH.union(EntryFlags::CACHE_DISABLE).union(EntryFlags::PAT).bits() | ENCRYPTION;

/// What the physical map may decide in a table entry.
pub(super) const TABLE_ATTRIBUTES: u64 = EntryFlags::WRITE_THROUGH.union(EntryFlags::CACHE_DISABLE).bits() | ENCRYPTION;

const LEAF: EntryFlags = EntryFlags::PRESENT
    .union(EntryFlags::WRITABLE)
    .union(EntryFlags::ACCESSED)
    .union(EntryFlags::DIRTY)
    .union(EntryFlags::NO_EXECUTE);

const TABLE: EntryFlags = EntryFlags::PRESENT.union(EntryFlags::WRITABLE).union(EntryFlags::ACCESSED);

#[inline]
pub(super) fn encode_leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
    let flags = match leaf.reach {
        Reach::User => LEAF.union(EntryFlags::USER),
        Reach::KernelOnly => LEAF,
    };
    flags.bits() | attributes.leaf | leaf.frame.address() | u64::from(leaf.software & 0xf) << SOFTWARE_SHIFT
}

#[inline]
pub(super) fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf> {
    let flags = EntryFlags::from_bits_truncate(word);
    flags.contains(EntryFlags::PRESENT).then(|| Leaf {
        frame: Frame::from_entry(word & !attributes.leaf),
        reach: if flags.contains(EntryFlags::USER) { Reach::User } else { Reach::KernelOnly },
        software: (word >> SOFTWARE_SHIFT & 0xf) as u8,
    })
}

/// Entries inside the window carry U and no XD, so that the entry above and the leaves decide; the kernel view's own entry
/// is closed to user mode (all levels must agree on U) and to fetches (any level's XD is enough): SDM vol. 3, 5.6.1.
pub(super) fn encode_table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
    let flags = match reach {
        TableReach::Open => TABLE.union(EntryFlags::USER),
        TableReach::KernelView => TABLE.union(EntryFlags::NO_EXECUTE),
        TableReach::Program => TABLE.union(EntryFlags::USER).union(EntryFlags::NO_EXECUTE),
        TableReach::ProgramReadOnly => {
            TABLE.difference(EntryFlags::WRITABLE).union(EntryFlags::USER).union(EntryFlags::NO_EXECUTE)
        }
        TableReach::Kernel => TABLE,
    };
    flags.bits() | attributes.table | table.address()
}

#[inline]
pub(super) fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame> {
    (word & EntryFlags::PRESENT.bits() != 0).then(|| Frame::from_entry(word & (ADDRESS & !attributes.table)))
}

/// Whether an entry above the leaves maps memory itself: PS, which is PAT's bit in a leaf (SDM vol. 3, tables 5-16 and 5-18).
pub(super) const fn is_block(word: u64) -> bool {
    word & 1 << 7 != 0
}

/// Whether an entry forbids user mode everything below (5.6.1: all levels must agree on U).
pub(super) const fn is_closed_to_programs(word: u64) -> bool {
    word & EntryFlags::USER.bits() == 0
}

/// Whether an entry forbids writes to everything below (5.6.1: with CR0.WP, which `control` asks for).
pub(super) const fn is_read_only(word: u64) -> bool {
    word & EntryFlags::WRITABLE.bits() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: EntryAttributes = EntryAttributes { leaf: 0, table: 0 };

    fn frame() -> Frame {
        Frame::new(0x0000_7abc_def0_1000).unwrap()
    }

    #[test]
    fn leaf_is_writable_no_execute_accessed_dirty_and_not_global() {
        let word = encode_leaf(Leaf { frame: frame(), reach: Reach::User, software: 0 }, PLAIN);
        assert_eq!(word, 0x8000_7abc_def0_1067);
        assert_eq!(word & 1 << 8, 0, "G");
        let scratch = encode_leaf(Leaf { frame: frame(), reach: Reach::KernelOnly, software: 0 }, PLAIN);
        assert_eq!(scratch ^ word, EntryFlags::USER.bits());
    }

    #[test]
    fn software_bits_stay_in_bits_58_to_52() {
        let ones = Leaf { frame: frame(), reach: Reach::User, software: 0xf };
        let zeros = Leaf { software: 0, ..ones };
        assert_eq!(encode_leaf(ones, PLAIN) ^ encode_leaf(zeros, PLAIN), 0xf << 52);
    }

    #[test]
    fn decoding_inverts_encoding_with_any_attributes() {
        let encrypted = EntryAttributes { leaf: 1 << 51 | 1 << 3 | 1 << 7, table: 1 << 51 | 1 << 4 };
        for attributes in [PLAIN, encrypted] {
            for software in 0..16 {
                for reach in [Reach::User, Reach::KernelOnly] {
                    let leaf = Leaf { frame: frame(), reach, software };
                    assert_eq!(decode_leaf(encode_leaf(leaf, attributes), attributes), Some(leaf));
                }
            }
            let program = [TableReach::Program, TableReach::ProgramReadOnly];
            for reach in [TableReach::Open, TableReach::KernelView, TableReach::Kernel].into_iter().chain(program) {
                assert_eq!(decode_table(encode_table(frame(), reach, attributes), attributes), Some(frame()));
            }
        }
        assert_eq!(decode_leaf(0xffff_ffff_ffff_fffe, PLAIN), None);
        assert_eq!(decode_table(0xffff_ffff_ffff_fffe, PLAIN), None);
    }

    #[test]
    fn table_entries_are_accessed_and_only_the_kernel_view_is_closed() {
        assert_eq!(encode_table(frame(), TableReach::Open, PLAIN), 0x7abc_def0_1027);
        assert_eq!(encode_table(frame(), TableReach::KernelView, PLAIN), 0x8000_7abc_def0_1023);
        assert_eq!(encode_table(frame(), TableReach::Kernel, PLAIN), 0x7abc_def0_1023);
        assert_eq!(encode_table(frame(), TableReach::Program, PLAIN), 0x8000_7abc_def0_1027);
        assert_eq!(encode_table(frame(), TableReach::ProgramReadOnly, PLAIN), 0x8000_7abc_def0_1025);
    }
}
