//! Frees of what is not there to be freed: each is refused with its reason, recorded, and changes nothing.

use kernel_arena::pool::Pool;
use kernel_arena::source::PageSource;
use kernel_arena::{ArenaPtr, FreeError, Misuse, Owner, PageCount};

use super::heap::Heap;
use super::{Bed, OnMachine, PAGE, PAGE_STEP, PAGES, bytes, close, on_machine, picture};
use crate::machine::Format;

fn is_refused<B: Bed, S: PageSource>(bed: &B, pool: &Pool<S, &Heap>, at: u32, size: usize, misuse: Misuse) {
    let (before, at) = (picture(pool), ArenaPtr::new(at).unwrap());
    assert_eq!(pool.free(at, size), Err(misuse), "{size} bytes at {at:?}");
    assert_eq!(picture(pool), before);
    assert_eq!(bed.recorded(), Some((at, misuse)));
}

/// N15: double frees, before and after the chunk went back, and inside what was freed.
fn what_was_freed_is_not_freed_again<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let (first, second) = (pool.alloc(bytes(100)).unwrap(), pool.alloc(bytes(5000)).unwrap());
    assert_eq!(pool.free(first, 100), Ok(()));
    for (skip, size) in [(0, 100), (0, 8), (8, 92), (96, 8)] {
        is_refused(bed, &pool, first.offset() + skip, size, Misuse::NotLive);
    }
    assert_eq!(pool.free(second, 5000), Ok(()));
    is_refused(bed, &pool, second.offset(), 5000, Misuse::NotLive);
    assert_eq!(pool.shrink().get(), 4);
    is_refused(bed, &pool, second.offset(), 5000, Misuse::NoObjects);
    is_refused(bed, &pool, first.offset() + 3, 100, Misuse::NoObjects);
    close(pool, 0, 0);
}

/// N15: wild frees.
fn what_was_never_allocated_is_not_freed<B: Bed>(bed: &B) {
    let pool = bed.pool();
    // Nothing is there at all.
    is_refused(bed, &pool, PAGE_STEP, 8, Misuse::NoObjects);
    let at = pool.alloc(bytes(5000)).unwrap().offset();
    for outside in [1, 8, PAGE_STEP - 8, (PAGES + 1) * PAGE_STEP, u32::MAX - 7, u32::MAX] {
        is_refused(bed, &pool, outside, 8, Misuse::Outside);
    }
    is_refused(bed, &pool, at + 5 * PAGE_STEP, 8, Misuse::NoObjects);
    is_refused(bed, &pool, at + PAGES * PAGE_STEP - 8, 8, Misuse::NoObjects);
    for inside in [1, 4, 7, 8, 16, 4088, 4096, 4992, 4999, 5001] {
        is_refused(bed, &pool, at + inside, 5000, Misuse::NotAtStart);
    }
    is_refused(bed, &pool, at + 5000, 8, Misuse::NotLive);
    is_refused(bed, &pool, at + 8192, 8, Misuse::NotLive);
    assert_eq!(pool.free(ArenaPtr::new(at).unwrap(), 5000), Ok(()));
    close(pool, 0, 0);
}

/// N15: the size is part of the name. Sizes that need as many granules are the same.
fn a_block_is_freed_by_its_size_only<B: Bed>(bed: &B) {
    let pool = bed.pool();
    for size in [1, 8, 63, 64, 65, 504, 512, 520, 4096, 20_000] {
        // Neighbours on both sides, of the same size: what is too long ends where a block ends.
        let blocks = [0, 1, 2].map(|_| pool.alloc(bytes(size)).unwrap().offset());
        let whole = size.next_multiple_of(8);
        for wrong in [0, whole - 8, whole + 1, whole + 8, 2 * whole, 3 * whole, 1 << 32, usize::MAX] {
            if wrong.div_ceil(8) != whole / 8 {
                is_refused(bed, &pool, blocks[1], wrong, Misuse::WrongSize);
            }
        }
        assert_eq!(pool.free(ArenaPtr::new(blocks[1]).unwrap(), whole - 7), Ok(()), "as many granules as {size} bytes");
        is_refused(bed, &pool, blocks[0], 2 * whole, Misuse::WrongSize);
        assert_eq!(pool.free(ArenaPtr::new(blocks[0]).unwrap(), size), Ok(()));
        assert_eq!(pool.free(ArenaPtr::new(blocks[2]).unwrap(), whole), Ok(()));
    }
    close(pool, 0, 0);
}

/// I6: a stale free of what was allocated again with another size harms neither the new block nor its neighbour.
fn a_stale_free_does_not_harm_the_next_block<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let at = pool.alloc(bytes(200)).unwrap();
    assert_eq!(pool.free(at, 200), Ok(()));
    let (small, next) = (pool.alloc(bytes(96)).unwrap(), pool.alloc(bytes(104)).unwrap());
    assert_eq!((small, next.offset()), (at, at.offset() + 96));
    // 200 bytes from `at` on end exactly where a block ends.
    is_refused(bed, &pool, at.offset(), 200, Misuse::WrongSize);
    assert_eq!(pool.free(next, 104), Ok(()));
    is_refused(bed, &pool, next.offset(), 104, Misuse::NotLive);
    assert_eq!(pool.free(small, 96), Ok(()));
    close(pool, 0, 0);
}

on_each_source!(
    what_was_freed_is_not_freed_again,
    what_was_never_allocated_is_not_freed,
    a_block_is_freed_by_its_size_only,
    a_stale_free_does_not_harm_the_next_block,
);

/// N12 (I7): the pool's pages are neither a program's to free nor the kernel's.
fn a_program_cannot_free_the_pools_pages<F: Format>() {
    on_machine(|bed: &OnMachine<F>| {
        let pool = bed.pool();
        let arena = bed.machine.arena();
        let at = pool.alloc(bytes(3 * PAGE)).unwrap();
        bed.store(at, 42);
        for owner in [Owner::Program, Owner::Kernel] {
            for number in 1..=4 {
                let page = kernel_arena::PageIndex::new(number).unwrap();
                let refused = Err(FreeError::NotOwner { page, owner: Owner::Allocator });
                assert_eq!(arena.free_pages(page.to_ptr().unwrap(), PageCount::ONE, owner), refused);
                assert_eq!(arena.free_pages_deferred(page.to_ptr().unwrap(), PageCount::ONE, owner), refused);
            }
        }
        assert_eq!(arena.stats().violations, 16);
        while arena.take_violation().is_some() {}
        assert_eq!(bed.load(at), 42);
        assert_eq!(pool.free(at, 3 * PAGE), Ok(()));
        close(pool, 0, 0);
    });
}

each_format!(a_program_cannot_free_the_pools_pages);
