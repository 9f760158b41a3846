//! Faults in a view: what is given, and what is refused, each for its reason.

use core::sync::atomic::{AtomicBool, Ordering};

use kernel_arena::views::{FaultPolicy, Refusal, ViewRights};
use kernel_arena::{AllocRequest, Owner, PageCount, SlotState, WINDOW_SIZE};
use spin::Mutex;
use support::check::{Checked, Failure, Trouble, equal, holds};
use support::{interrupt_others, pause, relax};

use super::{checks, done};
use crate::bench::{FIRST_PAGE, PAGES, Site, Told};
use crate::memory::{atomic64, load, pointer, store};
use guests::abi::does;
use process::{Attached, BASE, Process, detach, give_back, with_view};
use process::{Ended, Served};

checks! {
    pages_are_given_where_a_program_touches_them,
    every_refusal_has_its_reason,
    out_of_frames_is_no_reason_to_end,
    the_end_of_the_window_is_the_end,
    a_view_is_taken_away_while_its_program_runs,
    a_freed_page_is_gone_for_a_program_that_runs,
}

const LAZY: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Lazy);

fn at(page: u32) -> u64 {
    BASE + (u64::from(page) << 12)
}

fn pages_are_given_where_a_program_touches_them(site: &Site<'_>) -> Told {
    let arena = site.arena;
    with_view(site.machine, arena, LAZY, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let run = |what, arguments| served.run(&mut process.thread(what, arguments));
        equal("pages that were zero", run(does::TOUCH, [at(20), 10, 0]), Ended::Exit(10))?;
        equal("pages given", arena.stats().pages_given, 10)?;
        for page in 20..30 {
            equal("what the kernel reads", load(arena, pointer(at(page))?, 0), at(page))?;
        }
        equal("pages that are zero now", run(does::TOUCH, [at(20), 10, 0]), Ended::Exit(0))?;
        equal("pages given", arena.stats().pages_given, 10)?;
        Ok(arena.free_for_program(at(20), 10, kernel_arena::Context::MayWait)?)
    })?;
    equal("violations", site.arena.stats().violations, 0)?;
    done()
}

fn every_refusal_has_its_reason(site: &Site<'_>) -> Told {
    let arena = site.arena;
    let kernels = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Kernel))?;
    store(arena, kernels.to_ptr().cast(), 0, 0x5ec2e7);
    let programs = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Program))?;
    store(arena, programs.to_ptr().cast(), 0, 11);
    let reserved = arena.reserve_for_program(at(40), 1)?;
    // A wild access of the kernel leaves the scratch page, whose content no program ever sees.
    store(arena, pointer(at(50))?, 0, 0xbad);
    store(arena, pointer(at(41))?, 0, 0xbad);
    let both = [does::LOAD, does::STORE];
    for (rights, policy) in
        [LAZY, (ViewRights::ReadWrite, FaultPolicy::Segv), (ViewRights::ReadOnly, FaultPolicy::Lazy)]
    {
        with_view(site.machine, arena, (rights, policy), |process, view| {
            let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
            let run = |what, address: u64| served.run(&mut process.thread(what, [address, 1, 0]));
            let refused = |what, refusal, address| {
                let refusal =
                    if rights == ViewRights::ReadOnly && what == does::STORE { Refusal::ReadOnlyView } else { refusal };
                equal("what became of it", run(what, address), Ended::Refused(refusal, address))
            };
            for what in both {
                refused(what, Refusal::KernelPage, kernels.to_ptr().to_program(view.base()).value())?;
                refused(what, Refusal::Reserved, at(reserved.first().number()))?;
                refused(what, Refusal::Scratched, at(50))?;
                refused(what, Refusal::Scratched, at(41))?;
                for outside in
                    [at(0) + 8, at(FIRST_PAGE - 1), at(FIRST_PAGE + PAGES), BASE + 0x8000_0000, BASE + WINDOW_SIZE - 8]
                {
                    refused(what, Refusal::OutsideExtent, outside)?;
                }
            }
            equal(
                "a load of its own page",
                run(does::LOAD, programs.to_ptr().to_program(view.base()).value()),
                Ended::Exit(11),
            )?;
            if policy == FaultPolicy::Segv {
                both.into_iter().try_for_each(|what| refused(what, Refusal::Policy, at(60)))?;
            }
            if rights == ViewRights::ReadOnly {
                refused(does::STORE, Refusal::ReadOnlyView, programs.to_ptr().to_program(view.base()).value())?;
                equal("a load gives a page", run(does::LOAD, at(60)), Ended::Exit(0))?;
                arena.free_for_program(at(60), 1, kernel_arena::Context::MayWait)?;
            }
            // The kernel's own view is nobody's to fault in.
            let ended = run(does::LOAD, arena.layout().to_kernel(programs.to_ptr()).value());
            holds("the kernel's view is out of reach", matches!(ended, Ended::Wild(_)))
        })?;
    }
    equal("the kernel's page", load(arena, kernels.to_ptr().cast(), 0), 0x5ec2e7)?;
    // Healed, the page is anybody's.
    equal("pages healed", arena.reclaim().healed_pages, 2)?;
    with_view(site.machine, arena, LAZY, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let ended = served.run(&mut process.thread(does::LOAD, [at(50), 0, 0]));
        equal("a load of the healed page", ended, Ended::Exit(0))?;
        Ok(arena.free_for_program(at(50), 1, kernel_arena::Context::MayWait)?)
    })?;
    arena.free_pages(kernels.to_ptr(), kernels.count(), Owner::Kernel)?;
    arena.free_pages(programs.to_ptr(), programs.count(), Owner::Program)?;
    arena.free_pages(reserved.to_ptr(), reserved.count(), Owner::Program)?;
    while arena.take_violation().is_some() {}
    done()
}

/// Memory is short for a moment: the program is told so, and goes on.
fn out_of_frames_is_no_reason_to_end(site: &Site<'_>) -> Told {
    let (arena, frames) = (site.arena, site.machine.frames());
    with_view(site.machine, arena, LAZY, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let mut taken = alloc::vec::Vec::with_capacity(frames.free_count());
        while let Some(frame) = frames.alloc() {
            taken.push(frame);
        }
        let mut thread = process.thread(does::TOUCH, [at(20), 1, 0]);
        let first = served.run(&mut thread);
        let again = served.run(&mut thread);
        taken.into_iter().for_each(|frame| frames.free(frame));
        equal(
            "without frames",
            (first, again),
            (Ended::Refused(Refusal::NoFrame, at(20)), Ended::Refused(Refusal::NoFrame, at(20))),
        )?;
        equal("with frames, the same thread", served.run(&mut thread), Ended::Exit(1))?;
        Ok(arena.free_for_program(at(20), 1, kernel_arena::Context::MayWait)?)
    })?;
    done()
}

/// What is before and behind a view is not the arena's.
fn the_end_of_the_window_is_the_end(site: &Site<'_>) -> Told {
    with_view(site.machine, site.arena, LAZY, |process, view| {
        let served = Served { arena: site.arena, space: process.space(), view: Some((view.id(), view.base())) };
        for address in [BASE - 8, BASE + WINDOW_SIZE, BASE + WINDOW_SIZE + 0x8000] {
            let ended = served.run(&mut process.thread(does::LOAD, [address, 0, 0]));
            holds("it is the program's own fault", matches!(ended, Ended::Wild(frame) if frame.address == address))?;
        }
        Ok(())
    })?;
    done()
}

/// Two CPUs: the program reads a word for ever; its view is taken away; its next access faults, and is nobody's.
fn a_view_is_taken_away_while_its_program_runs(site: &Site<'_>) -> Told {
    while_it_runs(
        site,
        |running| {
            // The tables go later: that takes another shootdown, which would make up for one that this has left out.
            let window = site.arena.detach_view(running.take_view()?)?;
            let end = running.wait_for_its_end();
            give_back(site.arena, window)?;
            free(site, running.page)?;
            end
        },
        |ended, page| {
            let is_so = matches!(ended, Ended::Wild(frame) if frame.address == page);
            holds(&alloc::format!("a fault at {page:#x}, where its view was, and nobody's: {ended:x?}"), is_so)
        },
    )
}

/// The same, but only the page goes.
fn a_freed_page_is_gone_for_a_program_that_runs(site: &Site<'_>) -> Told {
    while_it_runs(
        site,
        |running| {
            free(site, running.page)?;
            running.wait_for_its_end()?;
            detach(site.arena, running.take_view()?).map(drop)
        },
        |ended, page| equal("what became of it", ended, Ended::Refused(Refusal::Policy, page)),
    )
}

fn free(site: &Site<'_>, page: u64) -> Checked {
    Ok(site.arena.free_for_program(page, 1, kernel_arena::Context::MayWait)?)
}

/// A program that runs on the second CPU.
struct Running {
    view: Mutex<Option<Attached>>,
    page: u64,
    /// It reads.
    told: AtomicBool,
    /// It came to its end.
    ended: AtomicBool,
    /// It had its time.
    over: AtomicBool,
}

impl Running {
    fn take_view(&self) -> Result<Attached, Failure> {
        self.view.lock().take().ok_or_else(|| Failure::new("no view"))
    }

    /// Waits some seconds at most, and then has it come back.
    fn wait_for_its_end(&self) -> Checked {
        for _ in 0..50_000 {
            if self.ended.load(Ordering::Acquire) {
                return Ok(());
            }
            pause(100);
        }
        self.over.store(true, Ordering::Release);
        interrupt_others();
        Err(Failure::new("the program reads on"))
    }
}

/// Runs a program that watches a word on the second CPU, does something to it, and judges its end.
fn while_it_runs(
    site: &Site<'_>,
    act: impl Fn(&Running) -> Checked + Sync,
    judge: impl Fn(Ended, u64) -> Checked + Sync,
) -> Told {
    if site.machine.cpu_count() < 2 {
        return Ok("one CPU: nothing runs meanwhile".into());
    }
    let arena = site.arena;
    for _ in 0..site.of((10, 300)) {
        let process = Process::new(site.machine)?;
        let view = process.attach(arena, BASE, ViewRights::ReadWrite, FaultPolicy::Segv)?;
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let word = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Program))?.to_ptr().cast::<u64>();
        let flag = || AtomicBool::new(false);
        let page = word.to_program(view.base()).value();
        let running = Running { view: Mutex::new(Some(view)), page, told: flag(), ended: flag(), over: flag() };
        let watcher = || -> Checked {
            let mut thread = process.thread(does::WATCH, [page, 0, 0]);
            loop {
                match served.run(&mut thread) {
                    Ended::Told(_) => running.told.store(true, Ordering::Release),
                    Ended::Interrupted if running.over.load(Ordering::Acquire) => return Ok(()),
                    Ended::Interrupted => {}
                    ended => return judge(ended, page),
                }
            }
        };
        let actor = || -> Checked {
            atomic64(&arena.memory()?, word, 0)?.store(1, Ordering::Release);
            while !running.told.load(Ordering::Acquire) {
                relax();
            }
            act(&running)
        };
        let trouble = Trouble::new();
        site.machine.run_on_all(|cpu| {
            let outcome = match cpu.number() {
                0 => actor(),
                1 => {
                    let outcome = watcher();
                    running.ended.store(true, Ordering::Release);
                    outcome
                }
                _ => Ok(()),
            };
            if let Err(failure) = outcome {
                trouble.note(failure);
            }
        });
        trouble.take()?;
        let state = arena.page_state(kernel_arena::PageIndex::containing(word));
        holds("the page is free", matches!(state, Some(SlotState::Vacated(_) | SlotState::Vacant)))?;
    }
    done()
}
