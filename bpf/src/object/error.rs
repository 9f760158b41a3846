//! Why an object is not loaded. Each reason names the section or the symbol, as the object does.

use core::fmt;

use kernel_arena::ArenaPtr;

use super::Name;

/// Why an object is not loaded. None of its code may run; what is in the memory that was lent for it then says nothing.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError<'o> {
    /// The bytes are not those of an ELF file.
    NotElf,
    /// It is an ELF file, but not a relocatable object for eBPF, 64 bits, little-endian.
    NotBpf,
    /// The header points to tables that are not in the file, or not whole.
    Truncated,
    /// The contents of a section are not in the file, or not whole.
    SectionOutside {
        /// Which.
        section: Name<'o>,
    },
    /// Sections share bytes of the file: together they are longer than it.
    Overlap,
    /// More sections take memory than there is room to remember.
    TooManySections {
        /// How many may be.
        limit: usize,
    },
    /// A section's alignment is no power of two, or more than a page.
    SectionAlignment {
        /// Which.
        section: Name<'o>,
        /// In bytes.
        alignment: u64,
    },
    /// A section is of a kind that is not supported.
    Unsupported {
        /// Which.
        section: Name<'o>,
        /// What it has.
        feature: Feature,
    },
    /// Code or data are larger than a window is.
    TooLarge,
    /// A symbol leads to no place in the section that it names.
    SymbolOutside {
        /// Which.
        symbol: Name<'o>,
    },
    /// A variable that a linker has to place.
    Common {
        /// Which.
        symbol: Name<'o>,
    },
    /// A relocation is not one that a compiler makes.
    Relocation {
        /// The section that it changes.
        section: Name<'o>,
        /// Where in that, in bytes.
        at: u64,
        /// What is wrong.
        fault: RelocationFault,
    },
    /// A reference to something that is not loaded: it is in a section without memory, or in none.
    NotLoaded {
        /// What it refers to.
        symbol: Name<'o>,
    },
    /// A function or variable that is not in the object, and that the kernel does not know.
    Unknown {
        /// Which.
        symbol: Name<'o>,
    },
    /// The address of a function is taken. A program has no use for it: calls through registers are not supported.
    AddressOfCode {
        /// Of which.
        symbol: Name<'o>,
    },
    /// A call of a variable.
    CallOfData {
        /// Of which.
        symbol: Name<'o>,
    },
    /// An instruction goes where a register leads (`callx`, `gotox`).
    ThroughRegister {
        /// The section that it is in.
        section: Name<'o>,
        /// Which instruction of that.
        instruction: u32,
    },
    /// A jump leaves its section. (Some compilers cut off a distance that is too long.)
    JumpOutside {
        /// The section that it is in.
        section: Name<'o>,
        /// Which instruction of that.
        instruction: u32,
    },
    /// The memory lent for the code is too small.
    CodeRoom {
        /// How many instructions it must hold.
        needed: u32,
        /// How many it can.
        given: usize,
    },
    /// The place for the data is not aligned.
    DataAlignment {
        /// In bytes.
        needed: u32,
    },
    /// The data would lie beyond the end of the window.
    DataOutside,
    /// A page is missing where data are to lie.
    NoPage {
        /// The first byte that could not be written.
        at: ArenaPtr,
    },
}

/// What the loader does not support.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Tables for jumps through registers.
    JumpTables,
    /// Relocations that bring their addends along; objects for eBPF have these in place.
    AddendRelocations,
    /// Contents that have to be decompressed.
    Compression,
    /// Variables of which each thread has its own.
    ThreadLocal,
    /// Code without contents, or whose length is no multiple of an instruction's.
    BrokenCode,
    /// A type of section that holds neither data nor code, but takes memory.
    Type(u32),
}

/// What is wrong with a relocation.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationFault {
    /// Its type is unknown, or not one for such a section.
    Type(u32),
    /// It is for a place outside the section.
    Outside,
    /// The instruction there is not what its type is for.
    Instruction,
    /// There is no such symbol.
    Symbol(u32),
    /// What it would call is outside the section that it names.
    Target,
    /// It is not whole, or its symbols are not the object's.
    Table,
}

impl fmt::Display for LoadError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotElf => f.write_str("not an ELF file: give the object that the compiler wrote"),
            Self::NotBpf => f.write_str("an ELF file, but not an object for eBPF: compile with -target bpf -c"),
            Self::Truncated => f.write_str("the object is cut off: its header points outside it"),
            Self::SectionOutside { section } => write!(f, "section {section} is not whole: the object is cut off"),
            Self::Overlap => f.write_str("sections lie on top of each other: no compiler has written this"),
            Self::TooManySections { limit } => {
                write!(f, "more than {limit} sections take memory: compile without a section for each function")
            }
            Self::SectionAlignment { section, alignment } => {
                write!(f, "section {section} wants an alignment of {alignment} bytes: a page is the most")
            }
            Self::Unsupported { section, feature } => write!(f, "section {section}: {feature}"),
            Self::TooLarge => f.write_str("code or data are larger than a window"),
            Self::SymbolOutside { symbol } => write!(f, "symbol {symbol} lies outside its section"),
            Self::Common { symbol } => write!(f, "variable {symbol} has no section: compile with -fno-common"),
            Self::Relocation { section, at, fault } => write!(f, "relocation of section {section} at {at:#x}: {fault}"),
            Self::NotLoaded { symbol } => write!(f, "{symbol} is used, but lies in no section that takes memory"),
            Self::Unknown { symbol } => write!(f, "{symbol} is neither in the object nor a function of the kernel's"),
            Self::AddressOfCode { symbol } => {
                write!(f, "the address of function {symbol} is taken: calls through pointers are not supported")
            }
            Self::CallOfData { symbol } => write!(f, "{symbol} is called, but is a variable"),
            Self::ThroughRegister { section, instruction } => {
                write!(f, "instruction {instruction} of section {section} goes where a register leads: not supported")
            }
            Self::JumpOutside { section, instruction } => {
                write!(f, "instruction {instruction} of section {section} jumps out of it: is the function too long?")
            }
            Self::CodeRoom { needed, given } => {
                write!(f, "the code has {needed} instructions, and there is room for {given}")
            }
            Self::DataAlignment { needed } => write!(f, "the place for the data is not a multiple of {needed}"),
            Self::DataOutside => f.write_str("the data would leave the window: give them a lower place"),
            Self::NoPage { at } => {
                write!(f, "there is no page at {:#x}: allocate what the data need first", at.offset())
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JumpTables => f.write_str("jump tables are not supported: compile with -fno-jump-tables"),
            Self::AddendRelocations => f.write_str("relocations with addends are not an eBPF object's"),
            Self::Compression => f.write_str("compressed contents are not supported"),
            Self::ThreadLocal => f.write_str("thread-local variables are not supported"),
            Self::BrokenCode => f.write_str("the code is not made of whole instructions"),
            Self::Type(kind) => write!(f, "sections of type {kind:#x} are not supported"),
        }
    }
}

impl fmt::Display for RelocationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "type {kind} is not for such a section"),
            Self::Outside => f.write_str("there is no such place"),
            Self::Instruction => f.write_str("the instruction there takes no address of this type"),
            Self::Symbol(index) => write!(f, "there is no symbol {index}"),
            Self::Target => f.write_str("the function lies outside its section"),
            Self::Table => f.write_str("the table of relocations is not whole"),
        }
    }
}

impl core::error::Error for LoadError<'_> {}
