//! The memory type of the arena's pages: MAIR_EL1 (Arm ARM D24.2.113) and the shareability.

use super::probe::{Translation, translate};
use crate::addr::VirtAddr;
use crate::arch::MemoryTypeError;
use crate::platform::{CpuCount, EntryAttributes};

/// SH, bits 9:8 of a leaf: 0b11 is inner shareable, 0b10 outer.
const SHAREABILITY_SHIFT: u32 = 8;
/// AttrIndx, bits 4:2.
const INDEX_SHIFT: u32 = 2;
const INNER_SHAREABLE: u64 = 0b11;
/// Normal memory, inner and outer write-back non-transient, allocating: what kernels use.
const WRITE_BACK: u8 = 0xff;
/// The same with tags (FEAT_MTE).
const TAGGED: u8 = 0xf0;

/// Whether a byte of MAIR_EL1 is Device memory, nGnRnE to GRE.
const fn is_device(mair: u8) -> bool {
    mair >> 4 == 0
}

/// Whether it is inner and outer write-back: 0b01RW with RW not 0 (transient) or 0b11RW in both halves; or tagged.
const fn is_write_back(mair: u8) -> bool {
    const fn half(bits: u8) -> bool {
        bits >> 2 == 0b11 || bits >> 2 == 0b01 && bits & 0b11 != 0
    }
    mair == TAGGED || half(mair >> 4) && half(mair & 0xf)
}

/// The attributes of ordinary memory by this MAIR_EL1: AttrIndx of the byte that kernels use, else of its first that is
/// write-back without tags, inner shareable. What else such bytes say are hints on allocation, in which mappings of a
/// page may differ (B2.16).
fn normal_by(mair: u64) -> Option<EntryAttributes> {
    let of_type = |wanted: fn(&u8) -> bool| (0..).zip(mair.to_le_bytes()).find(|(_, byte)| wanted(byte));
    let (index, _): (u64, u8) =
        of_type(|byte| *byte == WRITE_BACK).or_else(|| of_type(|byte| *byte != TAGGED && is_write_back(*byte)))?;
    Some(EntryAttributes { leaf: index << INDEX_SHIFT | INNER_SHAREABLE << SHAREABILITY_SHIFT, table: 0 })
}

/// Checks `attributes` against MAIR_EL1, and against what the physical map has at a frame of the arena's.
fn check(cpus: CpuCount, attributes: EntryAttributes, mair: u64, mapped: Translation) -> Result<(), MemoryTypeError> {
    let index = (attributes.leaf >> INDEX_SHIFT & 0b111) as u8;
    let value = mair.to_le_bytes()[usize::from(index)];
    if is_device(value) {
        return Err(MemoryTypeError::Device { index, mair: value });
    }
    if !is_write_back(value) {
        return Err(MemoryTypeError::NotWriteBack { index, value });
    }
    let shareable = |shareability: u64| shareability & 0b10 != 0;
    let own = shareable(attributes.leaf >> SHAREABILITY_SHIFT);
    if !own && cpus != CpuCount::ONE {
        return Err(MemoryTypeError::NotShareable);
    }
    let (mair, shareability) = mapped.memory().ok_or(MemoryTypeError::NotMapped)?;
    if !is_write_back(mair) || shareable(u64::from(shareability)) != own {
        return Err(MemoryTypeError::NotTheMaps { mair, shareability });
    }
    Ok(())
}

/// The attributes of ordinary memory on this CPU: inner-shareable write-back, by the first byte of MAIR_EL1 that is 0xff,
/// or else that says so in another way; `None` if none does. For
/// [`FixedOffset::new`](crate::platform::FixedOffset::new) of a kernel whose physical map has such memory, as it should;
/// [`attributes_at`] says what it has.
pub fn normal_memory() -> Option<EntryAttributes> {
    normal_by(mair())
}

/// The attributes with which this CPU maps `address`: an address in the physical map, for
/// [`FixedOffset::new`](crate::platform::FixedOffset::new), whatever the kernel has chosen for it. `None` if nothing is
/// mapped there, if MAIR_EL1 has no such type, and in a process.
pub fn attributes_at(address: VirtAddr) -> Option<EntryAttributes> {
    attributes_by(mair(), translate(address)?)
}

/// AttrIndx of the first byte of this MAIR_EL1 that is the type of a translation, with its shareability.
fn attributes_by(mair: u64, mapped: Translation) -> Option<EntryAttributes> {
    let (byte, shareability) = mapped.memory()?;
    let (index, _) = (0u64..).zip(mair.to_le_bytes()).find(|(_, of_index)| *of_index == byte)?;
    let leaf = index << INDEX_SHIFT | u64::from(shareability) << SHAREABILITY_SHIFT;
    Some(EntryAttributes { leaf, table: 0 })
}

/// Reads the register, and asks the walker what the physical map has at `mapped`, where there is one.
pub(super) fn check_on_this_cpu(
    cpus: CpuCount,
    attributes: EntryAttributes,
    mapped: VirtAddr,
) -> Result<(), MemoryTypeError> {
    translate(mapped).map_or(Ok(()), |mapped| check(cpus, attributes, mair(), mapped))
}

#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
fn mair() -> u64 {
    use aarch64_cpu::registers::{MAIR_EL1, Readable};
    MAIR_EL1.get()
}

/// Type 0 is ordinary memory: a process cannot read the register.
#[cfg(any(not(target_arch = "aarch64"), unix, windows))]
fn mair() -> u64 {
    WRITE_BACK.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Device, non-cacheable, write-back, write-through.
    const MAIR: u64 = 0xbb_ff_44_04;
    const NORMAL: EntryAttributes = EntryAttributes { leaf: 2 << 2 | 0b11 << 8, table: 0 };
    const TWO: CpuCount = CpuCount::new(2).unwrap();

    fn mapped(mair: u64, shareability: u64) -> Translation {
        Translation::from_par(mair << 56 | shareability << 7)
    }

    #[test]
    fn ordinary_memory_is_found_by_its_byte() {
        assert_eq!(normal_by(MAIR), Some(NORMAL));
        assert_eq!(normal_by(0x00_44_04), None);
        // Write-back that allocates on reads alone, and transient; the usual byte is preferred.
        let index = |mair| normal_by(mair).map(|normal| normal.leaf >> 2 & 7);
        assert_eq!((index(0xee_44_00), index(0x77_04_00), index(0xff_ee_00)), (Some(2), Some(2), Some(2)));
        assert_eq!(index(0xf0_bb_00), None, "tags, write-through");
    }

    #[test]
    fn what_is_mapped_is_told_as_a_descriptor_has_it() {
        assert_eq!(attributes_by(MAIR, mapped(0xff, 0b11)), Some(NORMAL));
        assert_eq!(attributes_by(MAIR, mapped(0xbb, 0)), Some(EntryAttributes { leaf: 3 << 2, table: 0 }));
        assert_eq!(attributes_by(MAIR, mapped(0xee, 0b11)), None);
        assert_eq!(attributes_by(MAIR, Translation::from_par(1)), None);
    }

    #[test]
    fn each_other_type_is_refused_by_name() {
        use MemoryTypeError::*;
        let good = mapped(0xff, 0b11);
        let of = |leaf| check(TWO, EntryAttributes { leaf, table: 0 }, MAIR, good);
        assert_eq!(of(NORMAL.leaf), Ok(()));
        assert_eq!(of(0), Err(Device { index: 0, mair: 0x04 }), "the default");
        assert_eq!(of(1 << 2 | 0b11 << 8), Err(NotWriteBack { index: 1, value: 0x44 }));
        assert_eq!(of(3 << 2 | 0b11 << 8), Err(NotWriteBack { index: 3, value: 0xbb }));
        assert_eq!(of(2 << 2), Err(NotShareable));
        assert_eq!(of(2 << 2 | 0b10 << 8), Ok(()), "outer shareable");
    }

    #[test]
    fn the_physical_map_must_have_the_same() {
        use MemoryTypeError::*;
        let against = |mapped| check(TWO, NORMAL, MAIR, mapped);
        assert_eq!(against(mapped(0x44, 0b11)), Err(NotTheMaps { mair: 0x44, shareability: 0b11 }));
        assert_eq!(against(mapped(0xff, 0b00)), Err(NotTheMaps { mair: 0xff, shareability: 0 }));
        assert_eq!(against(mapped(0xf0, 0b10)), Ok(()), "tags do not matter");
        assert_eq!(against(Translation::from_par(1 | 0b000101 << 1)), Err(NotMapped));
        let unshared = EntryAttributes { leaf: 2 << 2, table: 0 };
        assert_eq!(check(CpuCount::ONE, unshared, MAIR, mapped(0xff, 0)), Ok(()), "one CPU");
        let shared = Err(NotTheMaps { mair: 0xff, shareability: 0b11 });
        assert_eq!(check(CpuCount::ONE, unshared, MAIR, mapped(0xff, 0b11)), shared);
    }
}
