//! Where each section goes: code behind code, data behind data, in the order of the file.
//!
//! A section takes memory if it says so; its name is of no importance. Code stays in one piece, since calls within a section
//! carry no relocation, and is followed by a trap. The list is of a fixed size: the loader has no other memory.

use elf::abi::{
    SHF_ALLOC, SHF_COMPRESSED, SHF_EXECINSTR, SHF_TLS, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS, SHT_REL, SHT_RELA,
};
use elf::section::SectionHeader;
use kernel_arena::{PAGE_SIZE, WINDOW_SIZE};

use super::file::{File, Home, SymbolEntry};
use super::{Feature, LoadError, Needs};

/// How many sections of an object may take memory.
const LIMIT: usize = 128;

/// Bytes of an instruction.
pub(super) const INSN_SIZE: u64 = 8;

/// The type of a section of compact relocations, as LLVM writes them on demand. Left unread, addresses would stay 0.
const SHT_CREL: u32 = 0x4000_0014;

/// Where a section starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this instruction of the program.
    Code(u32),
    /// At this byte of the data.
    Data(u32),
}

/// Where a symbol leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// To an instruction of the program.
    Code(u32),
    /// To a byte of the data.
    Data(u32),
}

/// The sections that take memory, in the order of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    list: [(u16, Place); LIMIT],
    count: usize,
}

impl Places {
    /// Lays out an object, and says what it needs.
    pub(super) fn of<'o>(file: &File<'o>) -> Result<(Self, Needs), LoadError<'o>> {
        let mut layout = Layout { in_file: 0, instructions: 0, bytes: 0, alignment: 1 };
        let mut places = Self { list: [(0, Place::Code(0)); LIMIT], count: 0 };
        for (index, section) in file.all_sections() {
            let Some(place) = layout.place(file, &section)? else { continue };
            let index = u16::try_from(index).map_err(|_| LoadError::Truncated)?;
            let free = places.list.get_mut(places.count).ok_or(LoadError::TooManySections { limit: LIMIT })?;
            *free = (index, place);
            places.count += 1;
        }
        for (_, relocations) in file.all_sections() {
            layout.relocations(file, &places, &relocations)?;
        }
        Ok((places, layout.needs().ok_or(LoadError::TooLarge)?))
    }

    /// All of them, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, Place)> {
        self.list.iter().take(self.count).copied()
    }

    /// Where a section is, if it takes memory.
    pub(super) fn of_section(&self, index: u16) -> Option<Place> {
        let list = self.list.get(..self.count)?;
        list.binary_search_by_key(&index, |(section, _)| *section)
            .ok()
            .and_then(|at| list.get(at))
            .map(|(_, place)| *place)
    }

    /// Where a symbol leads that is defined in a section with memory. It may be the end of that: so does a symbol in an empty
    /// section.
    ///
    /// # Errors
    /// If it is beyond the end, or in the middle of an instruction.
    pub(super) fn of_symbol<'o>(
        &self,
        file: &File<'o>,
        symbol: &SymbolEntry<'o>,
    ) -> Result<Option<Spot>, LoadError<'o>> {
        let Home::Section(index) = symbol.home else { return Ok(None) };
        let outside = LoadError::SymbolOutside { symbol: symbol.name };
        let section = file.section(usize::from(index)).ok_or(outside)?;
        let Some(place) = self.of_section(index) else { return Ok(None) };
        // All of it: who asks for a variable is told how long it is, and may count on that.
        let inside = symbol.value.checked_add(symbol.size).is_some_and(|end| end <= section.sh_size);
        if !inside {
            return Err(outside);
        }
        // A section of 4 GiB or more has been refused.
        let value = u32::try_from(symbol.value).map_err(|_| outside)?;
        Ok(Some(match place {
            Place::Code(first) if symbol.value % INSN_SIZE == 0 => Spot::Code(first + value / 8),
            Place::Code(_) => return Err(outside),
            Place::Data(first) => Spot::Data(first + value),
        }))
    }
}

/// What has been placed so far.
struct Layout {
    /// Bytes of the file, each counted as often as sections have it.
    in_file: u64,
    instructions: u64,
    bytes: u64,
    alignment: u64,
}

impl Layout {
    /// Places a section behind what there is; `None` if it takes no memory.
    fn place<'o>(&mut self, file: &File<'o>, section: &SectionHeader) -> Result<Option<Place>, LoadError<'o>> {
        let name = file.name_of(section);
        let refused = |feature| Err(LoadError::Unsupported { section: name, feature });
        if name.is(".jumptables") {
            return refused(Feature::JumpTables);
        }
        let has = |flag: u32| section.sh_flags & u64::from(flag) != 0;
        match section.sh_type {
            _ if !has(SHF_ALLOC) => return Ok(None),
            SHT_PROGBITS | SHT_NOBITS | SHT_NOTE => {}
            other => return refused(Feature::Type(other)),
        }
        if has(SHF_COMPRESSED) {
            return refused(Feature::Compression);
        }
        if has(SHF_TLS) {
            return refused(Feature::ThreadLocal);
        }
        let alignment = section.sh_addralign.max(1);
        if !alignment.is_power_of_two() || alignment > PAGE_SIZE {
            return Err(LoadError::SectionAlignment { section: name, alignment });
        }
        self.counts(file, file.contents(section)?.len() as u64)?;
        let place = if has(SHF_EXECINSTR) {
            if section.sh_type == SHT_NOBITS || section.sh_size % INSN_SIZE != 0 {
                return refused(Feature::BrokenCode);
            }
            let first = self.instructions;
            self.instructions += section.sh_size / INSN_SIZE + 1;
            u32::try_from(first).map(Place::Code)
        } else {
            let first = self.bytes.next_multiple_of(alignment);
            self.bytes =
                first.checked_add(section.sh_size).filter(|end| *end <= MOST_DATA).ok_or(LoadError::TooLarge)?;
            self.alignment = self.alignment.max(alignment);
            u32::try_from(first).map(Place::Data)
        };
        place.map(Some).map_err(|_| LoadError::TooLarge)
    }

    /// Counts relocations of a section that has been placed: each costs a look.
    fn relocations<'o>(
        &mut self,
        file: &File<'o>,
        places: &Places,
        section: &SectionHeader,
    ) -> Result<(), LoadError<'o>> {
        let of_placed = u16::try_from(section.sh_info).ok().and_then(|index| places.of_section(index)).is_some();
        match section.sh_type {
            SHT_REL if of_placed => self.counts(file, file.contents(section)?.len() as u64),
            SHT_RELA if of_placed => {
                Err(LoadError::Unsupported { section: file.name_of(section), feature: Feature::AddendRelocations })
            }
            SHT_CREL if of_placed => {
                let feature = Feature::Type(section.sh_type);
                Err(LoadError::Unsupported { section: file.name_of(section), feature })
            }
            _ => Ok(()),
        }
    }

    /// Loading costs what is counted here: no more than the file is long, or some bytes would be counted twice.
    fn counts<'o>(&mut self, file: &File<'o>, bytes: u64) -> Result<(), LoadError<'o>> {
        self.in_file += bytes;
        if self.in_file <= file.length() { Ok(()) } else { Err(LoadError::Overlap) }
    }

    fn needs(&self) -> Option<Needs> {
        // So that the distance of a call fits its immediate value.
        let instructions = u32::try_from(self.instructions).ok().filter(|count| i32::try_from(*count).is_ok())?;
        let data_bytes = u32::try_from(self.bytes).ok()?;
        Some(Needs { instructions, data_bytes, data_alignment: u32::try_from(self.alignment).ok()? })
    }
}

/// What an arena can have at most: its first page is never there.
const MOST_DATA: u64 = WINDOW_SIZE - PAGE_SIZE;
