//! The first line of a page-fault handler on x86_64.

use crate::arch::x86_64::{decode_fault, fault::fault_address};
use crate::platform::Platform;
use crate::registry::Registry;

/// Whether the page fault was an arena's, and the handler returns. `error_code` is what the processor pushed, the address is
/// read from CR2, so this comes before anything of the handler's own that could fault.
///
/// `instruction_pointer` is the saved RIP itself, the one that the handler returns to: where the access was one that stops
/// ([`Resume`](crate::FaultOutcome::Resume)), it is set to where that goes on. A copy will not do, for then the instruction would
/// fault for ever.
///
/// Context: *any*, an interrupt gate's handler above all. `false` for every fault that is not an arena's, of user mode
/// included: the handler goes on as if there were no arena.
///
/// # Examples
/// ```no_run
/// use kernel_arena::{Platform, Registry, kit::x86_64::recover};
///
/// /// What the interrupt gate's entry calls first, with the place on the stack where the processor pushed RIP. With an
/// /// `InterruptStackFrame` of the `x86_64` crate: read `frame.instruction_pointer.as_u64()` into a variable, lend that, and
/// /// write it back by `frame.as_mut().update(…)` when the answer is `true`.
/// fn page_fault<P: Platform>(arenas: &'static Registry<P, 1>, error_code: u64, instruction_pointer: &mut u64) {
///     if recover(arenas, error_code, instruction_pointer) {
///         return;
///     }
///     panic!("a page fault of the kernel's own, error code {error_code:#x}");
/// }
/// ```
pub fn recover<P: Platform, const N: usize>(
    arenas: &Registry<P, N>,
    error_code: u64,
    instruction_pointer: &mut u64,
) -> bool {
    decode_fault(fault_address(), error_code, *instruction_pointer)
        .is_some_and(|fault| arenas.handle_kernel_fault(&fault).returns_to(instruction_pointer))
}
