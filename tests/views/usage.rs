//! The figure of pages in use, over a life in which both sides have pages and give them back.

use kernel_arena::views::FaultPolicy;
use kernel_arena::{Context, Owner, PageCount};

use super::{attached, page, seen};
use crate::machine::{Format, Machine};

/// T41: allocations, frees, pages that a program's faults give, and their frees. Scratch counts nowhere.
fn the_figure_of_pages_in_use_follows_both_sides<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 64).build();
    let tables = m.frames_in_use();
    let view = attached(&m, FaultPolicy::Lazy);
    let uses = |pages: u32| {
        assert_eq!((m.arena().stats().claimed_pages, m.frames_in_use()), (pages, tables + pages as usize));
    };
    let free = |at: u32, pages: u32| m.arena().free_pages(page(at), PageCount::new(pages).unwrap(), Owner::Program);
    uses(0);
    m.write(0, page(60), 1).unwrap();
    uses(0);
    assert_eq!(m.alloc(17), page(1));
    uses(17);
    assert_eq!(free(1, 1), Ok(()));
    uses(16);
    assert_eq!(free(2, 10), Ok(()));
    uses(6);
    assert_eq!(free(12, 6), Ok(()));
    uses(0);
    for (touched, number) in (1..).zip(20..28) {
        m.cpu(1).user().write_u64(seen(page(number), &view), 1).unwrap();
        uses(touched);
    }
    m.cpu(1).user().write_u64(seen(page(20), &view), 2).unwrap();
    uses(8);
    assert_eq!(m.arena().free_for_program(seen(page(20), &view).value(), 3, Context::MayWait), Ok(()));
    uses(5);
    assert_eq!(m.arena().free_for_program(seen(page(23), &view).value(), 5, Context::Any), Ok(()));
    uses(5);
    assert_eq!(m.arena().reclaim().freed_pages, 5);
    uses(0);
    m.detach(0, view).unwrap();
    assert_eq!(m.finish(), 0);
}

each_format!(the_figure_of_pages_in_use_follows_both_sides);
