//! x86_64 as Intel SDM vol. 3, chapter 5 has it (tables 5-15 to 5-20, figure 5-12), with an AMD encryption bit at bit 51.

use std::rc::Rc;

use kernel_arena::arch::x86_64::{X86_64, decode_fault, decode_program_fault};
use kernel_arena::platform::EntryAttributes;
use kernel_arena::views::ProgramFault;
use kernel_arena::{Fault, KernelAddr};

use super::super::flush::EveryCpu;
use super::super::format::{Cause, Entry, Exception, Format, Kind, Mode, Rights, Rules};
use super::super::hardware::Hardware;
use super::super::rule;

const P: u64 = 1 << 0;
const RW: u64 = 1 << 1;
const US: u64 = 1 << 2;
const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
/// PAT in a leaf, PS (a large page) above.
const PAT_OR_PS: u64 = 1 << 7;
const G: u64 = 1 << 8;
const R_HLAT: u64 = 1 << 11;
/// Physical addresses have 46 bits here; 50:46 are reserved.
const ADDRESS: u64 = 0x0000_3fff_ffff_f000;
const RESERVED: u64 = 0x0007_c000_0000_0000;
const ENCRYPTED: u64 = 1 << 51;
const PROTECTION_KEY: u64 = 0xf << 59;
const XD: u64 = 1 << 63;
/// PWT: this machine's map is write-through, so that a missing attribute shows.
const PWT: u64 = 1 << 3;

impl Format for X86_64 {
    const RULES: Rules = Rules {
        attributes: EntryAttributes { leaf: ENCRYPTED | PWT, table: ENCRYPTED },
        break_before_make: false,
        base: KernelAddr::new(0xffff_9000_0000_0000),
        table,
        leaf,
        view_entry,
        open_entry: |directory| directory | P | RW | US | A | ENCRYPTED | XD,
    };
    type Flush = EveryCpu;

    fn flush(hardware: Rc<Hardware>) -> EveryCpu {
        EveryCpu(hardware)
    }

    fn decode(exception: Exception) -> Option<Fault> {
        decode_fault(exception.address, error_code(exception), exception.instruction)
    }

    fn decode_program(exception: Exception) -> Option<ProgramFault> {
        decode_program_fault(exception.address, error_code(exception), exception.instruction)
    }
}

fn error_code(exception: Exception) -> u64 {
    let bit = |set: bool, n: u32| u64::from(set) << n;
    bit(exception.cause == Cause::Forbidden, 0)
        | bit(exception.intent.kind == Kind::Write, 1)
        | bit(exception.intent.mode == Mode::User, 2)
        | bit(exception.intent.kind == Kind::Fetch, 4)
}

fn table(word: u64) -> Option<Entry> {
    let entry = present(word)?;
    let must = P | RW | A | ENCRYPTED;
    let must_not = PAT_OR_PS | R_HLAT | PROTECTION_KEY | PWT;
    rule(word & (must | must_not) == must, || format!("not a table entry of an arena: {word:#x}"));
    Some(entry)
}

/// W alone decides over writes; what is below is user mode's, and nothing is executable.
fn view_entry(word: u64) -> Option<Entry> {
    let entry = present(word)?;
    let must = P | US | A | ENCRYPTED | XD;
    let must_not = PAT_OR_PS | R_HLAT | PROTECTION_KEY | PWT;
    rule(word & (must | must_not) == must, || format!("not a view's entry of an arena: {word:#x}"));
    Some(entry)
}

fn leaf(word: u64) -> Option<Entry> {
    let entry = present(word)?;
    let must = P | RW | PWT | A | D | ENCRYPTED | XD;
    let must_not = PAT_OR_PS | G | R_HLAT | PROTECTION_KEY;
    rule(word & (must | must_not) == must, || format!("not a leaf of an arena: {word:#x}"));
    Some(entry)
}

fn present(word: u64) -> Option<Entry> {
    if word & P == 0 {
        return None;
    }
    rule(word & RESERVED == 0, || format!("reserved bits are set: {word:#x}"));
    Some(Entry {
        frame: word & ADDRESS,
        rights: Rights {
            user: word & US != 0,
            write: word & RW != 0,
            kernel_fetch: word & XD == 0,
            user_fetch: word & XD == 0,
        },
    })
}
