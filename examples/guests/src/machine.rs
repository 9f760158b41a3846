//! What is of the machine: system calls, and loads and stores that the compiler leaves as they are.

use core::arch::asm;

/// A system call.
#[cfg(target_arch = "x86_64")]
pub(crate) fn call(number: u64, [first, second, third, fourth]: [u64; 4]) -> u64 {
    let result;
    // SAFETY: the kernel changes RAX alone; what memory it changes is shared, and accessed only by the functions below.
    unsafe {
        asm!("int 0x80", inout("rax") number => result, in("rdi") first, in("rsi") second, in("rdx") third, in("r10") fourth,
             options(nostack));
    }
    result
}

/// A system call.
#[cfg(target_arch = "aarch64")]
pub(crate) fn call(number: u64, [first, second, third, fourth]: [u64; 4]) -> u64 {
    let result;
    // SAFETY: the kernel changes X0 alone; what memory it changes is shared, and accessed only by the functions below.
    unsafe {
        asm!("svc #0", in("x8") number, inout("x0") first => result, in("x1") second, in("x2") third, in("x3") fourth,
             options(nostack));
    }
    result
}

fn pointer<T>(address: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}

/// Loads a word. Whether there is one the kernel decides.
pub(crate) fn load(address: u64) -> u64 {
    // SAFETY: nothing of this program's own is anywhere but where the compiler put it; elsewhere the access faults, or is to memory
    // that is shared.
    unsafe { pointer::<u64>(address).read_volatile() }
}

/// Stores a word.
pub(crate) fn store(address: u64, value: u64) {
    // SAFETY: as for `load`.
    unsafe { pointer::<u64>(address).write_volatile(value) }
}

/// Goes on somewhere, and comes back if there is a function.
pub(crate) fn jump(address: u64) {
    let function = pointer::<()>(address);
    // SAFETY: what is there is nothing of this program's: the processor refuses.
    let function = unsafe { core::mem::transmute::<*mut (), extern "C" fn()>(function) };
    function();
}

/// An atomic word of 64 bits.
pub(crate) fn atomic64(address: u64) -> &'static core::sync::atomic::AtomicU64 {
    // SAFETY: shared memory, aligned, which nobody accesses but atomically.
    unsafe { core::sync::atomic::AtomicU64::from_ptr(pointer(address)) }
}

/// An atomic word of 32 bits.
pub(crate) fn atomic32(address: u64) -> &'static core::sync::atomic::AtomicU32 {
    // SAFETY: as for `atomic64`.
    unsafe { core::sync::atomic::AtomicU32::from_ptr(pointer(address)) }
}

/// An atomic word of 16 bits.
pub(crate) fn atomic16(address: u64) -> &'static core::sync::atomic::AtomicU16 {
    // SAFETY: as for `atomic64`.
    unsafe { core::sync::atomic::AtomicU16::from_ptr(pointer(address)) }
}

/// An atomic byte.
pub(crate) fn atomic8(address: u64) -> &'static core::sync::atomic::AtomicU8 {
    // SAFETY: as for `atomic64`.
    unsafe { core::sync::atomic::AtomicU8::from_ptr(pointer(address)) }
}
