//! Lines of the source, as compilers note them with `-g`: sections `.BTF.ext`, and `.BTF` for the strings.
//!
//! The format is that of the kernel documentation's page on BTF: headers with offsets of their parts, then, for each section of
//! code, records by byte of the section. It is looked through from start to end; what is broken says nothing.

use super::Name;
use super::file::File;

/// A place in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'o> {
    /// The file, as the compiler was given it.
    pub file: Name<'o>,
    /// The line, from 1 on.
    pub line: u32,
    /// The column, from 1 on; 0 where it is unknown.
    pub column: u32,
    /// What is there.
    pub text: Name<'o>,
}

const MAGIC: u16 = 0xeb9f;

/// The line of the instruction at a byte of a section.
pub(super) fn find<'o>(file: &File<'o>, section: Name<'o>, byte: u32) -> Option<Line<'o>> {
    let strings = part(contents(file, ".BTF")?, 16)?;
    let mut info = part(contents(file, ".BTF.ext")?, 16)?;
    let record_size = usize::try_from(word(info, 0)?).ok().filter(|size| *size >= 16)?;
    info = info.get(4..)?;
    let mut best: Option<(u32, &[u8])> = None;
    // Each round takes eight bytes at least.
    while let (Some(name), Some(count)) = (word(info, 0), word(info, 4)) {
        let length = usize::try_from(count).ok()?.checked_mul(record_size)?;
        let (records, rest) = info.get(8..)?.split_at_checked(length)?;
        info = rest;
        if Name::at(strings, name) != section {
            continue;
        }
        for record in records.chunks_exact(record_size) {
            let first = word(record, 0)?;
            if first <= byte && best.is_none_or(|(before, _)| before <= first) {
                best = Some((first, record));
            }
        }
    }
    let (_, record) = best?;
    let place = word(record, 12)?;
    let string = |at| Some(Name::at(strings, word(record, at)?));
    Some(Line { file: string(4)?, line: place >> 10, column: place & 0x3ff, text: string(8)?.trimmed() })
}

fn contents<'o>(file: &File<'o>, name: &str) -> Option<&'o [u8]> {
    file.contents(&file.section_called(name)?).ok()
}

/// The part whose offset, from the end of the header, and length are at a byte of the header.
fn part(section: &[u8], at: usize) -> Option<&[u8]> {
    let magic = section.first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes))?;
    let header = usize::try_from(word(section, 4)?).ok()?;
    let first = usize::try_from(word(section, at)?).ok()?;
    let length = usize::try_from(word(section, at + 4)?).ok()?;
    if magic == MAGIC { section.get(header..)?.get(first..)?.get(..length) } else { None }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
}
