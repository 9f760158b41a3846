//! Memory faults: what is known of one, who decides about it, and how many there were.
//!
//! A fault is a page fault on x86_64, and a data or instruction abort on aarch64. The kernel
//! registers one function, which decides: [`FaultAction`]. It may fault itself (up to
//! [`MAX_LEVEL`] deep). It must not allocate from a heap that locks nor wait for a lock: it has
//! interrupted any code whatever.
//!
//! Each CPU handles its own faults, at a level of its own; the function is the same for all.
//! Every page fault and every data abort is counted before anything else happens, those that
//! nobody wants included, so that the count can be compared with the emulator's own log.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use kernel_arena::platform::CpuId;
use kernel_arena::views::ProgramFault;
use kernel_arena::{Fault, InstructionAddr};

use crate::exit::fail;
use crate::layout::MAX_CPUS;
use crate::{ARCHITECTURE, arch, probe};

/// A fault within handlers this deep ends the machine: they cause their own faults.
const MAX_LEVEL: u32 = 8;

/// What there is to know about one CPU's faults; on cache lines of its own.
///
/// Relaxed throughout: only its own CPU writes here, others read a figure.
#[repr(align(64))]
struct CpuFaults {
    taken: AtomicU64,
    /// How many handlers run, each having interrupted the next.
    level: AtomicU32,
}

static CPUS: [CpuFaults; MAX_CPUS] =
    [const { CpuFaults { taken: AtomicU64::new(0), level: AtomicU32::new(0) } }; MAX_CPUS];

/// The kernel's handler, a [`FaultHandler`], or null.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// What the processor says about a fault, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultFrame {
    /// The address that was accessed: CR2 on x86_64, FAR_EL1 (with any tag bits) on aarch64.
    pub address: u64,
    /// What was wrong with it: the page fault's error code on x86_64 (Intel SDM vol. 3, 5.7),
    /// ESR_EL1 on aarch64 (Arm ARM D24.2).
    pub syndrome: u64,
    /// The instruction that faulted: RIP on x86_64, ELR_EL1 on aarch64.
    pub instruction: u64,
    /// Whether the processor was in user mode.
    pub from_user: bool,
}

impl FaultFrame {
    /// The fault as an arena sees it: nothing if it is of a kind that no arena repairs.
    #[must_use]
    #[inline]
    pub fn decode(&self) -> Option<Fault> {
        if self.from_user {
            return None;
        }
        arch::decode(self)
    }

    /// Whether it is one of [`exceptions_taken`]: an abort of an instruction fetch is not, for QEMU logs it under another name.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        arch::is_counted(self)
    }

    /// The fault of a program as an arena sees it: nothing if it is the kernel's, or of a kind that no arena decides about.
    #[must_use]
    pub fn decode_program(&self) -> Option<ProgramFault> {
        if self.from_user { arch::decode_program(self) } else { None }
    }
}

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// The cause is gone: run the instruction again.
    Retry,
    /// Go on here instead.
    ContinueAt(InstructionAddr),
    /// Nobody can help: give up the instruction, if it is one that can be given up, which are
    /// those of the `probe_*` functions. With any other this is [`FaultAction::Fatal`].
    Skip,
    /// Print everything and end the machine as failed.
    Fatal,
}

/// A kernel's function that decides about faults.
type FaultHandler = fn(&FaultFrame) -> FaultAction;

/// Makes `handler` the one that decides about all faults from now on. Without one each is
/// [`FaultAction::Skip`].
pub fn set_fault_handler(handler: fn(&FaultFrame) -> FaultAction) {
    HANDLER.store(handler as *mut (), Ordering::Release);
}

fn here() -> &'static CpuFaults {
    &CPUS[arch::current()]
}

/// How many page faults (x86_64) or data aborts (aarch64) there were on all CPUs since the start.
///
/// QEMU's `-d int` logs each of these as `v=0e` or as `[Data Abort]`.
#[must_use]
pub fn exceptions_taken() -> u64 {
    CPUS.iter().map(|cpu| cpu.taken.load(Ordering::Relaxed)).sum()
}

/// How many of [`exceptions_taken`] were on this CPU.
#[must_use]
pub fn exceptions_taken_on(cpu: CpuId) -> u64 {
    CPUS.get(usize::from(cpu.number())).map_or(0, |cpu| cpu.taken.load(Ordering::Relaxed))
}

/// How many fault handlers have been entered and not left on this CPU: 0 at thread level.
#[must_use]
pub fn fault_level() -> u32 {
    here().level.load(Ordering::Relaxed)
}

/// Runs `f` as a handler that has interrupted what runs on this CPU.
pub(crate) fn one_level_up<R>(f: impl FnOnce() -> R) -> R {
    here().level.fetch_add(1, Ordering::Relaxed);
    let result = f();
    here().level.fetch_sub(1, Ordering::Relaxed);
    result
}

/// Counts a page fault or data abort. The first thing its handler does.
pub(crate) fn count_exception() {
    here().taken.fetch_add(1, Ordering::Relaxed);
}

/// Lets the kernel decide about a fault. Gives the address to go on at, if it is not that of the
/// instruction that faulted.
pub(crate) fn decide(frame: &FaultFrame) -> Option<u64> {
    let level = here().level.fetch_add(1, Ordering::Relaxed);
    if level >= MAX_LEVEL {
        fatal("fault in a fault handler, again and again", frame);
    }
    let resume = match handler().map_or(FaultAction::Skip, |handler| handler(frame)) {
        FaultAction::Retry => None,
        FaultAction::ContinueAt(instruction) => Some(instruction.value()),
        FaultAction::Skip => match probe::resume_address(frame) {
            Some(address) => Some(address),
            None => fatal("fault that no handler can repair", frame),
        },
        FaultAction::Fatal => fatal("fault that the kernel calls fatal", frame),
    };
    here().level.fetch_sub(1, Ordering::Relaxed);
    resume
}

fn handler() -> Option<FaultHandler> {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        return None;
    }
    // SAFETY: only `set_fault_handler` stores here, and what it stores is a `FaultHandler`.
    Some(unsafe { core::mem::transmute::<*mut (), FaultHandler>(handler) })
}

/// Reports a fault and ends the machine as failed.
pub(crate) fn fatal(reason: &str, frame: &FaultFrame) -> ! {
    fail(format_args!(
        "{ARCHITECTURE}: {reason}\n  \
         address {:#018x}, syndrome {:#x}, instruction {:#018x}, from {} mode, CPU {}, level {}, \
         exceptions so far {}\n",
        frame.address,
        frame.syndrome,
        frame.instruction,
        if frame.from_user { "user" } else { "kernel" },
        arch::current(),
        fault_level(),
        exceptions_taken(),
    ))
}
