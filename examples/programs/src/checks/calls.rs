//! Pages by system call, and every argument misused.

use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{AllocRequest, Owner, PageCount, ViolationKind};
use support::check::{Failure, equal, holds};

use super::{checks, done};
use crate::bench::{FIRST_PAGE, PAGES, Site, Told};
use crate::memory::{load, pointer, store};
use guests::abi::{ALLOC, FREE, REFUSED, RESERVE, does};
use process::{BASE, with_view};
use process::{Code, Ended, Served};

checks! {
    programs_allocate_free_and_reserve,
    every_wrong_argument_is_refused_for_its_reason,
    only_the_low_half_of_an_address_counts,
}

const STRICT: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Segv);

fn at(page: u32) -> u64 {
    BASE + (u64::from(page) << 12)
}

/// Does something with calls of a program's.
fn calling(
    site: &Site<'_>,
    body: impl FnOnce(&dyn Fn(u64, u64, u64) -> Result<u64, Failure>) -> support::check::Checked,
) -> Told {
    with_view(site.machine, site.arena, STRICT, |process, view| {
        let served = Served { arena: site.arena, space: process.space(), view: Some((view.id(), view.base())) };
        body(&|number, first, second| match served.run(&mut process.thread(does::CALL, [number, first, second])) {
            Ended::Exit(answer) => Ok(answer),
            other => Err(Failure::new(alloc::format!("the program ended otherwise: {other:?}"))),
        })
    })?;
    done()
}

fn programs_allocate_free_and_reserve(site: &Site<'_>) -> Told {
    calling(site, |call| {
        let first = call(ALLOC, 0, 3)?;
        equal("the lowest pages", first, at(FIRST_PAGE))?;
        equal("a page that is named", call(ALLOC, at(100), 1)?, at(100))?;
        equal("a reservation", call(RESERVE, at(101), 2)?, at(101))?;
        store(site.arena, pointer(first)?, 0, 5);
        // T32: one free of what is allocated and what is set aside.
        equal("a free of both", call(FREE, at(100), 3)?, 0)?;
        equal("all three again", call(ALLOC, at(100), 3)?, at(100))?;
        equal("what was written", load(site.arena, pointer(first)?, 0), 5)?;
        equal(
            "a free in parts",
            [call(FREE, first + 4096, 1)?, call(FREE, first, 1)?, call(FREE, first + 8192, 1)?],
            [0; 3],
        )?;
        equal("the rest", call(FREE, at(100), 3)?, 0)
    })
}

/// T3, T14, T15, T31, and more of their kind.
fn every_wrong_argument_is_refused_for_its_reason(site: &Site<'_>) -> Told {
    let arena = site.arena;
    let kernels = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Kernel))?;
    let allocators = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Allocator))?;
    let (kernels_at, allocators_at) = (at(kernels.first().number()), at(allocators.first().number()));
    let end = FIRST_PAGE + PAGES;
    let mut wrong_frees = 0;
    calling(site, |call| {
        let mut refused = |number, first, second, code: Code| {
            wrong_frees += u64::from(number == FREE);
            equal("the answer", call(number, first, second)?, code.answer())
        };
        for (number, first, second, code) in [
            (ALLOC, 0, 0, Code::ZeroPages),
            (ALLOC, at(50), 0, Code::ZeroPages),
            (ALLOC, at(50) + 8, 1, Code::Misaligned),
            (ALLOC, at(50) + 8, 0, Code::ZeroPages),
            (ALLOC, at(end), 1, Code::Outside),
            (ALLOC, at(end - 1), 2, Code::Outside),
            (ALLOC, at(FIRST_PAGE - 1), 1, Code::Outside),
            (ALLOC, 0, u64::from(PAGES) + 1, Code::Outside),
            (ALLOC, 0, u64::from(PAGES), Code::NoSpace),
            (ALLOC, 0, 1 << 32 | 1, Code::Outside),
            (ALLOC, 0, u64::MAX, Code::Outside),
            (ALLOC, kernels_at, 1, Code::Taken),
            (FREE, 0, 1, Code::Outside),
            (FREE, 1 << 40, 1, Code::Outside),
            (FREE, at(50), 0, Code::ZeroPages),
            (FREE, at(50), 1, Code::NotAllocated),
            (FREE, at(50) + 1, 1, Code::Misaligned),
            (FREE, at(50), u64::MAX, Code::Outside),
            (FREE, at(FIRST_PAGE - 1), 1, Code::Outside),
            (FREE, BASE - 4096, 1, Code::Outside),
            (FREE, at(end), 1, Code::Outside),
            (FREE, kernels_at, 1, Code::NotOwner),
            (FREE, allocators_at, 1, Code::NotOwner),
            (RESERVE, 0, 3, Code::Outside),
            (RESERVE, at(50), 0, Code::ZeroPages),
            (RESERVE, at(50) + 3, 1, Code::Misaligned),
            (RESERVE, at(FIRST_PAGE), 4096, Code::Outside),
            (RESERVE, at(FIRST_PAGE), (1 << 32) - 1, Code::Outside),
            (RESERVE, kernels_at, 1, Code::Taken),
            (99, 0, 0, Code::NoSuchCall),
        ] {
            refused(number, first, second, code)?;
        }
        // T31: what is set aside in part is refused as a whole; T3: a full arena gains nothing by a free beside it.
        equal("a reservation", call(RESERVE, at(60), 2)?, at(60))?;
        refused(ALLOC, at(59), 2, Code::Taken)?;
        refused(RESERVE, at(61), 2, Code::Taken)?;
        equal("a free of it", call(FREE, at(60), 2)?, 0)?;
        refused(FREE, at(60), 2, Code::NotAllocated)?;
        let rest = u64::from(PAGES) - 2;
        let all = call(ALLOC, 0, rest)?;
        holds("the rest is allocated", all & REFUSED == 0)?;
        refused(FREE, BASE - 4096, 1, Code::Outside)?;
        refused(ALLOC, 0, 1, Code::NoSpace)?;
        equal("a free of the rest", call(FREE, all, rest)?, 0)
    })?;
    equal("violations, one for each wrong free", arena.stats().violations, wrong_frees)?;
    while let Some(violation) = arena.take_violation() {
        equal("their kind", violation.kind, ViolationKind::InvalidFree)?;
    }
    arena.free_pages(kernels.to_ptr(), kernels.count(), Owner::Kernel)?;
    arena.free_pages(allocators.to_ptr(), allocators.count(), Owner::Allocator)?;
    done()
}

/// T78 and T79.
fn only_the_low_half_of_an_address_counts(site: &Site<'_>) -> Told {
    calling(site, |call| {
        for above in [0, 0xbadc_0ffe_0000_0000, BASE, u64::MAX << 32] {
            equal("a page that is named", call(ALLOC, above | 0x5_0000, 1)?, BASE + 0x5_0000)?;
            equal("its free", call(FREE, above | 0x5_0000, 1)?, 0)?;
            equal("a null that is not named", call(ALLOC, above, 1)?, at(FIRST_PAGE))?;
            equal("its free", call(FREE, at(FIRST_PAGE), 1)?, 0)?;
            equal("a free of null", call(FREE, above, 1)?, Code::Outside.answer())?;
        }
        Ok(())
    })?;
    while site.arena.take_violation().is_some() {}
    done()
}
