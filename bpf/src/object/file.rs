//! The file, as the `elf` crate reads it: headers, contents, names and symbols, each looked for when it is asked for.
//!
//! No number in a file is believed. Whatever leads out of it is an error, and whatever takes time is bounded by the file's
//! length: names end after 1024 bytes, and there are as many symbols as their table has room for.

use elf::abi::{
    EM_BPF, ET_REL, SHF_COMPRESSED, SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHT_NOBITS, SHT_SYMTAB, STB_GLOBAL,
    STB_WEAK, STT_FUNC, STT_OBJECT, STT_SECTION,
};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::parse::ParseError;
use elf::section::{SectionHeader, SectionHeaderTable};
use elf::symbol::{Symbol, SymbolTable};
use elf::{ElfBytes, abi};

use super::{LoadError, Name};

/// An object's file. Holding one proves that its tables of headers and symbols, and the strings of both, lie in the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'o> {
    bytes: &'o [u8],
    sections: SectionHeaderTable<'o, LittleEndian>,
    section_names: &'o [u8],
    symbols: &'o [u8],
    symbol_names: &'o [u8],
    /// The section that the symbols are in; 0 if there are none.
    symbol_section: usize,
}

impl<'o> File<'o> {
    pub(super) fn parse(bytes: &'o [u8]) -> Result<Self, LoadError<'o>> {
        if !bytes.starts_with(&abi::ELFMAGIC) {
            return Err(LoadError::NotElf);
        }
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(|error| match error {
            ParseError::UnsupportedElfClass(_)
            | ParseError::UnsupportedElfEndianness(_)
            | ParseError::UnsupportedVersion(_) => LoadError::NotBpf,
            _ => LoadError::Truncated,
        })?;
        let header = file.ehdr;
        if header.class != Class::ELF64 || header.e_type != ET_REL || header.e_machine != EM_BPF {
            return Err(LoadError::NotBpf);
        }
        let sections = file.section_headers().ok_or(LoadError::Truncated)?;
        // More would need numbers of their own, beside those in the symbols.
        if sections.len() > usize::from(SHN_LORESERVE) {
            return Err(LoadError::Truncated);
        }
        let mut this = Self { bytes, sections, section_names: &[], symbols: &[], symbol_names: &[], symbol_section: 0 };
        if header.e_shstrndx != SHN_UNDEF {
            this.section_names = this.table(usize::from(header.e_shstrndx))?;
        }
        if let Some((index, symbols)) = this.all_sections().find(|(_, section)| section.sh_type == SHT_SYMTAB) {
            this.symbols = this.contents(&symbols)?;
            this.symbol_names = usize::try_from(symbols.sh_link)
                .map_err(|_| LoadError::Truncated)
                .and_then(|index| this.table(index))?;
            this.symbol_section = index;
        }
        Ok(this)
    }

    /// The bytes of a section by number, one that headers point to.
    fn table(&self, index: usize) -> Result<&'o [u8], LoadError<'o>> {
        self.section(index).and_then(|section| self.contents(&section).ok()).ok_or(LoadError::Truncated)
    }

    /// The length of the file in bytes.
    pub(super) const fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn section(&self, index: usize) -> Option<SectionHeader> {
        self.sections.get(index).ok()
    }

    /// All sections but the first, which stands for none, with their numbers.
    pub(super) fn all_sections(&self) -> impl Iterator<Item = (usize, SectionHeader)> + use<'o> {
        self.sections.iter().enumerate().skip(1)
    }

    /// A section by name.
    pub(super) fn section_called(&self, name: &str) -> Option<SectionHeader> {
        self.all_sections().map(|(_, section)| section).find(|section| self.name_of(section).is(name))
    }

    pub(super) fn name_of(&self, section: &SectionHeader) -> Name<'o> {
        Name::at(self.section_names, section.sh_name)
    }

    /// What the file holds of a section: nothing of one that is all zeros.
    pub(super) fn contents(&self, section: &SectionHeader) -> Result<&'o [u8], LoadError<'o>> {
        if section.sh_type == SHT_NOBITS {
            return Ok(&[]);
        }
        let first = usize::try_from(section.sh_offset).ok();
        let length = usize::try_from(section.sh_size).ok();
        let range = first.zip(length).and_then(|(first, length)| Some(first..first.checked_add(length)?));
        let whole = section.sh_flags & u64::from(SHF_COMPRESSED) == 0;
        let contents = range.filter(|_| whole).and_then(|range| self.bytes.get(range));
        contents.ok_or_else(|| LoadError::SectionOutside { section: self.name_of(section) })
    }

    /// The number of the section of symbols.
    pub(super) const fn symbol_section(&self) -> usize {
        self.symbol_section
    }

    fn symbols(&self) -> SymbolTable<'o, LittleEndian> {
        SymbolTable::new(LittleEndian, Class::ELF64, self.symbols)
    }

    /// A symbol by number; the first stands for none.
    pub(super) fn symbol(&self, index: u32) -> Option<SymbolEntry<'o>> {
        let symbol = self.symbols().get(usize::try_from(index).ok()?).ok()?;
        if index == 0 { None } else { Some(self.entry(&symbol)) }
    }

    /// All symbols.
    pub(super) fn all_symbols(&self) -> impl Iterator<Item = SymbolEntry<'o>> {
        let this = *self;
        self.symbols().iter().skip(1).map(move |symbol| this.entry(&symbol))
    }

    fn entry(&self, symbol: &Symbol) -> SymbolEntry<'o> {
        let kind = match symbol.st_symtype() {
            STT_FUNC => Kind::Function,
            STT_OBJECT => Kind::Variable,
            STT_SECTION => Kind::Section,
            _ => Kind::Other,
        };
        let home = match symbol.st_shndx {
            SHN_UNDEF => Home::Undefined,
            SHN_ABS => Home::None,
            SHN_COMMON => Home::Common,
            index if index < SHN_LORESERVE => Home::Section(index),
            _ => Home::None,
        };
        let binding = match symbol.st_bind() {
            STB_GLOBAL => Binding::Global,
            STB_WEAK => Binding::Weak,
            _ => Binding::Local,
        };
        // A section's own symbol has no name: the section's is what people know.
        let name = match (kind, home) {
            (Kind::Section, Home::Section(index)) => {
                self.section(usize::from(index)).map_or(Name::NONE, |section| self.name_of(&section))
            }
            _ => Name::at(self.symbol_names, symbol.st_name),
        };
        SymbolEntry { name, kind, binding, home, value: symbol.st_value, size: symbol.st_size }
    }
}

/// A symbol, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct SymbolEntry<'o> {
    pub(super) name: Name<'o>,
    pub(super) kind: Kind,
    pub(super) binding: Binding,
    pub(super) home: Home,
    /// Bytes from the start of its section.
    pub(super) value: u64,
    /// In bytes.
    pub(super) size: u64,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    Variable,
    Section,
    Other,
}

/// Who else may define it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    Local,
    Global,
    Weak,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Undefined,
    /// To be placed by a linker.
    Common,
    Section(u16),
    /// Nowhere that has an address: a name of a file, a plain number.
    None,
}
