//! What the processor is to refuse, beyond what the boot code has switched on already
//! (no-execute, and write protection of the kernel from itself), and process-context identifiers.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::tlb::Pcid;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr3, Cr4, Cr4Flags};

/// CPUID leaf 1, ECX (Intel SDM vol. 2, CPUID).
const PCID: u32 = 1 << 17;
/// CPUID leaf 7, EBX.
const SMEP: u32 = 1 << 7;
const SMAP: u32 = 1 << 20;

/// Whether the command line asks for contexts.
static CONTEXTS: AtomicBool = AtomicBool::new(false);

/// Switches SMEP and SMAP on where the processor has them: the kernel neither executes nor, unless
/// it says so, touches pages that user mode may touch. EFLAGS.AC is off since reset.
pub(super) fn enable_protections() {
    let features = features();
    let mut flags = Cr4::read();
    flags.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features & SMEP != 0);
    flags.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features & SMAP != 0);
    // SAFETY: the two flags only forbid, and nothing the kernel uses is mapped for user mode.
    unsafe { Cr4::write(flags) };
    // Nobody saves a program's floating-point registers, so it has none: its instructions raise an exception (2.5, CR0.EM).
    // SAFETY: the kernel is compiled without them.
    unsafe { Cr0::write(Cr0::read() | Cr0Flags::EMULATE_COPROCESSOR) };
}

/// CPUID leaf 7, EBX.
fn features() -> u32 {
    if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).ebx }
}

/// Notes that all CPUs are to use process-context identifiers.
///
/// # Panics
///
/// If the processor has none: a test that asks for them must not pass without.
pub(super) fn ask_for_contexts() {
    assert!(
        __cpuid(1).ecx & PCID != 0,
        "`pcid` on the command line, but the processor has no PCIDs (QEMU's TCG has none, KVM may)"
    );
    CONTEXTS.store(true, Ordering::Release);
}

/// Switches process-context identifiers on for this CPU, if they were asked for. The first one is 0.
pub(super) fn enable_contexts() {
    if CONTEXTS.load(Ordering::Acquire) {
        // SAFETY: the processor has them, and PCID 0 is loaded, as must be here (Intel SDM vol. 3,
        // 5.10.1): the boot code loaded a root with its low bits clear.
        unsafe { Cr4::write(Cr4::read() | Cr4Flags::PCID) };
    }
}

/// Loads the other of two address spaces, which differ in nothing but their name (a PCID), so that
/// the TLB remembers both. Does nothing on x86_64 without the boot argument `pcid`.
pub fn switch_context() {
    if !CONTEXTS.load(Ordering::Relaxed) {
        return;
    }
    // Masked: a handler that switched too would come between reading and writing.
    without_interrupts(|| {
        let (root, context) = Cr3::read_pcid();
        let other = Pcid::new(context.value() ^ 1).expect("0 and 1 are PCIDs");
        // SAFETY: the root stays the same. What the TLB remembers under the other PCID was read from
        // the same tables, and every shootdown has flushed it under all PCIDs.
        unsafe { Cr3::write_pcid_no_flush(root, other) };
    });
}
