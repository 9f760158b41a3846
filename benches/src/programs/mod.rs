//! Programs: bytecode beside the interpreter of `rbpf`, and typed access beside one that nobody checks.
//!
//! Memory is a window of this process whose faults are real; `rbpf` has the same bytes as a slice. On Linux for x86_64; elsewhere
//! there are no cases.

use crate::harness::Case;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod access;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod bytecode;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(unreachable_pub, reason = "for the library's tests, too")]
#[expect(dead_code, reason = "for the library's tests, too")]
#[path = "../../../tests/access/process/window.rs"]
mod window;

/// All cases.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    let mut cases = bytecode::cases();
    cases.extend(access::cases());
    cases
}

/// None.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    Vec::new()
}

/// The first page that is used; each page once, whoever asks.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn page(number: u32) -> kernel_arena::ArenaPtr<u8> {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    static THERE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
    let page = 32 + number;
    if THERE.lock().expect("nobody panics with it").insert(page) {
        window::alloc(page);
    }
    kernel_arena::ArenaPtr::new(page << 12).expect("not null")
}
