//! Ring 3: the way in, the way out, and what is of the machine in an address space.
//!
//! `enter` leaves six registers and a pointer on the kernel's stack and names that place to the processor, which comes back to it
//! from ring 3 (TSS.RSP0, Intel SDM vol. 3, 7.14.2). Every entry of the descriptor table looks whether it interrupted ring 3,
//! and if so jumps to `user_exit`, which saves the program's registers and returns from `enter`.
//!
//! Interrupts are masked from before the program's root is loaded until after the kernel's is again.

use core::arch::{asm, naked_asm};
use core::sync::atomic::Ordering;

use kernel_arena::platform::Frame;
use x86_64::instructions::interrupts::without_interrupts;

use super::segments::{USER_CODE, USER_DATA, current, kernel_stack_pointer};
use super::tables::{image_gibibytes, root_entries};
use super::{apic, interrupts, shootdown};
use crate::fault::{self, FaultFrame};
use crate::frames::FrameStack;
use crate::interrupt;
use crate::user::{AddressSpace, Event, Rights, entries, zeroed};

/// System calls come by this vector.
pub(super) const CALL_VECTOR: u8 = 0x80;
const DEBUG: u64 = 1;
const PAGE_FAULT: u64 = 14;

/// Bits of an address that a root translates.
pub(crate) const ROOT_BITS: u32 = 48;
/// The first GiB is the kernel's image.
pub(crate) const FIRST_OWN_GIB: usize = 1;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// RFLAGS: what a program may have set (CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC, ID), and what it has (IF, and the bit that is
/// always set).
const FLAGS_OF_USER: u64 =
    1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11 | 1 << 16 | 1 << 18 | 1 << 21;
const FLAGS_ALWAYS: u64 = 1 << 1 | 1 << 9;

/// The registers of a program, and after it came back, why.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Registers {
    /// RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 to R15.
    general: [u64; 15],
    instruction: u64,
    flags: u64,
    stack: u64,
    vector: u64,
    error: u64,
    address: u64,
}

const RAX: usize = 0;
const RCX: usize = 2;
const RDX: usize = 3;
const RSI: usize = 4;
const RDI: usize = 5;
const R10: usize = 9;

impl Registers {
    pub(crate) fn new(entry: u64, stack: u64, arguments: [u64; 4]) -> Self {
        let mut general = [0; 15];
        [general[RDI], general[RSI], general[RDX], general[RCX]] = arguments;
        // As if the entry had been called.
        let stack = stack - 8;
        Self { general, instruction: entry, flags: 0, stack, vector: 0, error: 0, address: 0 }
    }

    pub(crate) fn set_result(&mut self, result: u64) {
        self.general[RAX] = result;
    }

    /// What is to be done after the program came back, and what its kernel is told.
    fn after(&self) -> Event {
        let general = &self.general;
        match self.vector {
            PAGE_FAULT => {
                fault::count_exception();
                Event::Fault(FaultFrame {
                    address: self.address,
                    syndrome: self.error,
                    instruction: self.instruction,
                    from_user: true,
                })
            }
            vector if [interrupts::CALL_VECTOR, interrupts::TIMER_VECTOR].map(u64::from).contains(&vector) => {
                apic::end_of_interrupt();
                interrupt::handle();
                Event::Interrupted
            }
            vector if vector == u64::from(CALL_VECTOR) => Event::Call {
                number: general[RAX],
                arguments: [general[RDI], general[RSI], general[RDX], general[R10]],
            },
            kind => {
                if kind == DEBUG {
                    // SAFETY: what its cause was does not matter, only that the next one shows its own.
                    unsafe { asm!("mov dr6, {}", in(reg) 0xffff_0ff0_u64, options(nomem, nostack, preserves_flags)) };
                }
                Event::Exception { kind, instruction: self.instruction }
            }
        }
    }
}

/// Runs a program until something happens.
///
/// What is the kernel's own business is done on the way, with the program's root loaded: loading another one would forget all that
/// the TLB remembers of the program, and a shootdown that names the wrong addresses would do no harm.
pub(crate) fn run(registers: &mut Registers, space: &AddressSpace) -> Event {
    without_interrupts(|| {
        let kernel = load(space.tables().0.address());
        loop {
            registers.flags = registers.flags & FLAGS_OF_USER | FLAGS_ALWAYS;
            // SAFETY: the root that is loaded has the kernel in it, interrupts are masked, and the stack pointer is this CPU's own.
            unsafe { enter(registers, kernel_stack_pointer(current())) };
            match u8::try_from(registers.vector).unwrap_or(0) {
                interrupts::SHOOTDOWN_VECTOR => shootdown::serve(),
                interrupts::WAKE_VECTOR => {}
                apic::SPURIOUS_VECTOR => continue,
                _ => break,
            }
            apic::end_of_interrupt();
        }
        load(kernel);
        registers.after()
    })
}

/// Does something with a space loaded.
pub(crate) fn with_space<R>(space: &AddressSpace, action: impl FnOnce() -> R) -> R {
    without_interrupts(|| {
        let kernel = load(space.tables().0.address());
        let result = action();
        load(kernel);
        result
    })
}

/// Loads a root, and says which was loaded before.
fn load(root: u64) -> u64 {
    let before: u64;
    // SAFETY: both roots have the kernel in them. All that the TLB remembers is forgotten. No `nomem`: no access moves across.
    unsafe {
        asm!("mov {before}, cr3", "mov cr3, {root}", before = out(reg) before, root = in(reg) root,
             options(nostack, preserves_flags));
    }
    before
}

/// Enters ring 3, and returns when it is left.
///
/// # Safety
///
/// Interrupts are masked, a root with the kernel and the program in it is loaded, and `stack_pointer` is this CPU's RSP0.
#[unsafe(naked)]
unsafe extern "C" fn enter(registers: *mut Registers, stack_pointer: *mut u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        // Seven words and the return address: aligned to 16, so the processor's words come right below.
        "push rdi",
        "mov [rsi], rsp",
        "push {USER_DATA}",
        "push qword ptr [rdi + 136]",
        "push qword ptr [rdi + 128]",
        "push {USER_CODE}",
        "push qword ptr [rdi + 120]",
        "mov rax, [rdi]",
        "mov rbx, [rdi + 8]",
        "mov rcx, [rdi + 16]",
        "mov rdx, [rdi + 24]",
        "mov rsi, [rdi + 32]",
        "mov rbp, [rdi + 48]",
        "mov r8, [rdi + 56]",
        "mov r9, [rdi + 64]",
        "mov r10, [rdi + 72]",
        "mov r11, [rdi + 80]",
        "mov r12, [rdi + 88]",
        "mov r13, [rdi + 96]",
        "mov r14, [rdi + 104]",
        "mov r15, [rdi + 112]",
        "mov rdi, [rdi + 40]",
        "iretq",
        USER_DATA = const USER_DATA,
        USER_CODE = const USER_CODE,
    )
}

/// Where every entry goes that has interrupted ring 3: on the stack are the vector, an error code, and what the processor pushed.
#[unsafe(naked)]
pub(super) extern "C" fn user_exit() {
    naked_asm!(
        "push rdi",
        "mov rdi, [rsp + 64]", // what `enter` pushed last
        "mov [rdi], rax",
        "mov [rdi + 8], rbx",
        "mov [rdi + 16], rcx",
        "mov [rdi + 24], rdx",
        "mov [rdi + 32], rsi",
        "mov [rdi + 48], rbp",
        "mov [rdi + 56], r8",
        "mov [rdi + 64], r9",
        "mov [rdi + 72], r10",
        "mov [rdi + 80], r11",
        "mov [rdi + 88], r12",
        "mov [rdi + 96], r13",
        "mov [rdi + 104], r14",
        "mov [rdi + 112], r15",
        "pop qword ptr [rdi + 40]",
        "pop qword ptr [rdi + 144]", // vector
        "pop qword ptr [rdi + 152]", // error code
        "pop qword ptr [rdi + 120]", // RIP
        "pop rax",                   // CS
        "pop qword ptr [rdi + 128]", // RFLAGS
        "pop qword ptr [rdi + 136]", // RSP
        "pop rax",                   // SS
        "mov rax, cr2",
        "mov [rdi + 160], rax",
        // RFLAGS as the kernel wants them: the gate has masked interrupts and cleared TF and NT, but not AC, with which SMAP is off,
        // nor DF.
        "push 2",
        "popfq",
        "pop rdi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// The entry of system calls, which ring 3 alone makes.
#[unsafe(naked)]
pub(super) extern "C" fn call_entry() {
    naked_asm!("push 0", "push {VECTOR}", "jmp {user_exit}", VECTOR = const CALL_VECTOR as u32, user_exit = sym user_exit)
}

/// A root: the upper half is the kernel's, and so is the first GiB.
pub(crate) fn new_root(frames: &FrameStack) -> Option<(Frame, Frame)> {
    let root = zeroed(frames)?;
    let Some(gibs) = zeroed(frames) else {
        frames.free(root);
        return None;
    };
    let (kernels, ours) = (root_entries(), entries(root));
    for (entry, kernels) in ours.iter().zip(kernels).skip(256) {
        entry.store(kernels.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    ours[0].store(table(gibs), Ordering::Relaxed);
    entries(gibs)[0].store(image_gibibytes()[0].load(Ordering::Relaxed), Ordering::Relaxed);
    Some((root, gibs))
}

/// An entry that leads to a table of the program's.
pub(crate) fn table(frame: Frame) -> u64 {
    frame.address() | PRESENT | WRITABLE | USER | ACCESSED
}

/// The frame that an entry leads to.
pub(crate) fn table_frame(word: u64) -> Frame {
    Frame::new(word & ADDRESS).expect("the mask leaves a multiple of 4096")
}

/// An entry for a page of the program's.
pub(crate) fn leaf(frame: Frame, rights: Rights) -> u64 {
    let base = frame.address() | PRESENT | USER | ACCESSED | DIRTY;
    match rights {
        Rights::Text => base,
        Rights::Constants => base | NO_EXECUTE,
        Rights::Data => base | WRITABLE | NO_EXECUTE,
    }
}

/// Nothing: instruction fetches see what was stored (Intel SDM vol. 3, 13.6).
pub(crate) fn sync_text(_address: u64) {}

/// Nothing: an entry that is not present is not remembered.
pub(crate) fn publish() {}

/// The name of an address space in the TLB: there is none, since loading a root forgets all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag;

impl Tag {
    #[expect(clippy::unnecessary_wraps, reason = "the other architecture may run out of them")]
    pub(crate) fn take() -> Option<Self> {
        Some(Self)
    }

    pub(crate) fn forget(self) {}

    pub(crate) fn give_back(self) {}
}
