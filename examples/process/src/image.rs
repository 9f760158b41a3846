//! The program's ELF file, and how it gets into an address space.

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object};
use support::check::Failure;
use support::program_file;
use support::user::{AddressSpace, Rights};

/// Flags of a segment (ELF, "Segment Permissions").
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;

/// Loads it, and gives its entry.
pub(crate) fn load(space: &AddressSpace) -> Result<u64, Failure> {
    let bytes = program_file();
    let file = ElfFile64::<Endianness>::parse(bytes)
        .map_err(|_| Failure::new("there is no program where QEMU's device `loader` is to put it"))?;
    let endian = file.endian();
    for segment in file.elf_program_headers().iter().filter(|segment| segment.p_type(endian) == object::elf::PT_LOAD) {
        let content = segment.data(endian, bytes).map_err(|()| Failure::new("a segment is not in the file"))?;
        let rights = match segment.p_flags(endian).0 & (EXECUTE | WRITE) {
            0 => Rights::Constants,
            EXECUTE => Rights::Text,
            WRITE => Rights::Data,
            _ => return Err(Failure::new("a segment that can be written and executed")),
        };
        let (address, size) = (segment.p_vaddr(endian), segment.p_memsz(endian));
        if address % 4096 != 0 {
            return Err(Failure::new("a segment that begins inside a page"));
        }
        if !space.map(address, content, size, rights) {
            return Err(Failure::new("no frames for the program"));
        }
    }
    Ok(file.entry())
}
