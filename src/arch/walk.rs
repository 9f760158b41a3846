//! A walk of page tables as the processor does it, but through the physical map and without an access at its end.
//!
//! Levels are told by their *shift*: each entry of a table of shift 30 covers 1 GiB, of shift 21 2 MiB, of shift 12 a page,
//! in every format this crate knows.

use core::fmt;

use super::Arch;
use crate::addr::{PAGE_SHIFT, PAGE_SIZE, VirtAddr};
use crate::platform::{Frame, PhysMap};
use crate::sync::AtomicU64;

/// What a table's index takes of an address.
const INDEX_BITS: u32 = 9;

/// The table where the translation of an address begins.
///
/// It is a table of the format in use, with 8-byte entries, at a physical address. Holding one proves nothing about what is
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    table: u64,
    bits: u32,
}

impl Root {
    /// The table at this physical address, for addresses of which the walk looks at the low `bits` bits: on x86_64 48, or 57
    /// with CR4.LA57; on aarch64 64 - TxSZ, 25 to 48. `None` for other numbers of bits, and for an address that is not a
    /// multiple of the table's size.
    ///
    /// ```
    /// use kernel_arena::arch::Root;
    /// assert!(Root::new(0x10_0000, 48).is_some());
    /// assert!(Root::new(0x10_0000, 58).is_none());
    /// assert!(Root::new(0x10_0200, 36).is_some()); // 64 entries
    /// assert!(Root::new(0x10_0200, 39).is_none()); // 512
    /// ```
    pub const fn new(table: u64, bits: u32) -> Option<Self> {
        if bits < 25 || bits > 57 {
            return None;
        }
        let root = Self { table, bits };
        if table % (8 << (bits - root.shift())) == 0 && Frame::new(table / PAGE_SIZE * PAGE_SIZE).is_some() {
            Some(root)
        } else {
            None
        }
    }

    /// How many bits of an address its walk looks at.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The frame that it lies in, or begins.
    #[cfg(not(kernel_arena_loom))]
    pub(crate) fn frame(self, map: &impl PhysMap) -> Frame {
        // On x86_64 an encryption bit is set in CR3, too.
        Frame::from_entry(self.table & !map.attributes().table)
    }

    /// log2 of the bytes that each of its entries covers.
    pub const fn shift(self) -> u32 {
        PAGE_SHIFT + (self.bits - PAGE_SHIFT - 1) / INDEX_BITS * INDEX_BITS
    }

    /// Whether its tables have an entry for this address, which then is alone in having it: all bits above those that the
    /// walk looks at are the same, and where one root is for both halves, as the topmost of those.
    pub const fn reaches<A: Arch>(self, address: VirtAddr) -> bool {
        let same = if A::ONE_ROOT_FOR_BOTH_HALVES { self.bits - 1 } else { self.bits };
        let above = address.value() >> same;
        above == 0 || above == u64::MAX >> same
    }

    const fn index(self, address: VirtAddr) -> u64 {
        address.value() >> self.shift() & ((1 << (self.bits - self.shift())) - 1)
    }
}

/// Where a walk ended.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// At an entry that is not present.
    Missing {
        /// log2 of the bytes that the entry covers.
        shift: u32,
    },
    /// At memory: a page or a larger block.
    Mapped,
    /// At an entry that forbids writes to everything below.
    ReadOnly,
    /// At something else: the processor's report (aarch64: PAR_EL1.FST).
    Other(u8),
}

impl fmt::Display for WalkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { shift } => write!(f, "at a missing entry for 2^{shift} bytes"),
            Self::Mapped => f.write_str("at memory that is mapped there"),
            Self::ReadOnly => f.write_str("at an entry that forbids writes"),
            Self::Other(status) => write!(f, "with fault status {status:#04x}"),
        }
    }
}

/// One step of a walk: the entry of a table on the way, and how much it covers.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) entry: &'a AtomicU64,
    pub(crate) shift: u32,
}

/// The entries on the way to `address`, from the root on, each looked at when its turn comes: the last is not present, maps
/// memory, or covers a page.
///
/// # Safety
/// `root` and the tables that it leads to on the way are tables of this format, which `map` reaches, and stay so; or `map`
/// reaches memory that can be read, whatever frames its words name, and whose words are only accessed atomically.
pub(crate) unsafe fn walk<'a, A: Arch>(
    root: Root,
    address: VirtAddr,
    map: &'a impl PhysMap,
) -> impl Iterator<Item = Step<'a>> {
    // On x86_64 an encryption bit is set in CR3, too.
    let table = root.table & !map.attributes().table;
    let first = Step {
        // SAFETY: the root is a table, as the caller promises.
        entry: unsafe { entry_at(table + root.index(address) * 8, map) },
        shift: root.shift(),
    };
    core::iter::successors(Some(first), move |above| {
        let word = A::load(above.entry);
        if above.shift == PAGE_SHIFT || A::is_block(word) {
            return None;
        }
        let table = A::decode_table(word, map.attributes())?;
        let shift = above.shift - INDEX_BITS;
        let index = address.value() >> shift & ((1 << INDEX_BITS) - 1);
        // SAFETY: the entry above leads to a table, as the caller promises.
        let entry = unsafe { entry_at(table.address() + index * 8, map) };
        Some(Step { entry, shift })
    })
}

/// The entry at this physical address.
///
/// # Safety
/// It lies in a table that `map` reaches, at a multiple of 8, and that is only accessed atomically.
unsafe fn entry_at(address: u64, map: &impl PhysMap) -> &AtomicU64 {
    let frame = Frame::from_entry(address);
    let offset = (address % PAGE_SIZE) as usize;
    let page = map.frame_to_ptr(frame);
    // SAFETY: the physical map gives the 4096 bytes of the frame, and the offset is a multiple of 8 below that.
    let entry = unsafe { page.add(offset) }.cast::<AtomicU64>();
    // SAFETY: as the caller promises; entries are 8 bytes and aligned.
    unsafe { entry.as_ref() }
}

/// The frame of 4 KiB that the walk for `address` comes to; `None` if it ends at an entry that is not present.
///
/// # Safety
/// As for [`walk`].
pub(super) unsafe fn memory_at<A: Arch>(root: Root, address: VirtAddr, map: &impl PhysMap) -> Option<Frame> {
    // SAFETY: as the caller vouches.
    let Step { entry, shift } = unsafe { walk::<A>(root, address, map) }.last()?;
    let word = A::load(entry);
    if word & 1 == 0 {
        return None;
    }
    let within = (1 << shift) - 1;
    let attributes = map.attributes();
    let start = Frame::from_entry(word & !attributes.leaf & !attributes.table).address() & !within;
    Some(Frame::from_entry(start | address.value() & within))
}

/// Whether the walk for `address` ends at an entry that is not present and covers 2^`lowest` bytes or more. Entries that cover
/// less are not looked at.
///
/// # Safety
/// As for [`walk`].
pub(crate) unsafe fn is_missing_above<A: Arch>(root: Root, address: VirtAddr, lowest: u32, map: &impl PhysMap) -> bool {
    // SAFETY: as the caller vouches.
    let mut steps = unsafe { walk::<A>(root, address, map) }.take_while(|step| step.shift >= lowest);
    steps.any(|step| A::load(step.entry) & 1 == 0)
}

/// Where the walk for `address` ends.
///
/// # Safety
/// As for [`walk`].
pub(super) unsafe fn end_of<A: Arch>(root: Root, address: VirtAddr, map: &impl PhysMap) -> WalkEnd {
    let mut end = WalkEnd::Mapped;
    // SAFETY: as the caller vouches.
    for step in unsafe { walk::<A>(root, address, map) } {
        let word = A::load(step.entry);
        end = if word & 1 == 0 {
            WalkEnd::Missing { shift: step.shift }
        } else if A::is_read_only(word) {
            return WalkEnd::ReadOnly;
        } else {
            WalkEnd::Mapped
        };
    }
    end
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use crate::arch::x86_64::X86_64;
    use crate::platform::{EntryAttributes, FixedOffset};

    #[repr(align(4096))]
    struct Tables([[u64; 512]; 4]);

    #[test]
    fn memory_is_found_in_pages_of_each_size() {
        const LARGE: u64 = 0x83;
        const PAT: u64 = 1 << 12; // of a large page
        const NO_EXECUTE: u64 = 1 << 63;
        let encrypted = EntryAttributes { leaf: 1 << 51, table: 1 << 51 };
        let mut tables = Box::new(Tables([[0; 512]; 4]));
        let start = (&raw mut *tables).expose_provenance() as u64;
        let [root, pointers, directory, leaves] = [0, 1, 2, 3].map(|index| start + 4096 * index);
        tables.0[0][3] = pointers | 3 | encrypted.table;
        tables.0[1][0] = directory | 3 | encrypted.table;
        tables.0[1][1] = 5 << 30 | LARGE | PAT | NO_EXECUTE;
        tables.0[2][7] = 9 << 21 | LARGE | encrypted.leaf;
        tables.0[2][8] = leaves | 3 | encrypted.table;
        tables.0[3][2] = 0x1234_5000 | 0x83 | NO_EXECUTE | encrypted.leaf;
        tables.0[3][3] = 0x1234_6000;
        // SAFETY: the tables are memory at their own addresses.
        let map = unsafe { FixedOffset::new(0, encrypted) };
        let root = Root::new(root, 48).unwrap();
        let at = |address: u64| {
            // SAFETY: tables of this test's.
            unsafe { memory_at::<X86_64>(root, VirtAddr::new(3 << 39 | address), &map) }.map(Frame::address)
        };
        assert_eq!(at(1 << 30 | 0x1234_5678), Some(5 << 30 | 0x1234_5000));
        assert_eq!(at(7 << 21 | 0x3_4567), Some(9 << 21 | 0x3_4000));
        assert_eq!(at(8 << 21 | 0x2008), Some(0x1234_5000));
        for missing in [8 << 21 | 0x3000, 9 << 21, 2 << 30, 1 << 39] {
            assert_eq!(at(missing), None, "{missing:#x}");
        }
    }
}
