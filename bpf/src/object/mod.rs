//! Objects as compilers write them: ELF files with code, data and what ties them together.
//!
//! An object is parsed (which finds what it needs), then loaded: its code into instructions that the caller lends, its data
//! into pages of the arena. All data, read-only ones too, lie where a program can write them; that a constant stays one is the
//! compiler's promise, not the loader's. Every address in code and data is a *program* address, so that pointers from memory
//! and from code compare equal. A section is code or data by its flags, not its name.
//!
//! Nothing is allocated, and no work is more than a constant times the length of the file. What the bytes say is believed
//! nowhere: they may come from anybody. What the loader passes has the form of a program and no more; whether it may run is
//! [`Program::check`](crate::Program::check)'s to say.

mod error;
mod file;
mod lines;
mod load;
mod loaded;
mod name;
mod places;
mod relocate;

pub use error::{Feature, LoadError, RelocationFault};
pub use lines::Line;
pub use loaded::{Function, Loaded, Symbol, Variable};
pub use name::Name;

use kernel_arena::{ArenaPtr, ProgramBase};

use crate::{Insn, Window};
use file::{File, Home};
use load::Load;
use places::Places;

/// An object of which everything is known that loading needs. Holding one proves that its sections lie in the file, that
/// none takes another's place, and that each of its symbols is in its section.
#[derive(Clone, Debug)]
pub struct Object<'o> {
    file: File<'o>,
    places: Places,
    needs: Needs,
}

/// What an object needs of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// How many instructions, with a trap behind each section of code.
    pub instructions: u32,
    /// How many bytes of data; 0 if there are none.
    pub data_bytes: u32,
    /// What the place of the data must be a multiple of, in bytes: a power of two, at most a page.
    pub data_alignment: u32,
}

impl<'o> Object<'o> {
    /// Looks through an object. Any bytes may be given, at any alignment.
    ///
    /// # Errors
    /// [`LoadError`], of what can be seen without knowing the kernel's functions.
    pub fn parse(bytes: &'o [u8]) -> Result<Self, LoadError<'o>> {
        let file = File::parse(bytes)?;
        let (places, needs) = Places::of(&file)?;
        for symbol in file.all_symbols() {
            if symbol.home == Home::Common {
                return Err(LoadError::Common { symbol: symbol.name });
            }
            places.of_symbol(&file, &symbol)?;
        }
        Ok(Self { file, places, needs })
    }

    /// What has to be lent for it to be loaded.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// Loads it: the code into `code`, the data into the pages from `data` on, each address made for programs whose view of the
    /// window starts at `base`. `hosts` tells the numbers of the kernel's functions by their names.
    ///
    /// A function that is not there and declared *weak* has the address 0, and a call of it ends the run as a trap does; one
    /// that is there has an address that is not 0, and good for nothing else.
    ///
    /// Programs that know the place must not run meanwhile: they would see data that are not complete.
    ///
    /// # Errors
    /// [`LoadError`]. What is in `code` and in the pages then is of no use.
    pub fn load<'a>(
        &'a self,
        code: &'a mut [Insn],
        data: ArenaPtr,
        base: ProgramBase,
        hosts: impl Fn(&str) -> Option<u32>,
        window: &impl Window,
    ) -> Result<Loaded<'a>, LoadError<'o>> {
        let given = code.len();
        let needed = self.needs.instructions;
        let room = usize::try_from(needed).ok().and_then(|count| code.get_mut(..count));
        let code = room.ok_or(LoadError::CodeRoom { needed, given })?;
        Load { object: self, data, base, hosts, window }.all(code)?;
        Ok(Loaded { object: self, code, data })
    }
}
