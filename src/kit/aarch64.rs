//! The first line of a handler of synchronous exceptions on aarch64.

use crate::arch::aarch64::fault::last_fault;
use crate::platform::Platform;
use crate::registry::Registry;

/// Whether the exception was a data abort that an arena has recovered, and the handler returns. ESR_EL1 and FAR_EL1 are read
/// here, so this comes before anything of the handler's own that could raise an exception.
///
/// `return_address` is the saved ELR_EL1 itself, the one that the handler returns to: where the access was one that stops
/// ([`Resume`](crate::FaultOutcome::Resume)), it is set to where that goes on. A copy will not do, for then the instruction would
/// fault for ever.
///
/// Context: *any*, the handler of synchronous exceptions from the kernel's own level above all. `false` for every exception
/// that is not an arena's: the handler goes on as if there were no arena.
///
/// # Examples
/// ```no_run
/// use kernel_arena::{Platform, Registry, kit::aarch64::recover};
///
/// /// What the vector for synchronous exceptions of the current level calls, once registers are saved, with the place where
/// /// ELR_EL1 is, which the vector will restore.
/// fn synchronous_exception<P: Platform>(arenas: &'static Registry<P, 1>, return_address: &mut u64) {
///     if recover(arenas, return_address) {
///         return;
///     }
///     panic!("an exception of the kernel's own");
/// }
/// ```
pub fn recover<P: Platform, const N: usize>(arenas: &Registry<P, N>, return_address: &mut u64) -> bool {
    last_fault().is_some_and(|fault| arenas.handle_kernel_fault(&fault).returns_to(return_address))
}
