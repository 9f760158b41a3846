//! No number that a caller can pass makes an operation panic.

use kernel_arena::{
    Access, AllocRequest, ArenaPtr, Context, Fault, GUARD_SIZE, InstructionAddr, KernelAddr, Owner, PageCount,
    ProgramId, WINDOW_PAGES, WINDOW_SIZE,
};

use crate::machine::{Format, Machine, count};

const OWNERS: [Owner; 3] = [Owner::Program, Owner::Kernel, Owner::Allocator];

/// The first and the last of everything, and what is beside them.
fn pointers(first: u32, pages: u32) -> Vec<ArenaPtr> {
    let (start, last) = (first << 12, (first + pages - 1) << 12);
    let near = |at: u32| [at.wrapping_sub(4096), at.wrapping_sub(1), at, at | 1, at.wrapping_add(4096)];
    [0, start, last, 1 << 31, !4095].into_iter().flat_map(near).filter_map(ArenaPtr::new).collect()
}

fn counts(pages: u32) -> [PageCount; 7] {
    [0, 1, pages - 1, pages, pages + 1, WINDOW_PAGES - 1, WINDOW_PAGES].map(count)
}

fn no_operation_panics<F: Format>() {
    for (first, pages, private) in [(1, 2, false), (WINDOW_PAGES - 2, 2, true), (500, 30, false)] {
        let machine = Machine::<F>::builder().extent(first, pages);
        let m = if private { machine.private() } else { machine }.build();
        let arena = m.arena();
        for (at, count) in pointers(first, pages).into_iter().flat_map(|at| counts(pages).map(|count| (at, count))) {
            for owner in OWNERS {
                let request = AllocRequest::new(count, owner);
                for request in [request, request.in_context(Context::Any)] {
                    let _any = arena.alloc_pages(request.exactly_at(at));
                    let _any = arena.reserve_pages(at, count, owner);
                    let _any = arena.alloc_pages(request.in_reservation(at));
                    let _any = arena.free_pages_deferred(at, count, owner);
                    let _any = arena.free_pages(at, count, owner);
                }
            }
        }
        for (align, count) in counts(pages).into_iter().flat_map(|align| counts(pages).map(|count| (align, count))) {
            let _any = arena.alloc_pages(AllocRequest::new(count, Owner::Kernel).aligned(align));
        }
        let base = arena.layout().base().value();
        let end = base + WINDOW_SIZE + GUARD_SIZE;
        for address in [0, 1, base - 1, base, end - 1, end, u64::MAX, 1 << 63, base ^ 1 << 63] {
            let fault = Fault {
                address: KernelAddr::new(address),
                access: Access::Write,
                instruction: InstructionAddr::new(u64::MAX),
            };
            let _scope = arena.work_for(ProgramId::new(u32::MAX));
            let _any = arena.handle_kernel_fault(&fault);
        }
        while arena.take_violation().is_some() {}
        arena.reclaim();
        m.finish();
    }
}

each_format!(no_operation_panics);
