//! What the kernel does for a scheduler's programs: four functions, none of which believes what it is passed.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::masks::{MaskIds, SharedMask};
use kernel_arena::{Context, ProgramBase};
use kernel_arena_bpf::{Call, Host, Hosts};

use crate::KernelArena;

/// Of schedulers' addresses the upper half.
pub(crate) const BASE: ProgramBase = match ProgramBase::new(kernel_arena::ProgramAddr::new(0x5c_0000_0000)) {
    Some(base) => base,
    None => panic!("no multiple of 4 GiB"),
};

/// Why the kernel's function ends a run for good.
pub mod codes {
    /// A mask that is none.
    pub const BAD_MASK: u64 = 1;
}

/// For whom a function works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) arena: &'static KernelArena,
    /// The CPUs' ids.
    pub(crate) ids: MaskIds,
    /// How many CPUs schedulers have had ask again.
    pub(crate) kicked: &'static AtomicU64,
}

/// All of them.
pub(crate) const HOSTS: Hosts<'static, Caller> = match Hosts::new(&TABLE) {
    Ok(hosts) => hosts,
    Err(_) => panic!("two functions have the same name or number"),
};

const TABLE: [Host<Caller>; 4] = [
    Host { number: 0, name: "host_alloc", function: alloc },
    Host { number: 1, name: "host_free", function: free },
    Host { number: 2, name: "host_kick", function: kick },
    Host { number: 3, name: "host_peek", function: peek },
];

/// Zeroed pages of the scheduler's own, or 0.
fn alloc(call: &mut Call<'_, Caller>) -> u64 {
    let [pages, ..] = call.arguments();
    let allocated = call.state().arena.alloc_for_program(0, pages, Context::MayWait);
    allocated.map_or(0, |pages| pages.to_ptr().to_program(BASE).value())
}

/// Frees a page, if it is the scheduler's own; else that is in the record.
fn free(call: &mut Call<'_, Caller>) -> u64 {
    let [address, ..] = call.arguments();
    call.state().arena.free_for_program(address, 1, Context::MayWait).is_err().into()
}

/// Has the CPUs of a mask ask again: they do in any case, so that all there is to do is to read the mask.
fn kick(call: &mut Call<'_, Caller>) -> u64 {
    let [mask, ..] = call.arguments();
    let Caller { arena, ids, kicked } = *call.state();
    let weight = arena.memory().ok().and_then(|memory| SharedMask::snapshot(&memory, mask, ids).ok()?.weight().ok());
    match weight {
        Some(weight) => {
            kicked.fetch_add(weight.into(), Ordering::Relaxed);
            0
        }
        None => {
            call.eject(codes::BAD_MASK);
            1
        }
    }
}

/// Reads where the scheduler says, as a kernel does that follows a pointer: where there is no page, it is recovered.
fn peek(call: &mut Call<'_, Caller>) -> u64 {
    let Some(pointer) = call.pointer::<u64>(0) else { return 0 };
    let arena = call.state().arena;
    arena.memory().map_or(0, |memory| memory.load(pointer))
}
