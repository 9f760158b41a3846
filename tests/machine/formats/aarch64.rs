//! aarch64 as Arm ARM DDI 0487, D8.3 to D8.16 and D24.2.45 have it: 4 KiB granule, 48-bit output addresses, hierarchical
//! permissions on, top-byte-ignore on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kernel_arena::arch::aarch64::tlb::TlbInstructions;
use kernel_arena::arch::aarch64::{AArch64, BroadcastShootdown, decode_fault, decode_program_fault};
use kernel_arena::platform::EntryAttributes;
use kernel_arena::views::ProgramFault;
use kernel_arena::{Fault, KernelAddr};

use super::super::format::{Cause, Entry, Exception, Format, Kind, Mode, Rights, Rules};
use super::super::hardware::Hardware;
use super::super::rule;
use super::super::tlb::Levels;

const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
/// AttrIndx 1 and inner shareable: what this machine's map has.
const NORMAL: u64 = 1 << 2 | 0b11 << 8;
const NORMAL_MASK: u64 = 0b111 << 2 | 1 << 5 | 0b11 << 8;
const AP1_EL0: u64 = 1 << 6;
const AP2_READ_ONLY: u64 = 1 << 7;
const AF: u64 = 1 << 10;
const NG: u64 = 1 << 11;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// Bits 50:48 are reserved without larger output addresses, 51 is DBM, 52 Contiguous.
const RES0_DBM_CONTIGUOUS: u64 = 0x1f << 48;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const AP_TABLE0_NO_EL0: u64 = 1 << 61;
const AP_TABLE1_READ_ONLY: u64 = 1 << 62;
const NS_TABLE: u64 = 1 << 63;
/// In a leaf: PBHA (62:59) and the top bit, which the arena leaves alone.
const LEAF_TOP: u64 = 0x1f << 59;

impl Format for AArch64 {
    const RULES: Rules = Rules {
        attributes: EntryAttributes { leaf: NORMAL, table: 0 },
        break_before_make: true,
        base: KernelAddr::new(0xffff_ff90_0000_0000),
        table,
        leaf,
        view_entry,
        open_entry: |directory| directory | VALID | TABLE_OR_PAGE | AF | PXN_TABLE | UXN_TABLE,
    };
    type Flush = BroadcastShootdown<MachineInstructions>;

    fn flush(hardware: Rc<Hardware>) -> Self::Flush {
        BroadcastShootdown::new(MachineInstructions::new(hardware))
    }

    fn decode(exception: Exception) -> Option<Fault> {
        let (esr, far) = registers(exception);
        decode_fault(esr, far, exception.instruction)
    }

    fn decode_program(exception: Exception) -> Option<ProgramFault> {
        let (esr, far) = registers(exception);
        decode_program_fault(esr, far, exception.instruction)
    }
}

/// ESR_EL1 and FAR_EL1.
fn registers(exception: Exception) -> (u64, u64) {
    let class = match (exception.intent.kind, exception.intent.mode) {
        (Kind::Fetch, Mode::User) => 0x20,
        (Kind::Fetch, Mode::Kernel) => 0x21,
        (_, Mode::User) => 0x24,
        (_, Mode::Kernel) => 0x25,
    };
    let status = match exception.cause {
        Cause::Missing { level } => 0b00_0100 | u64::from(level),
        Cause::Forbidden => 0b00_1111,
    };
    let write = u64::from(exception.intent.kind == Kind::Write) << 6;
    let esr = class << 26 | 1 << 25 | write | status;
    // FAR holds the address as the instruction had it: here with a tag in its top byte.
    (esr, exception.address & !(0xff << 56) | 0xb7 << 56)
}

fn table(word: u64) -> Option<Entry> {
    let entry = table_descriptor(word)?;
    rule(word & AP_TABLE1_READ_ONLY == 0, || format!("not a table descriptor of an arena: {word:#x}"));
    Some(entry)
}

/// APTable[1] alone decides over writes; what is below is EL0's, and nothing is executable.
fn view_entry(word: u64) -> Option<Entry> {
    let entry = table_descriptor(word)?;
    let never = PXN_TABLE | UXN_TABLE;
    rule(word & (never | AP_TABLE0_NO_EL0) == never, || format!("not a view's descriptor of an arena: {word:#x}"));
    Some(entry)
}

fn table_descriptor(word: u64) -> Option<Entry> {
    if word & VALID == 0 {
        return None;
    }
    let must = VALID | TABLE_OR_PAGE | AF;
    let must_not = RES0_DBM_CONTIGUOUS | NS_TABLE;
    rule(word & (must | must_not) == must, || format!("not a table descriptor of an arena: {word:#x}"));
    Some(Entry {
        frame: word & ADDRESS,
        rights: Rights {
            user: word & AP_TABLE0_NO_EL0 == 0,
            write: word & AP_TABLE1_READ_ONLY == 0,
            kernel_fetch: word & PXN_TABLE == 0,
            user_fetch: word & UXN_TABLE == 0,
        },
    })
}

fn leaf(word: u64) -> Option<Entry> {
    if word & VALID == 0 {
        return None;
    }
    let must = VALID | TABLE_OR_PAGE | NORMAL | AF | NG | PXN | UXN;
    let must_not = AP2_READ_ONLY | RES0_DBM_CONTIGUOUS | LEAF_TOP | NORMAL_MASK & !NORMAL;
    rule(word & (must | must_not) == must, || format!("not a page descriptor of an arena: {word:#x}"));
    Some(Entry {
        frame: word & ADDRESS,
        rights: Rights {
            user: word & AP1_EL0 != 0,
            write: word & AP2_READ_ONLY == 0,
            kernel_fetch: word & PXN == 0,
            user_fetch: word & UXN == 0,
        },
    })
}

/// The processor's instructions. A TLBI has done nothing yet when it returns: only the DSB after it waits for that.
pub(crate) struct MachineInstructions {
    hardware: Rc<Hardware>,
    writes_are_visible: Cell<bool>,
    under_way: RefCell<Vec<(u64, u64)>>,
}

impl MachineInstructions {
    pub(in super::super) fn new(hardware: Rc<Hardware>) -> Self {
        Self { hardware, writes_are_visible: Cell::new(false), under_way: RefCell::default() }
    }

    fn start(&self, first: u64, last: u64) {
        rule(self.writes_are_visible.get(), || {
            "TLBI before DSB ISHST: a walker may still see the old descriptor".into()
        });
        self.under_way.borrow_mut().push((first, last));
    }
}

impl TlbInstructions for MachineInstructions {
    fn wait_for_table_writes(&self) {
        self.writes_are_visible.set(true);
    }

    /// TLBI VAAE1IS (C5.5): all ASIDs, all levels, the whole inner-shareable domain. Bits 43:0 are VA\[55:12\]; bits 47:44 are
    /// the TTL hint, wrong in any value but 0 for an entry of another level; 63:48 are RES0.
    fn invalidate_page(&self, operand: u64) {
        rule(operand >> 44 == 0, || format!("TLBI operand {operand:#x} has bits above 43 set"));
        let sign = if operand >> 43 & 1 != 0 { 0xff << 56 } else { 0 };
        let address = operand << 12 | sign;
        self.start(address, address | 0xfff);
    }

    fn invalidate_everything(&self) {
        self.start(0, u64::MAX);
    }

    fn wait_for_invalidation(&self) {
        self.writes_are_visible.set(false);
        for (first, last) in self.under_way.take() {
            self.hardware.forget(first, last, Levels::All);
        }
    }
}
