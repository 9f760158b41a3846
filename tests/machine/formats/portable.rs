//! The portable format, which no processor walks, as if one did: present, user, frame, four software bits.

use std::rc::Rc;

use kernel_arena::arch::portable::Portable;
use kernel_arena::platform::EntryAttributes;
use kernel_arena::{Access, Fault, InstructionAddr, KernelAddr};

use super::super::flush::EveryCpu;
use super::super::format::{Cause, Entry, Exception, Format, Kind, Mode, Rights, Rules};
use super::super::hardware::Hardware;

const PRESENT: u64 = 1 << 0;
const USER: u64 = 1 << 1;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Format for Portable {
    const RULES: Rules = Rules {
        attributes: EntryAttributes { leaf: 0, table: 0 },
        break_before_make: true,
        base: KernelAddr::new(0xffff_a000_0000_0000),
        table: entry,
        leaf: entry,
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
}

fn entry(word: u64) -> Option<Entry> {
    (word & PRESENT != 0).then_some(Entry {
        frame: word & ADDRESS,
        rights: Rights { user: word & USER != 0, write: true, kernel_fetch: false, user_fetch: false },
    })
}
