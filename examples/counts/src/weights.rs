//! Kernels whose code is weighed: what an arena adds to one, what a heap on it, what programs.
//!
//! Each is a kernel that names the operations it would use, so that the linker keeps them, and is never booted. What one
//! weighs beyond the floor is the library's own code for this platform, with everything that it calls.

use core::hint::black_box;

use kernel_arena::access::Memory;
use kernel_arena::heap::Heap;
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{Arena, ArenaPtr, ProgramBase, Registry};
use kernel_arena_bpf::object::Object;
use kernel_arena_bpf::{Hosts, Insn, Program, Runner, Stack};
use support::{ExitCode, Machine};

use crate::site::Platform;

type Pages = ArenaPages<'static, Platform>;
type Books = FrameMetadata<'static, Platform>;
type Window = Memory<'static, Platform>;

/// Keeps functions that nobody calls.
macro_rules! keep {
    ($($function:expr),* $(,)?) => { $(black_box($function as *const ());)* };
}

/// A kernel without an arena.
pub fn floor(_: &'static Machine) -> ExitCode {
    ExitCode::Passed
}

/// One with arenas: pages, faults, the registry, the record, views of programs left out.
pub fn arena(_: &'static Machine) -> ExitCode {
    keep![
        Arena::<Platform>::new,
        Arena::<Platform>::destroy,
        Arena::<Platform>::alloc_pages,
        Arena::<Platform>::free_pages,
        Arena::<Platform>::free_pages_deferred,
        Arena::<Platform>::reserve_pages,
        Arena::<Platform>::reclaim,
        Arena::<Platform>::take_violation,
        Arena::<Platform>::stats,
        Registry::<Platform, 4>::register,
        Registry::<Platform, 4>::remove,
        Registry::<Platform, 4>::handle_kernel_fault,
    ];
    ExitCode::Passed
}

/// The same, and a heap.
pub fn heap(machine: &'static Machine) -> ExitCode {
    keep![
        Heap::<Pages, Books>::init,
        Heap::<Pages, Books>::try_alloc,
        Heap::<Pages, Books>::free,
        <Heap<Pages, Books> as core::alloc::GlobalAlloc>::realloc,
        <Heap<Pages, Books> as core::alloc::GlobalAlloc>::alloc_zeroed,
        Heap::<Pages, Books>::reclaim,
        Heap::<Pages, Books>::stats,
    ];
    arena(machine)
}

/// The same, and bytecode: an object is loaded, checked and run.
pub fn programs(machine: &'static Machine) -> ExitCode {
    keep![load_and_run,];
    heap(machine)
}

fn load_and_run(bytes: &[u8], code: &mut [Insn], at: ArenaPtr, base: ProgramBase, memory: &Window) -> Option<u64> {
    let object = Object::parse(bytes).ok()?;
    let loaded = object.load(code, at, base, |_| None, memory).ok()?;
    let program = Program::check(loaded.code(), Hosts::NONE).ok()?;
    let stack = Stack::new(at, 8, Stack::FRAME_BYTES).ok()?;
    let entry = program.entry(loaded.function("main")?)?;
    Runner::new(program, stack, base).run(memory, entry, [0; 5], &mut ()).result.ok()
}
