//! Copying: code into the instructions that were lent, data into pages; then what each of them refers to.

use elf::abi::{SHT_NOBITS, SHT_REL};
use elf::section::SectionHeader;
use kernel_arena::{ArenaPtr, ProgramBase, WINDOW_SIZE};

use super::places::{INSN_SIZE, Place};
use super::{LoadError, Object};
use crate::{Insn, Window};

/// A load that is going on.
pub(super) struct Load<'l, 'o, H, W> {
    pub(super) object: &'l Object<'o>,
    pub(super) data: ArenaPtr,
    pub(super) base: ProgramBase,
    pub(super) hosts: H,
    pub(super) window: &'l W,
}

impl<'o, H: Fn(&str) -> Option<u32>, W: Window> Load<'_, 'o, H, W> {
    /// Loads all into `code`, which has room for exactly that.
    pub(super) fn all(&self, code: &mut [Insn]) -> Result<(), LoadError<'o>> {
        let needs = self.object.needs;
        if needs.data_bytes != 0 && self.data.offset() % needs.data_alignment != 0 {
            return Err(LoadError::DataAlignment { needed: needs.data_alignment });
        }
        if u64::from(self.data.offset()) + u64::from(needs.data_bytes) > WINDOW_SIZE {
            return Err(LoadError::DataOutside);
        }
        let file = &self.object.file;
        for (index, place) in self.object.places.iter() {
            let Some(section) = file.section(usize::from(index)) else { continue };
            match place {
                Place::Code(first) => {
                    self.copy_code(&section, slice(code, first, &section).ok_or(LoadError::TooLarge)?)?
                }
                Place::Data(first) => self.copy_data(&section, first)?,
            }
        }
        for (_, relocations) in file.all_sections().filter(|(_, section)| section.sh_type == SHT_REL) {
            let Ok(target) = u16::try_from(relocations.sh_info) else { continue };
            let Some(place) = self.object.places.of_section(target) else { continue };
            self.relocate(&relocations, target, place, code)?;
        }
        Ok(())
    }

    fn copy_code(&self, section: &SectionHeader, code: &mut [Insn]) -> Result<(), LoadError<'o>> {
        let file = &self.object.file;
        let instructions = file.contents(section)?.chunks_exact(8).filter_map(|bytes| bytes.first_chunk());
        let (last, code) = code.split_last_mut().ok_or(LoadError::TooLarge)?;
        for (to, from) in code.iter_mut().zip(instructions) {
            *to = Insn::from_bytes(*from);
        }
        *last = Insn::TRAP;
        let mut second_half = false;
        for (at, insn) in (0u32..).zip(code.iter()) {
            if second_half {
                second_half = false;
                continue;
            }
            second_half = insn.opcode() == 0x18;
            if matches!(insn.opcode(), 0x8d | 0x0d) {
                return Err(LoadError::ThroughRegister { section: file.name_of(section), instruction: at });
            }
            let target = i64::from(at) + 1 + distance(*insn).unwrap_or(0);
            // The trap behind the section is a target, too: of what a compiler holds for impossible.
            if target < 0 || target as u64 > code.len() as u64 {
                return Err(LoadError::JumpOutside { section: file.name_of(section), instruction: at });
            }
        }
        Ok(())
    }

    fn copy_data(&self, section: &SectionHeader, first: u32) -> Result<(), LoadError<'o>> {
        let contents = self.object.file.contents(section)?;
        if section.sh_type != SHT_NOBITS {
            return self.write(first, contents);
        }
        let zeros = [0; 512];
        let mut left = u32::try_from(section.sh_size).map_err(|_| LoadError::TooLarge)?;
        let mut at = first;
        while left > 0 {
            let now = left.min(512);
            self.write(at, zeros.get(..now as usize).unwrap_or_default())?;
            (at, left) = (at + now, left - now);
        }
        Ok(())
    }

    /// Writes bytes of the data.
    pub(super) fn write(&self, at: u32, bytes: &[u8]) -> Result<(), LoadError<'o>> {
        // All data are in the window: that was looked at before.
        let at = self.data.offset().wrapping_add(at);
        let written = if bytes.is_empty() { 0 } else { self.window.write(at, bytes) };
        if written >= bytes.len() {
            return Ok(());
        }
        let missing = ArenaPtr::new(at.wrapping_add(u32::try_from(written).unwrap_or(0)));
        missing.map_or(Err(LoadError::DataOutside), |at| Err(LoadError::NoPage { at }))
    }
}

/// The instructions of a section, and the trap behind it.
pub(super) fn slice<'c>(code: &'c mut [Insn], first: u32, section: &SectionHeader) -> Option<&'c mut [Insn]> {
    let first = usize::try_from(first).ok()?;
    let count = usize::try_from(section.sh_size / INSN_SIZE).ok()?;
    code.get_mut(first..first.checked_add(count)?.checked_add(1)?)
}

/// How far an instruction jumps, if it does, from the one behind it.
fn distance(insn: Insn) -> Option<i64> {
    match (insn.opcode(), insn.opcode() & 7) {
        (0x85 | 0x95, _) => None,
        (0x06, _) => Some(insn.immediate().into()),
        (_, 5 | 6) => Some(insn.offset().into()),
        _ => None,
    }
}
