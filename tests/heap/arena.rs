//! A heap on an arena: private ones only, and their pages.

use std::alloc::{GlobalAlloc, Layout};

use kernel_arena::Owner;
use kernel_arena::heap::{Heap, InitError};
use kernel_arena::slab::Mode;
use kernel_arena::source::{ArenaPages, FrameMetadata, MetadataSource, PageSource};
use kernel_arena::{ArenaPtr, FreeError, KernelAddr, PageIndex, ViolationKind, VirtAddr};

use crate::machine::{Cause, Format, Machine, count};

const PAGE: usize = 4096;
/// How often a block is taken and freed.
const TIMES: usize = 40;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn address(block: *mut u8) -> KernelAddr {
    KernelAddr::new(block.addr() as u64)
}

/// I10: programs could write what the kernel has references to.
fn a_heap_on_a_shared_arena_is_refused<F: Format>() {
    let m = Machine::<F>::builder().build();
    let heap = Heap::new();
    let tables = m.frames_in_use();
    let refused =
        heap.init(ArenaPages::new(m.arena()), FrameMetadata::new(m.arena().platform()), Mode::Fast).unwrap_err();
    assert_eq!(refused.error, InitError::SharedMemory);
    assert_eq!(m.frames_in_use(), tables);
    assert!(heap.slab().is_none());
    let refused = heap.init(refused.source, refused.metadata, Mode::Debug).unwrap_err();
    assert_eq!(refused.error, InitError::SharedMemory, "it stays as it is");
    m.finish();
}

/// One call gives a heap its sources, and says what `init` would.
fn a_heap_starts_on_a_private_arena_alone_and_once<F: Format>() {
    let shared = Machine::<F>::builder().build();
    let heap = Heap::new();
    assert_eq!(heap.start(shared.arena()), Err(InitError::SharedMemory));
    shared.finish();
    for mode in [Mode::Fast, Mode::Debug] {
        let m = Machine::<F>::builder().private().build();
        let heap = Heap::new();
        assert_eq!(heap.start_in(mode, m.arena()), Ok(()));
        assert_eq!(heap.slab().unwrap().mode(), mode);
        assert_eq!(heap.start(m.arena()), Err(InitError::AlreadyInitialised));
    }
}

/// How often a block is taken and freed again before one is refused; at most [`TIMES`].
fn times_taken(heap: &dyn Blocks, size: usize) -> usize {
    (0..TIMES)
        .take_while(|_| {
            // SAFETY: not 0 bytes.
            let block = unsafe { heap.alloc(layout(size)) };
            if !block.is_null() {
                // SAFETY: taken just now, with this layout.
                unsafe { heap.dealloc(block, layout(size)) };
            }
            !block.is_null()
        })
        .count()
}

/// What was freed is queued in the arena, or kept by the heap: one that may wait has it back before it refuses.
fn a_heap_that_waits_refuses_only_what_there_is_no_room_for<F: Format>() {
    // A run that is kept by nobody; one that is not longer than those that are; objects.
    for size in [12 * PAGE, 5 * PAGE, 20_000] {
        let m = Machine::<F>::builder().private().extent(1, 30).build();
        let heap = Heap::new();
        assert_eq!(heap.start_waiting(m.arena()), Ok(()));
        assert_eq!(times_taken(&heap, size), TIMES);
        // Objects of one class and runs of another length want what the others have left.
        for size in [64, 29 * PAGE, 4096, 30 * PAGE] {
            assert_eq!(times_taken(&heap, size), TIMES, "{size} bytes");
        }
        assert_eq!(times_taken(&heap, 31 * PAGE), 0);
        heap.reclaim();
        assert_eq!((m.arena().stats().claimed_pages, m.arena().validate()), (0, Ok(())));
    }
    let m = Machine::<F>::builder().private().extent(1, 30).build();
    let heap = Heap::new();
    assert_eq!(heap.start(m.arena()), Ok(()));
    assert_eq!(times_taken(&heap, 12 * PAGE), 2, "the other waits for nothing");
    heap.reclaim();
    assert_eq!(times_taken(&heap, 12 * PAGE), 2);
    let m = Machine::<F>::builder().private().extent(1, 30).build();
    let heap = Heap::new();
    assert_eq!(heap.start_waiting_in(Mode::Debug, m.arena()), Ok(()));
    assert_eq!(heap.slab().unwrap().mode(), Mode::Debug);
}

fn on_a_private_arena<F: Format>(run: impl FnOnce(&Machine<F>, &dyn Blocks)) {
    let m = Machine::<F>::builder().private().build();
    let heap = Heap::new();
    heap.start(m.arena()).unwrap();
    run(&m, &heap);
    let stats = m.arena().stats();
    assert_eq!(u64::from(stats.claimed_pages - stats.deferred_pages) << 12, heap.stats().unwrap().held_bytes);
    heap.reclaim();
    assert_eq!(m.arena().stats().claimed_pages, 0, "pages are lost");
}

/// References lead into a heap's pages: nothing that is safe takes them away.
fn only_the_heap_frees_its_pages<F: Format>() {
    on_a_private_arena::<F>(|m, heap| {
        // SAFETY: the layouts are not empty.
        let blocks = [64, 3 * PAGE, 100_000].map(|size| (unsafe { heap.alloc(layout(size)) }, layout(size)));
        for (block, _) in blocks {
            let page = PageIndex::containing(m.arena().layout().to_ptr::<u8>(address(block)).unwrap());
            let expected = Err(FreeError::NotOwner { page, owner: Owner::Allocator });
            for owner in [Owner::Program, Owner::Kernel, Owner::Allocator] {
                assert_eq!(m.arena().free_pages(page.to_ptr().unwrap(), count(1), owner), expected);
                assert_eq!(m.arena().free_pages_deferred(page.to_ptr().unwrap(), count(1), owner), expected);
                assert_eq!(m.arena().take_violation().unwrap().kind, ViolationKind::InvalidFree);
                assert_eq!(m.arena().take_violation().unwrap().kind, ViolationKind::InvalidFree);
            }
        }
        for (block, layout) in blocks {
            // SAFETY: from this heap, with this layout.
            unsafe { heap.dealloc(block, layout) };
        }
    });
}

/// A heap without its types.
trait Blocks: GlobalAlloc {
    fn held_pages(&self) -> u64;
    fn give_back(&self) -> u32;
}

impl<S: PageSource, M: MetadataSource> Blocks for Heap<S, M> {
    fn held_pages(&self) -> u64 {
        self.stats().unwrap().held_bytes >> 12
    }

    fn give_back(&self) -> u32 {
        self.reclaim()
    }
}

fn blocks_are_memory_of_the_arena_and_no_programs<F: Format>() {
    on_a_private_arena::<F>(|m, heap| {
        let view = m.link_by_hand(0, 1);
        m.cpu(1).switch_to(1);
        for size in [8, 4096, 20_000, 100_000] {
            // SAFETY: not 0 bytes.
            let block = unsafe { heap.alloc(layout(size)) };
            let at: ArenaPtr = m.arena().layout().to_ptr(address(block)).unwrap();
            m.write(0, at, 5).unwrap();
            m.cpu(1).write_u8(VirtAddr::new(address(block).value() + size as u64 - 1), 6).unwrap();
            let user = m.cpu(1).user().read_u64(at.to_program(view));
            assert_eq!(user.unwrap_err().cause, Cause::Forbidden);
            // SAFETY: taken above with this layout.
            unsafe { heap.dealloc(block, layout(size)) };
        }
        m.detach_view(view);
    });
}

fn runs_grow_and_shrink_where_they_are<F: Format>() {
    on_a_private_arena::<F>(|m, heap| {
        // SAFETY: not 0 bytes.
        let run = unsafe { heap.alloc(layout(10 * PAGE)) };
        m.cpu(0).write_u64(address(run), 77).unwrap();
        // SAFETY: taken above with this layout.
        let grown = unsafe { heap.realloc(run, layout(10 * PAGE), 30 * PAGE) };
        assert_eq!((grown, heap.held_pages()), (run, 30));
        m.cpu(1).write_u64(KernelAddr::new(address(run).value() + 29 * PAGE as u64), 78).unwrap();
        // SAFETY: as it is now.
        let less = unsafe { heap.realloc(grown, layout(30 * PAGE), 12 * PAGE) };
        assert_eq!((less, heap.held_pages()), (run, 12));
        assert_eq!(m.arena().stats().deferred_pages, 18);
        // SAFETY: as it is now; the pages behind wait for `reclaim`.
        assert!(unsafe { heap.realloc(less, layout(12 * PAGE), 1 << 33) }.is_null());
        heap.give_back();
        // SAFETY: as it is now.
        let again = unsafe { heap.realloc(less, layout(12 * PAGE), 30 * PAGE) };
        assert_eq!((again, heap.held_pages()), (run, 30), "after it they can be had again");
        assert_eq!(m.cpu(0).read_u64(address(run)), Ok(77));
        let page = m.arena().layout().to_ptr(address(run)).unwrap();
        for owner in [Owner::Program, Owner::Kernel] {
            assert!(m.arena().free_pages(page, count(30), owner).is_err(), "I7");
        }
        assert_eq!(m.arena().stats().violations, 2);
        // SAFETY: as it is now.
        unsafe { heap.dealloc(again, layout(30 * PAGE)) };
    });
}

fn a_zeroed_run_is_not_written_to<F: Format>() {
    on_a_private_arena::<F>(|m, heap| {
        for _ in 0..3 {
            // SAFETY: not 0 bytes. Were the block written to, it would be at an address that is nowhere in this process.
            let run = unsafe { heap.alloc_zeroed(layout(40 * PAGE)) };
            for page in 0..40 {
                let start = KernelAddr::new(address(run).value() + page * PAGE as u64);
                assert_eq!(m.cpu(0).read_u64(start), Ok(0));
                m.cpu(0).write_u64(start, !0).unwrap();
            }
            // SAFETY: taken above with this layout.
            unsafe { heap.dealloc(run, layout(40 * PAGE)) };
            heap.give_back();
        }
    });
}

each_format!(
    a_heap_starts_on_a_private_arena_alone_and_once,
    a_heap_that_waits_refuses_only_what_there_is_no_room_for,
    a_heap_on_a_shared_arena_is_refused,
    only_the_heap_frees_its_pages,
    blocks_are_memory_of_the_arena_and_no_programs,
    runs_grow_and_shrink_where_they_are,
    a_zeroed_run_is_not_written_to,
);
