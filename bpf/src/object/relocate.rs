//! Relocations: where code and data refer to each other, the address is put in.
//!
//! Compilers write three types of them for sections that take memory; addends lie where the address goes to.

use elf::endian::LittleEndian;
use elf::file::Class;
use elf::parse::ParsingTable;
use elf::relocation::Rel;
use elf::section::SectionHeader;

use super::file::{Binding, Home, Kind, SymbolEntry};
use super::load::{Load, slice};
use super::places::{INSN_SIZE, Place, Spot};
use super::{LoadError, Name, RelocationFault};
use crate::{Insn, Window};

/// An address in the two halves of a load of 64 bits.
const R_BPF_64_64: u32 = 1;
/// An address in eight bytes of data.
const R_BPF_64_ABS64: u32 = 2;
/// The distance of a call.
const R_BPF_64_32: u32 = 10;

/// The function that compilers call where a program must not go on. Nobody provides it.
const TRAP: &str = "__bpf_trap";

/// The address of a function of the kernel's: one that is not 0, where nothing is.
const SOMEWHERE: u64 = 1;

/// The place that a relocation changes.
struct Site<'o> {
    section: SectionHeader,
    name: Name<'o>,
    /// In bytes, from the start of the section.
    at: u64,
}

impl<'o> Site<'o> {
    fn wrong(&self, fault: RelocationFault) -> LoadError<'o> {
        LoadError::Relocation { section: self.name, at: self.at, fault }
    }

    /// The number of the instruction there.
    fn instruction(&self) -> Result<usize, LoadError<'o>> {
        let index = usize::try_from(self.at / INSN_SIZE).ok();
        let inside = self.at % INSN_SIZE == 0 && self.at < self.section.sh_size;
        index.filter(|_| inside).ok_or(self.wrong(RelocationFault::Outside))
    }
}

/// What a relocation refers to.
enum Referent<'o> {
    /// Something in the object.
    Here(Spot, SymbolEntry<'o>),
    /// A function of the kernel's.
    Host(u32, SymbolEntry<'o>),
    /// A weak symbol that is nowhere, or the trap.
    Nothing,
}

impl<'o, H: Fn(&str) -> Option<u32>, W: Window> Load<'_, 'o, H, W> {
    /// Does what a section of relocations says about section `target`.
    pub(super) fn relocate(
        &self,
        relocations: &SectionHeader,
        target: u16,
        place: Place,
        code: &mut [Insn],
    ) -> Result<(), LoadError<'o>> {
        let file = &self.object.file;
        let section = file.section(usize::from(target)).ok_or(LoadError::Truncated)?;
        let name = file.name_of(&section);
        let table = file.contents(relocations)?;
        if table.len() % 16 != 0 || usize::try_from(relocations.sh_link) != Ok(file.symbol_section()) {
            return Err(LoadError::Relocation { section: name, at: 0, fault: RelocationFault::Table });
        }
        for Rel { r_offset, r_sym, r_type } in ParsingTable::<_, Rel>::new(LittleEndian, Class::ELF64, table) {
            let site = Site { section, name, at: r_offset };
            let referent = self.referent(r_sym)?.ok_or(site.wrong(RelocationFault::Symbol(r_sym)))?;
            match (r_type, place) {
                (R_BPF_64_64, Place::Code(first)) => {
                    let code = slice(code, first, &section).ok_or(LoadError::TooLarge)?;
                    self.load_of_address(code, &site, &referent)?;
                }
                (R_BPF_64_32, Place::Code(first)) => self.call(code, first, &site, &referent)?,
                (R_BPF_64_ABS64, Place::Data(first)) => self.pointer_in_data(first, &site, &referent)?,
                (other, _) => return Err(site.wrong(RelocationFault::Type(other))),
            }
        }
        Ok(())
    }

    /// What a symbol is; `None` if there is no such symbol.
    fn referent(&self, symbol: u32) -> Result<Option<Referent<'o>>, LoadError<'o>> {
        let file = &self.object.file;
        let Some(symbol) = file.symbol(symbol) else { return Ok(None) };
        if symbol.home != Home::Undefined {
            let spot =
                self.object.places.of_symbol(file, &symbol)?.ok_or(LoadError::NotLoaded { symbol: symbol.name })?;
            return Ok(Some(Referent::Here(spot, symbol)));
        }
        if symbol.name.is(TRAP) {
            return Ok(Some(Referent::Nothing));
        }
        match symbol.name.text().and_then(|name| (self.hosts)(name)) {
            Some(number) => Ok(Some(Referent::Host(number, symbol))),
            None if symbol.binding == Binding::Weak => Ok(Some(Referent::Nothing)),
            None => Err(LoadError::Unknown { symbol: symbol.name }),
        }
    }

    /// The address of something, as programs have it.
    fn address(&self, referent: &Referent<'o>, addend: u32) -> Result<u64, LoadError<'o>> {
        match *referent {
            Referent::Here(Spot::Data(at), _) => {
                let low = self.data.offset().wrapping_add(at).wrapping_add(addend);
                Ok(self.base.address().value() | u64::from(low))
            }
            Referent::Here(Spot::Code(at), symbol) => {
                Err(LoadError::AddressOfCode { symbol: self.function(at, &symbol) })
            }
            Referent::Host(_, symbol) if symbol.binding == Binding::Weak => Ok(SOMEWHERE),
            Referent::Host(_, symbol) => Err(LoadError::AddressOfCode { symbol: symbol.name }),
            Referent::Nothing => Ok(0),
        }
    }

    /// The name of a function that a section's symbol leads to.
    fn function(&self, at: u32, symbol: &SymbolEntry<'o>) -> Name<'o> {
        if symbol.kind != Kind::Section {
            return symbol.name;
        }
        let (file, places) = (&self.object.file, &self.object.places);
        let function = file.all_symbols().filter(|symbol| symbol.kind == Kind::Function);
        let mut there = function.filter(|symbol| places.of_symbol(file, symbol) == Ok(Some(Spot::Code(at))));
        there.next().map_or(symbol.name, |function| function.name)
    }

    /// An address in the two immediate values of a load.
    fn load_of_address(
        &self,
        code: &mut [Insn],
        site: &Site<'o>,
        referent: &Referent<'o>,
    ) -> Result<(), LoadError<'o>> {
        // The last one of the slice is the trap behind the section.
        let Some([low, high, _, ..]) = code.get_mut(site.instruction()?..) else {
            return Err(site.wrong(RelocationFault::Outside));
        };
        if low.opcode() != 0x18 || low.src() != 0 {
            return Err(site.wrong(RelocationFault::Instruction));
        }
        let address = self.address(referent, low.immediate() as u32)?;
        *low = low.with_immediate((address & 0xffff_ffff) as u32 as i32);
        *high = high.with_immediate((address >> 32) as u32 as i32);
        Ok(())
    }

    /// The target of a call.
    fn call(
        &self,
        code: &mut [Insn],
        first: u32,
        site: &Site<'o>,
        referent: &Referent<'o>,
    ) -> Result<(), LoadError<'o>> {
        let outside = || site.wrong(RelocationFault::Outside);
        let at = usize::try_from(first).ok().and_then(|first| first.checked_add(site.instruction().ok()?));
        let at = at.ok_or_else(outside)?;
        let insn = code.get_mut(at).ok_or_else(outside)?;
        if insn.opcode() != 0x85 || insn.src() != 1 {
            return Err(site.wrong(RelocationFault::Instruction));
        }
        *insn = match *referent {
            Referent::Here(Spot::Data(_), symbol) => return Err(LoadError::CallOfData { symbol: symbol.name }),
            Referent::Host(number, _) => Insn::new(0x85, 0, 0, 0, number as i32),
            Referent::Nothing => Insn::TRAP,
            Referent::Here(Spot::Code(function), symbol) => {
                let target = i64::from(function) + i64::from(insn.immediate()) + 1;
                let inside = self.is_in_its_section(&symbol, target);
                // Both are in the code, which has no more instructions than an `i32` counts.
                let distance = i32::try_from(target - at as i64 - 1).ok().filter(|_| inside);
                insn.with_immediate(distance.ok_or(site.wrong(RelocationFault::Target))?)
            }
        };
        Ok(())
    }

    /// Whether an instruction of the program lies in the section of a symbol.
    fn is_in_its_section(&self, symbol: &SymbolEntry<'o>, instruction: i64) -> bool {
        let Home::Section(index) = symbol.home else { return false };
        let section = self.object.file.section(usize::from(index));
        match (section, self.object.places.of_section(index)) {
            (Some(section), Some(Place::Code(first))) => {
                let inside = instruction - i64::from(first);
                inside >= 0 && (inside as u64) < section.sh_size / INSN_SIZE
            }
            _ => false,
        }
    }

    /// An address in the data.
    fn pointer_in_data(&self, first: u32, site: &Site<'o>, referent: &Referent<'o>) -> Result<(), LoadError<'o>> {
        let contents = self.object.file.contents(&site.section)?;
        let addend = usize::try_from(site.at).ok().and_then(|at| contents.get(at..)?.first_chunk::<4>());
        let whole = site.at.checked_add(8).is_some_and(|end| end <= contents.len() as u64);
        let (Some(addend), Ok(at), true) = (addend, u32::try_from(site.at), whole) else {
            return Err(site.wrong(RelocationFault::Outside));
        };
        let address = self.address(referent, u32::from_le_bytes(*addend))?;
        self.write(first + at, &address.to_le_bytes())
    }
}
