//! The portable format, which no processor walks, as if one did: present, user, frame, four software bits.

use std::rc::Rc;

use kernel_arena::arch::portable::Portable;
use kernel_arena::platform::EntryAttributes;
use kernel_arena::views::{ProgramAccess, ProgramFault};
use kernel_arena::{Access, Fault, InstructionAddr, KernelAddr, ProgramAddr};

use super::super::flush::EveryCpu;
use super::super::format::{Cause, Entry, Exception, Format, Kind, Mode, Rights, Rules};
use super::super::hardware::Hardware;
use super::super::rule;

const PRESENT: u64 = 1 << 0;
const USER: u64 = 1 << 1;
/// Nothing below may be written.
const READ_ONLY: u64 = 1 << 2;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Format for Portable {
    const RULES: Rules = Rules {
        attributes: EntryAttributes { leaf: 0, table: 0 },
        break_before_make: true,
        base: KernelAddr::new(0xffff_a000_0000_0000),
        table: entry,
        leaf: entry,
        view_entry,
        open_entry: |directory| directory | PRESENT | USER,
    };
    type Flush = EveryCpu;

    fn flush(hardware: Rc<Hardware>) -> EveryCpu {
        EveryCpu(hardware)
    }

    fn decode(exception: Exception) -> Option<Fault> {
        let access = match exception.intent.kind {
            Kind::Read => Access::Read,
            Kind::Write => Access::Write,
            Kind::Fetch => return None,
        };
        let ours = exception.intent.mode == Mode::Kernel && exception.cause != Cause::Forbidden;
        ours.then(|| Fault {
            address: KernelAddr::new(exception.address),
            access,
            instruction: InstructionAddr::new(exception.instruction),
        })
    }

    fn decode_program(exception: Exception) -> Option<ProgramFault> {
        let access = match exception.intent.kind {
            Kind::Read => ProgramAccess::Read,
            Kind::Write => ProgramAccess::Write,
            Kind::Fetch => ProgramAccess::Execute,
        };
        (exception.intent.mode == Mode::User).then(|| ProgramFault {
            address: ProgramAddr::new(exception.address),
            access,
            instruction: InstructionAddr::new(exception.instruction),
        })
    }
}

fn entry(word: u64) -> Option<Entry> {
    let entry = view_entry(word)?;
    rule(entry.rights.write, || format!("not an entry of an arena: {word:#x}"));
    Some(entry)
}

fn view_entry(word: u64) -> Option<Entry> {
    let (user, write) = (word & USER != 0, word & READ_ONLY == 0);
    (word & PRESENT != 0).then_some(Entry {
        frame: word & ADDRESS,
        rights: Rights { user, write, kernel_fetch: false, user_fetch: false },
    })
}
