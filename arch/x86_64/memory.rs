//! The memory type of the arena's pages: IA32_PAT (Intel SDM vol. 3, 13.12).

use crate::arch::MemoryTypeError;
use crate::platform::EntryAttributes;

use super::entry::EntryFlags;

/// The eight types of IA32_PAT, lowest first; `None` where there is no such register to read.
pub(super) type Types = Option<[u8; 8]>;

/// WB, among the types of table 13-10.
const WRITE_BACK: u8 = 6;

/// Whether these bits make write-back memory (table 13-11: PAT, PCD, PWT are the number of the type).
pub(super) fn check(attributes: EntryAttributes, types: Types) -> Result<(), MemoryTypeError> {
    let leaf = EntryFlags::from_bits_retain(attributes.leaf);
    let bit = |flag, value| if leaf.contains(flag) { value } else { 0 };
    let index: u8 = bit(EntryFlags::WRITE_THROUGH, 1) | bit(EntryFlags::CACHE_DISABLE, 2) | bit(EntryFlags::PAT, 4);
    match types.map(|types| types[usize::from(index)]) {
        Some(WRITE_BACK) | None => Ok(()),
        Some(value) => Err(MemoryTypeError::NotWriteBack { index, value }),
    }
}

/// This CPU's IA32_PAT, which every processor with long mode has.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub(super) fn types() -> Types {
    let pat = x86_64::registers::model_specific::Msr::new(0x277);
    // SAFETY: IA32_PAT exists wherever long mode does, and reading it has no effect.
    Some(unsafe { pat.read() }.to_le_bytes())
}

/// A process has no such register.
#[cfg(any(not(target_arch = "x86_64"), unix, windows))]
pub(super) fn types() -> Types {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_write_back_will_do() {
        // As after reset: WB, WT, UC-, UC, and again.
        let reset = Some([6, 4, 7, 0, 6, 4, 7, 0]);
        let of = |leaf| check(EntryAttributes { leaf, table: 0 }, reset);
        assert_eq!((of(0), of(1 << 7)), (Ok(()), Ok(())));
        assert_eq!(of(1 << 3), Err(MemoryTypeError::NotWriteBack { index: 1, value: 4 }));
        assert_eq!(of(1 << 4 | 1 << 7), Err(MemoryTypeError::NotWriteBack { index: 6, value: 7 }));
        assert_eq!(check(EntryAttributes { leaf: 1 << 3, table: 0 }, None), Ok(()));
    }
}
