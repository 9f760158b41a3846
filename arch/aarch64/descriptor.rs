//! The bits of an aarch64 descriptor.

use bitflags::bitflags;

use crate::arch::{Leaf, Reach, TableReach};
use crate::platform::{EntryAttributes, Frame};

bitflags! {
    /// The bits of a stage 1 descriptor that this crate sets (Arm ARM D8.3.1 and D8.3.2, 4 KiB granule, 48-bit output).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DescriptorFlags: u64 {
        /// Bit 0: the descriptor is valid.
        const VALID = 1 << 0;
        /// Bit 1: at level 3 a page, above a table.
        const TABLE_OR_PAGE = 1 << 1;
        /// AP[1]: EL0 may access what EL1 may.
        const USER = 1 << 6;
        /// AF: accessed; in tables (FEAT_HAFT) as in pages bit 10. Set from the start, so that hardware never writes.
        const ACCESSED = 1 << 10;
        /// nG: not global.
        const NOT_GLOBAL = 1 << 11;
        /// PXN: not executable at EL1.
        const PRIVILEGED_NO_EXECUTE = 1 << 53;
        /// UXN: not executable at EL0.
        const USER_NO_EXECUTE = 1 << 54;
        /// PXNTable: nothing below is executable at EL1.
        const PRIVILEGED_NO_EXECUTE_TABLE = 1 << 59;
        /// UXNTable: nothing below is executable at EL0.
        const USER_NO_EXECUTE_TABLE = 1 << 60;
        /// APTable[0]: nothing below is accessible at EL0.
        const NO_USER_TABLE = 1 << 61;
        /// APTable[1]: nothing below is writable.
        const NO_WRITE_TABLE = 1 << 62;
    }
}

/// Bits 58:55 are the four that every version of the architecture leaves to software in a page descriptor (D8.3.2).
const SOFTWARE_SHIFT: u32 = 55;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// What the physical map may decide in a page: AttrIndx (4:2), NS (5), SH (9:8).
pub(super) const LEAF_ATTRIBUTES: u64 = 0b111 << 2 | 1 << 5 | 0b11 << 8;
/// What the physical map may decide in a table descriptor: NSTable (63).
pub(super) const TABLE_ATTRIBUTES: u64 = 1 << 63;

// AP[2] (bit 7) stays clear: writable. DBM (51) stays clear: with AP[2] clear nothing is left to mark dirty.
const PAGE: DescriptorFlags = DescriptorFlags::VALID
    .union(DescriptorFlags::TABLE_OR_PAGE)
    .union(DescriptorFlags::ACCESSED)
    .union(DescriptorFlags::NOT_GLOBAL)
    .union(DescriptorFlags::PRIVILEGED_NO_EXECUTE)
    .union(DescriptorFlags::USER_NO_EXECUTE);

const TABLE: DescriptorFlags =
    DescriptorFlags::VALID.union(DescriptorFlags::TABLE_OR_PAGE).union(DescriptorFlags::ACCESSED);

/// Open to EL0, but nothing below is executable at any level.
const PROGRAM_TABLE: DescriptorFlags =
    TABLE.union(DescriptorFlags::PRIVILEGED_NO_EXECUTE_TABLE).union(DescriptorFlags::USER_NO_EXECUTE_TABLE);

#[inline]
pub(super) fn encode_leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
    let flags = match leaf.reach {
        Reach::User => PAGE.union(DescriptorFlags::USER),
        Reach::KernelOnly => PAGE,
    };
    flags.bits() | attributes.leaf | leaf.frame.address() & ADDRESS | u64::from(leaf.software & 0xf) << SOFTWARE_SHIFT
}

#[inline]
pub(super) fn decode_leaf(word: u64, _attributes: EntryAttributes) -> Option<Leaf> {
    let flags = DescriptorFlags::from_bits_truncate(word);
    flags.contains(DescriptorFlags::VALID).then(|| Leaf {
        frame: Frame::from_entry(word & ADDRESS),
        reach: if flags.contains(DescriptorFlags::USER) { Reach::User } else { Reach::KernelOnly },
        software: (word >> SOFTWARE_SHIFT & 0xf) as u8,
    })
}

/// Entries inside the window restrict nothing; the kernel view's own entry closes all below it to EL0 and to fetches
/// (hierarchical permissions, D8.4.4: in force unless TCR_EL1.HPD0/HPD1 or FEAT_S1PIE say otherwise, which `control`
/// refuses). Closed to EL0, pages count as the kernel's, so PAN does not stop it from reaching them.
pub(super) fn encode_table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
    let flags = match reach {
        TableReach::Open | TableReach::Kernel => TABLE,
        TableReach::KernelView => TABLE
            .union(DescriptorFlags::NO_USER_TABLE)
            .union(DescriptorFlags::PRIVILEGED_NO_EXECUTE_TABLE)
            .union(DescriptorFlags::USER_NO_EXECUTE_TABLE),
        TableReach::Program => PROGRAM_TABLE,
        TableReach::ProgramReadOnly => PROGRAM_TABLE.union(DescriptorFlags::NO_WRITE_TABLE),
    };
    flags.bits() | attributes.table | table.address() & ADDRESS
}

#[inline]
pub(super) fn decode_table(word: u64, _attributes: EntryAttributes) -> Option<Frame> {
    (word & DescriptorFlags::VALID.bits() != 0).then(|| Frame::from_entry(word & ADDRESS))
}

/// Whether a descriptor above level 3 maps memory itself.
pub(super) const fn is_block(word: u64) -> bool {
    word & DescriptorFlags::TABLE_OR_PAGE.bits() == 0
}

/// Whether a table descriptor forbids writes to everything below: APTable[1].
pub(super) const fn is_read_only(word: u64) -> bool {
    is_table_with(word, DescriptorFlags::NO_WRITE_TABLE)
}

/// Whether a table descriptor forbids EL0 everything below: APTable[0].
pub(super) const fn is_closed_to_programs(word: u64) -> bool {
    is_table_with(word, DescriptorFlags::NO_USER_TABLE)
}

const fn is_table_with(word: u64, restriction: DescriptorFlags) -> bool {
    let both = restriction.union(DescriptorFlags::TABLE_OR_PAGE).bits();
    word & both == both
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AttrIndx 1, inner shareable.
    const NORMAL: EntryAttributes = EntryAttributes { leaf: 1 << 2 | 0b11 << 8, table: 0 };

    fn frame() -> Frame {
        Frame::new(0x0000_7abc_def0_1000).unwrap()
    }

    #[test]
    fn page_is_writable_no_execute_accessed_and_not_global() {
        let word = encode_leaf(Leaf { frame: frame(), reach: Reach::User, software: 0 }, NORMAL);
        assert_eq!(word, 0x0060_7abc_def0_1f47);
        let scratch = encode_leaf(Leaf { frame: frame(), reach: Reach::KernelOnly, software: 0 }, NORMAL);
        assert_eq!(scratch ^ word, DescriptorFlags::USER.bits());
    }

    #[test]
    fn software_bits_stay_in_bits_58_to_55() {
        let ones = Leaf { frame: frame(), reach: Reach::User, software: 0xf };
        let zeros = Leaf { software: 0, ..ones };
        assert_eq!(encode_leaf(ones, NORMAL) ^ encode_leaf(zeros, NORMAL), 0xf << 55);
    }

    #[test]
    fn decoding_inverts_encoding() {
        for software in 0..16 {
            for reach in [Reach::User, Reach::KernelOnly] {
                let leaf = Leaf { frame: frame(), reach, software };
                assert_eq!(decode_leaf(encode_leaf(leaf, NORMAL), NORMAL), Some(leaf));
            }
        }
        let program = [TableReach::Program, TableReach::ProgramReadOnly];
        for reach in [TableReach::Open, TableReach::KernelView, TableReach::Kernel].into_iter().chain(program) {
            assert_eq!(decode_table(encode_table(frame(), reach, NORMAL), NORMAL), Some(frame()));
        }
        assert_eq!(decode_leaf(!1, NORMAL), None);
        assert_eq!(decode_table(!1, NORMAL), None);
    }

    #[test]
    fn table_descriptors_are_accessed_and_only_the_kernel_view_is_closed() {
        assert_eq!(encode_table(frame(), TableReach::Open, NORMAL), 0x7abc_def0_1403);
        assert_eq!(encode_table(frame(), TableReach::KernelView, NORMAL), 0x3800_7abc_def0_1403);
        assert_eq!(encode_table(frame(), TableReach::Program, NORMAL), 0x1800_7abc_def0_1403);
        assert_eq!(encode_table(frame(), TableReach::ProgramReadOnly, NORMAL), 0x5800_7abc_def0_1403);
    }
}
