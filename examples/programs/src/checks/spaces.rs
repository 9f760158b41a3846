//! Several address spaces: two programs share memory at different addresses, and a third has none of it.

use kernel_arena::views::{FaultPolicy, Refusal, ViewRights};
use kernel_arena::{AllocRequest, Owner, PageCount};
use support::check::{Failure, equal, holds};

use super::{checks, done};
use crate::bench::{Site, Told, create};
use crate::memory::store;
use guests::abi::does;
use process::{BASE, Process, detach};
use process::{Ended, Served};

checks! {
    two_programs_share_and_a_third_has_nothing,
    one_process_has_two_views,
    an_arena_is_destroyed_only_without_views,
}

fn two_programs_share_and_a_third_has_nothing(site: &Site<'_>) -> Told {
    const ELSEWHERE: u64 = 0x31_0000_0000;
    let arena = site.arena;
    let page = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Program))?;
    let (one, other, third) = (Process::new(site.machine)?, Process::new(site.machine)?, Process::new(site.machine)?);
    let writer = one.attach(arena, BASE, ViewRights::ReadWrite, FaultPolicy::Segv)?;
    let reader = other.attach(arena, ELSEWHERE, ViewRights::ReadOnly, FaultPolicy::Segv)?;
    let at = |base: u64| base + u64::from(page.to_ptr().offset());
    let serves =
        [(&one, Some((writer.id(), writer.base()))), (&other, Some((reader.id(), reader.base()))), (&third, None)];
    let run = |number: usize, what, address, value| {
        let (process, view) = serves[number];
        let served = Served { arena, space: process.space(), view };
        served.run(&mut process.thread(what, [address, value, 0]))
    };
    for round in 1..=3 {
        equal("one stores", run(0, does::STORE, at(BASE), round), Ended::Exit(0))?;
        equal("the other loads", run(1, does::LOAD, at(ELSEWHERE), 0), Ended::Exit(round))?;
        let wild = |ended| matches!(ended, Ended::Wild(_));
        holds(
            "the third has nothing there",
            wild(run(2, does::LOAD, at(BASE), 0)) && wild(run(2, does::LOAD, at(ELSEWHERE), 0)),
        )?;
        holds(
            "nor have they each other's",
            wild(run(0, does::LOAD, at(ELSEWHERE), 0)) && wild(run(1, does::LOAD, at(BASE), 0)),
        )?;
        let refused = Ended::Refused(Refusal::ReadOnlyView, at(ELSEWHERE));
        equal("the other may not store", run(1, does::STORE, at(ELSEWHERE), 9), refused)?;
        store(arena, page.to_ptr().cast(), 0, round + 100);
        equal("the kernel's store", run(1, does::LOAD, at(ELSEWHERE), 0), Ended::Exit(round + 100))?;
    }
    arena.free_pages(page.to_ptr(), page.count(), Owner::Program)?;
    equal("after the free, one", run(0, does::LOAD, at(BASE), 0), Ended::Refused(Refusal::Policy, at(BASE)))?;
    equal("the other", run(1, does::LOAD, at(ELSEWHERE), 0), Ended::Refused(Refusal::Policy, at(ELSEWHERE)))?;
    detach(arena, writer)?;
    holds("one has nothing any more", matches!(run(0, does::LOAD, at(BASE), 0), Ended::Wild(_)))?;
    equal(
        "the other's is as before",
        run(1, does::LOAD, at(ELSEWHERE), 0),
        Ended::Refused(Refusal::Policy, at(ELSEWHERE)),
    )?;
    detach(arena, reader)?;
    done()
}

fn one_process_has_two_views(site: &Site<'_>) -> Told {
    let arena = site.arena;
    let process = Process::new(site.machine)?;
    let first = process.attach(arena, BASE, ViewRights::ReadWrite, FaultPolicy::Lazy)?;
    holds("no third thing fits there", process.attach(arena, BASE, ViewRights::ReadOnly, FaultPolicy::Lazy).is_err())?;
    let second = process.attach(arena, BASE + (1 << 32), ViewRights::ReadOnly, FaultPolicy::Segv)?;
    let served =
        |view: &process::Attached| Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
    let store = served(&first).run(&mut process.thread(does::STORE, [BASE + 0x2_0000, 8, 0]));
    equal("a store in the first", store, Ended::Exit(0))?;
    let load = served(&second).run(&mut process.thread(does::LOAD, [BASE + (1 << 32) + 0x2_0000, 0, 0]));
    equal("a load in the second", load, Ended::Exit(8))?;
    arena.free_for_program(0x2_0000, 1, kernel_arena::Context::MayWait)?;
    detach(arena, first)?;
    detach(arena, second)?;
    done()
}

fn an_arena_is_destroyed_only_without_views(site: &Site<'_>) -> Told {
    let arena = create(site.machine, None)?;
    let process = Process::new(site.machine)?;
    let view = process.attach(&arena, BASE, ViewRights::ReadWrite, FaultPolicy::Lazy)?;
    let Err(refused) = arena.destroy() else { return Err(Failure::new("destroyed under a view")) };
    equal("views", refused.views, 1)?;
    // It is as it was, and the view in it.
    let arena = refused.arena;
    let served = Served { arena: &arena, space: process.space(), view: Some((view.id(), view.base())) };
    let ended = served.run(&mut process.thread(does::STORE, [BASE + 0x2_0000, 8, 0]));
    equal("a store in the view", ended, Ended::Exit(0))?;
    detach(&arena, view)?;
    let destroyed = arena.destroy().map_err(|_| Failure::new("a view that was detached is there"))?;
    equal("pages that were still allocated", destroyed.pages, 1)?;
    done()
}
