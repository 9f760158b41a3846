//! How much code a kernel has: the sections of its ELF file that are executable.
//!
//! As much of the format (System V ABI, 4: Object Files) as that takes, of the kind that both targets have: 64 bits, low byte first.

/// Where the table of sections starts, how long an entry is, and how many there are: offsets in the header.
const TABLE: usize = 0x28;
const ENTRY_BYTES: usize = 0x3a;
const COUNT: usize = 0x3c;
/// Offsets in an entry.
const FLAGS: usize = 0x8;
const SIZE: usize = 0x20;
/// The flag of a section that is executed.
const EXECUTED: u64 = 4;

/// The bytes of code in a file.
///
/// # Errors
///
/// It is no such file.
pub(crate) fn code_bytes(file: &[u8]) -> Result<u64, String> {
    let sections = || {
        if file.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let table = usize::try_from(word(file, TABLE)?).ok()?;
        let (entry, count) = (half(file, ENTRY_BYTES)?, half(file, COUNT)?);
        (0..count).map(|number| file.get(table.checked_add(number * entry)?..)).collect::<Option<Vec<_>>>()
    };
    let size = |section: &[u8]| Some(if word(section, FLAGS)? & EXECUTED == 0 { 0 } else { word(section, SIZE)? });
    sections()
        .and_then(|sections| sections.into_iter().map(size).sum())
        .ok_or_else(|| "it is no ELF file of 64 bits".to_owned())
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|half| u16::from_le_bytes(*half).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these sections' flags and sizes.
    fn file(sections: &[(u64, u64)]) -> Vec<u8> {
        let mut file = vec![0; 64 + 64 * sections.len()];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[TABLE] = 64;
        file[ENTRY_BYTES] = 64;
        file[COUNT] = u8::try_from(sections.len()).expect("few");
        for (entry, (flags, size)) in file[64..].chunks_mut(64).zip(sections) {
            entry[FLAGS..FLAGS + 8].copy_from_slice(&flags.to_le_bytes());
            entry[SIZE..SIZE + 8].copy_from_slice(&size.to_le_bytes());
        }
        file
    }

    #[test]
    fn executable_sections_are_summed() {
        assert_eq!(code_bytes(&file(&[(0, 9), (2 | EXECUTED, 1000), (3, 50), (EXECUTED, 24)])), Ok(1024));
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let whole = file(&[(EXECUTED, 1)]);
        for bytes in [&[][..], b"#!/bin/sh\n", &whole[..100], &whole[..40]] {
            assert!(code_bytes(bytes).is_err(), "{} bytes", bytes.len());
        }
    }
}
