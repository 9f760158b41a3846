//! The first line of a handler of synchronous exceptions on aarch64.

use crate::arch::aarch64::fault::last_fault;
use crate::fault::FaultOutcome;
use crate::platform::Platform;
use crate::registry::Registry;

/// Whether the exception was a data abort that an arena has recovered, and the handler returns to the instruction. ESR_EL1,
/// FAR_EL1 and ELR_EL1 are read here, so this comes before anything of the handler's own that could raise an exception.
///
/// Context: *any*, the handler of synchronous exceptions from the kernel's own level above all. `false` for every exception
/// that is not an arena's: the handler goes on as if there were no arena.
///
/// # Examples
/// ```no_run
/// use kernel_arena::{Platform, Registry, kit::aarch64::recover};
///
/// /// What the vector for synchronous exceptions of the current level calls, once registers are saved.
/// fn synchronous_exception<P: Platform>(arenas: &'static Registry<P, 1>) {
///     if recover(arenas) {
///         return;
///     }
///     panic!("an exception of the kernel's own");
/// }
/// ```
pub fn recover<P: Platform, const N: usize>(arenas: &Registry<P, N>) -> bool {
    last_fault().is_some_and(|fault| arenas.handle_kernel_fault(&fault) != FaultOutcome::NotOurs)
}
