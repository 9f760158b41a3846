//! EL0: the way in, the way out, and what is of the machine in an address space.
//!
//! The kernel runs on SP_EL0, which is the program's, too. So `enter` leaves the kernel's stack pointer, and where the program's
//! registers are kept, on the exceptions' stack (SP_EL1), on which the processor comes back from EL0. The vectors of `aarch64-rt`
//! save what a call may change below that and call a handler, which here saves the rest and returns from `enter`.
//!
//! A program's pages are not global and belong to its ASID, so what the TLB remembers of it stays until it is flushed.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{Readable, TTBR0_EL1, Writeable};
use kernel_arena::platform::Frame;

use super::{gic, tables};
use crate::exit::fail;
use crate::fault::{self, FaultFrame};
use crate::frames::FrameStack;
use crate::user::{AddressSpace, Event, Rights, entries, zeroed};

/// Bits of an address that a root translates.
pub(crate) const ROOT_BITS: u32 = 39;
/// The first GiB is the devices', the second the kernel's image.
pub(crate) const FIRST_OWN_GIB: usize = 2;

/// Descriptor bits (Arm ARM D8.3).
const TABLE: u64 = 1 | 1 << 1 | 1 << 10;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NOT_GLOBAL: u64 = 1 << 11;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Exception classes (Arm ARM D24.2, ESR_EL1.EC).
const SYSTEM_CALL: u64 = 0x15;
const INSTRUCTION_ABORT: u64 = 0x20;
const DATA_ABORT: u64 = 0x24;

/// The condition flags: what a program may have set of SPSR_EL1. The rest is 0: EL0, and nothing is masked.
const FLAGS: u64 = 0b1111 << 28;

/// The registers of a program, and after it came back, why.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Registers {
    general: [u64; 31],
    instruction: u64,
    flags: u64,
    stack: u64,
    syndrome: u64,
    address: u64,
    cause: u64,
}

/// What `Registers::cause` says.
const SYNCHRONOUS: u64 = 0;
const INTERRUPT: u64 = 1;

impl Registers {
    pub(crate) fn new(entry: u64, stack: u64, arguments: [u64; 4]) -> Self {
        let mut general = [0; 31];
        general[..4].copy_from_slice(&arguments);
        Self { general, instruction: entry, flags: 0, stack, syndrome: 0, address: 0, cause: 0 }
    }

    pub(crate) fn set_result(&mut self, result: u64) {
        self.general[0] = result;
    }

    fn event(&self) -> Event {
        match self.syndrome >> 26 {
            SYSTEM_CALL => {
                let [first, second, third, fourth, ..] = self.general;
                Event::Call { number: self.general[8], arguments: [first, second, third, fourth] }
            }
            INSTRUCTION_ABORT | DATA_ABORT => Event::Fault(FaultFrame {
                address: self.address,
                syndrome: self.syndrome,
                instruction: self.instruction,
                from_user: true,
            }),
            kind => Event::Exception { kind, instruction: self.instruction },
        }
    }
}

/// Runs a program until something happens.
pub(crate) fn run(registers: &mut Registers, space: &AddressSpace) -> Event {
    gic::enable();
    registers.flags &= FLAGS;
    let (root, tag) = space.tables();
    let kernel = TTBR0_EL1.get();
    load(root.address() | tag.0 << 48);
    // SAFETY: the root that is loaded has the kernel in it, and the program.
    unsafe { enter(registers) };
    load(kernel);
    match registers.cause {
        SYNCHRONOUS => {
            if registers.syndrome >> 26 == DATA_ABORT {
                fault::count_exception();
            }
            registers.event()
        }
        INTERRUPT if gic::handle() => Event::Interrupted,
        cause => fail(format_args!("aarch64: unexpected exception of EL0, cause {cause}\n")),
    }
}

/// Does something with a space loaded.
pub(crate) fn with_space<R>(space: &AddressSpace, action: impl FnOnce() -> R) -> R {
    let (root, tag) = space.tables();
    let kernel = TTBR0_EL1.get();
    load(root.address() | tag.0 << 48);
    let result = action();
    load(kernel);
    result
}

fn load(root: u64) {
    TTBR0_EL1.set(root);
    barrier::isb(barrier::SY);
}

/// Enters EL0, and returns when it is left.
///
/// # Safety
///
/// A root with the kernel and the program in it is loaded.
#[unsafe(naked)]
unsafe extern "C" fn enter(registers: *mut Registers) {
    naked_asm!(
        "sub sp, sp, #112",
        "stp x19, x20, [sp]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        "mrs x9, daif",
        "str x9, [sp, #96]",
        "msr daifset, #15",
        "mov x9, sp",
        "msr spsel, #1",
        "stp x0, x9, [sp, #-16]!",
        "ldr x9, [x0, #264]",
        "msr sp_el0, x9",
        "ldp x9, x10, [x0, #248]",
        "msr elr_el1, x9",
        "msr spsr_el1, x10",
        "ldp x2, x3, [x0, #16]",
        "ldp x4, x5, [x0, #32]",
        "ldp x6, x7, [x0, #48]",
        "ldp x8, x9, [x0, #64]",
        "ldp x10, x11, [x0, #80]",
        "ldp x12, x13, [x0, #96]",
        "ldp x14, x15, [x0, #112]",
        "ldp x16, x17, [x0, #128]",
        "ldp x18, x19, [x0, #144]",
        "ldp x20, x21, [x0, #160]",
        "ldp x22, x23, [x0, #176]",
        "ldp x24, x25, [x0, #192]",
        "ldp x26, x27, [x0, #208]",
        "ldp x28, x29, [x0, #224]",
        "ldr x30, [x0, #240]",
        "ldp x0, x1, [x0]",
        "eret",
    )
}

/// What the vectors call for synchronous exceptions of EL0. `state` is what they have saved, on top of what `enter` left.
#[unsafe(naked)]
pub(super) extern "C" fn synchronous(state: *const u64) {
    naked_asm!("mov x3, {CAUSE}", "b {leave}", CAUSE = const SYNCHRONOUS, leave = sym leave)
}

/// The same for interrupts.
#[unsafe(naked)]
pub(super) extern "C" fn interrupt(state: *const u64) {
    naked_asm!("mov x3, {CAUSE}", "b {leave}", CAUSE = const INTERRUPT, leave = sym leave)
}

/// Saves the program's registers and returns from `enter`. X0 is where the vectors have saved some, X3 the cause.
#[unsafe(naked)]
extern "C" fn leave() {
    naked_asm!(
        "ldp x1, x2, [x0, #192]", // what `enter` left: where the registers are kept, and the kernel's stack pointer
        "ldp x4, x5, [x0]",
        "stp x4, x5, [x1]",
        "ldp x4, x5, [x0, #16]",
        "stp x4, x5, [x1, #16]",
        "ldp x4, x5, [x0, #32]",
        "stp x4, x5, [x1, #32]",
        "ldp x4, x5, [x0, #48]",
        "stp x4, x5, [x1, #48]",
        "ldp x4, x5, [x0, #64]",
        "stp x4, x5, [x1, #64]",
        "ldp x4, x5, [x0, #80]",
        "stp x4, x5, [x1, #80]",
        "ldp x4, x5, [x0, #96]",
        "stp x4, x5, [x1, #96]",
        "ldp x4, x5, [x0, #112]",
        "stp x4, x5, [x1, #112]",
        "ldp x4, x5, [x0, #128]",
        "stp x4, x5, [x1, #128]",
        "ldr x4, [x0, #144]",
        "stp x4, x19, [x1, #144]",
        "stp x20, x21, [x1, #160]",
        "stp x22, x23, [x1, #176]",
        "stp x24, x25, [x1, #192]",
        "stp x26, x27, [x1, #208]",
        "ldp x4, x5, [x0, #160]", // X29, X30
        "stp x28, x4, [x1, #224]",
        "str x5, [x1, #240]",
        "ldp x4, x5, [x0, #176]", // ELR_EL1, SPSR_EL1
        "stp x4, x5, [x1, #248]",
        "mrs x4, sp_el0",
        "mrs x5, esr_el1",
        "stp x4, x5, [x1, #264]",
        "mrs x4, far_el1",
        "stp x4, x3, [x1, #280]",
        "add sp, x0, #208",
        "msr spsel, #0",
        "mov sp, x2",
        "ldr x9, [sp, #96]",
        "ldp x19, x20, [sp]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "add sp, sp, #112",
        "msr daif, x9",
        "ret",
    )
}

/// A root: its first entries are those of the kernel's.
pub(crate) fn new_root(frames: &FrameStack) -> Option<(Frame, Frame)> {
    let root = zeroed(frames)?;
    for (entry, word) in entries(root).iter().zip(tables::lower_root()).take(FIRST_OWN_GIB) {
        entry.store(*word, Ordering::Relaxed);
    }
    Some((root, root))
}

/// An entry that leads to a table of the program's.
pub(crate) fn table(frame: Frame) -> u64 {
    frame.address() | TABLE
}

/// The frame that an entry leads to.
pub(crate) fn table_frame(word: u64) -> Frame {
    Frame::new(word & ADDRESS).expect("the mask leaves a multiple of 4096")
}

/// An entry for a page of the program's.
pub(crate) fn leaf(frame: Frame, rights: Rights) -> u64 {
    let base = frame.address() | TABLE | tables::LEAF_ATTRIBUTES | USER | NOT_GLOBAL | PXN;
    match rights {
        Rights::Text => base | READ_ONLY,
        Rights::Constants => base | READ_ONLY | UXN,
        Rights::Data => base | UXN,
    }
}

/// Has instruction fetches see what was stored to the page at this address (Arm ARM B2.7.4).
pub(crate) fn sync_text(address: u64) {
    for line in (address..address + 4096).step_by(64) {
        // SAFETY: cleaning what is cached changes no memory.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: forgetting instructions that are cached is always sound.
    unsafe { asm!("dsb ish", "ic ialluis", "dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Makes entries that were written visible to the table walkers.
pub(crate) fn publish() {
    barrier::dsb(barrier::ISHST);
    barrier::isb(barrier::SY);
}

/// Which ASIDs are taken. 0 and 1 are the kernel's own.
static TAGS: [AtomicU64; 4] = [AtomicU64::new(0b11), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];

/// The name of an address space in the TLBs: an ASID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag(u64);

impl Tag {
    pub(crate) fn take() -> Option<Self> {
        (0u64..).step_by(64).zip(&TAGS).find_map(|(first, word)| {
            let taken = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, |bits| {
                (bits != u64::MAX).then_some(bits | (bits + 1))
            });
            taken.ok().map(|bits| Self(first + u64::from(bits.trailing_ones())))
        })
    }

    /// Has every CPU forget what it remembers under this name.
    pub(crate) fn forget(self) {
        let operand = self.0 << 48;
        // SAFETY: forgetting translations is always sound.
        unsafe {
            asm!("dsb ishst", "tlbi aside1is, {}", "dsb ish", "isb", in(reg) operand, options(nostack, preserves_flags))
        };
    }

    pub(crate) fn give_back(self) {
        let word = usize::try_from(self.0 / 64).expect("there are four");
        TAGS[word].fetch_and(!(1 << (self.0 % 64)), Ordering::Release);
    }
}
