//! What has been loaded, by the names that its author gave: functions to run, variables to share, and the place of an
//! instruction in its source.

use kernel_arena::ArenaPtr;

use super::file::{Binding, Kind, SymbolEntry};
use super::lines::{self, Line};
use super::places::{INSN_SIZE, Place, Spot};
use super::{Name, Object};
use crate::Insn;

/// A program whose code and data are in place.
#[derive(Debug)]
pub struct Loaded<'a> {
    pub(super) object: &'a Object<'a>,
    pub(super) code: &'a [Insn],
    pub(super) data: ArenaPtr,
}

/// A function of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// The section that it is in.
    pub section: Name<'a>,
    /// Its first instruction.
    pub instruction: u32,
}

/// A variable of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Where it is.
    pub pointer: ArenaPtr,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// The function that an instruction is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// How many instructions come before it in the function.
    pub offset: u32,
}

impl<'a> Loaded<'a> {
    /// The program.
    pub const fn code(&self) -> &'a [Insn] {
        self.code
    }

    /// The functions, in the order of the symbol table. Names may repeat: a static function's is its file's alone.
    pub fn functions(&self) -> impl Iterator<Item = Function<'a>> {
        self.defined(Kind::Function).filter_map(|(symbol, spot)| {
            let Spot::Code(instruction) = spot else { return None };
            Some(Function { name: symbol.name, section: self.section(instruction)?.0, instruction })
        })
    }

    /// The first instruction of a function: of a global one, if there is one of this name.
    pub fn function(&self, name: &str) -> Option<u32> {
        match self.called(Kind::Function, name)? {
            (_, Spot::Code(instruction)) => Some(instruction),
            (_, Spot::Data(_)) => None,
        }
    }

    /// A variable: a global one, if there is one of this name.
    pub fn variable(&self, name: &str) -> Option<Variable> {
        match self.called(Kind::Variable, name)? {
            (symbol, Spot::Data(at)) => {
                let pointer = ArenaPtr::new(self.data.offset().wrapping_add(at))?;
                Some(Variable { pointer, bytes: symbol.size })
            }
            (_, Spot::Code(_)) => None,
        }
    }

    /// The function that an instruction is in; `None` of a trap behind a section, and where the object does not say.
    pub fn symbol(&self, instruction: u32) -> Option<Symbol<'a>> {
        let section = self.section(instruction)?;
        let functions = self.defined(Kind::Function).filter_map(|(symbol, spot)| match spot {
            Spot::Code(first) if first >= section.1 && first <= instruction => Some((first, symbol)),
            _ => None,
        });
        let (first, symbol) = functions.max_by_key(|(first, symbol)| (*first, symbol.binding != Binding::Local))?;
        let offset = instruction - first;
        (symbol.size == 0 || u64::from(offset) < symbol.size / INSN_SIZE)
            .then_some(Symbol { name: symbol.name, offset })
    }

    /// The line that an instruction was made from, if the object was compiled with `-g`.
    pub fn line(&self, instruction: u32) -> Option<Line<'a>> {
        let (name, first) = self.section(instruction)?;
        let byte = (instruction - first).checked_mul(8)?;
        lines::find(&self.object.file, name, byte)
    }

    /// The section of code that an instruction is in, and its first one. (Traps are in none.)
    fn section(&self, instruction: u32) -> Option<(Name<'a>, u32)> {
        let file = &self.object.file;
        self.object.places.iter().find_map(|(index, place)| {
            let (Place::Code(first), section) = (place, file.section(usize::from(index))?) else { return None };
            let inside = u64::from(instruction.checked_sub(first)?) < section.sh_size / INSN_SIZE;
            inside.then(|| (file.name_of(&section), first))
        })
    }

    /// The symbols of a kind that have a place.
    fn defined(&self, kind: Kind) -> impl Iterator<Item = (SymbolEntry<'a>, Spot)> {
        let (file, places) = (&self.object.file, &self.object.places);
        let symbols = file.all_symbols().filter(move |symbol| symbol.kind == kind);
        symbols.filter_map(|symbol| Some((symbol, places.of_symbol(file, &symbol).ok()??)))
    }

    /// The symbol of this kind and name that others may see, or else the first one.
    fn called(&self, kind: Kind, name: &str) -> Option<(SymbolEntry<'a>, Spot)> {
        let all = || self.defined(kind).filter(|(symbol, _)| symbol.name.is(name));
        all().find(|(symbol, _)| symbol.binding != Binding::Local).or_else(|| all().next())
    }
}
