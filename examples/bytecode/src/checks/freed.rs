//! Pages that are freed while a program on another CPU uses them. What the program sees is the page, or a hole; never what comes
//! there next, and the kernel goes on.

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::{AllocRequest, Owner, PageCount, PageIndex};
use kernel_arena_bpf::{OnHole, Stack};
use support::check::{Failure, Trouble, equal, holds};
use support::pause;

use super::checks;
use crate::bench::{Site, Told};
use crate::ready::{Ready, State, each, pages, to_program};

checks![a_page_is_freed_under_a_running_program, pages_come_and_go_under_running_programs];

/// The program on the second CPU reads the page until it meets the hole, and is stopped there.
fn a_page_is_freed_under_a_running_program(site: &Site<'_>) -> Told {
    if site.machine.cpu_count() < 2 {
        return Ok("one CPU: nothing runs meanwhile".into());
    }
    let runs = AtomicU64::new(0);
    let rounds = site.of((5, 200));
    each(site, "wild", |ready| {
        for _ in 0..rounds {
            let page = pages(site, 1)?.to_ptr();
            ready.memory.store(page.cast::<[u64; 2]>(), &[0, 41]);
            ready.memory.store(ready.variable("kept")?, &to_program(page));
            let (reads, over) = (AtomicBool::new(false), AtomicBool::new(false));
            let trouble = Trouble::new();
            let (memory, loaded) = (ready.memory, ready.loaded);
            let runner = ready.runner.on_hole(OnHole::Stop);
            site.machine.run_on_all(|cpu| {
                let work = || match cpu.number() {
                    0 => {
                        while !reads.load(Ordering::Acquire) && !trouble.is_there() {
                            core::hint::spin_loop();
                        }
                        pause(50);
                        site.arena.free_pages(page, PageCount::ONE, Owner::Program)?;
                        // The free has flushed: from now on there is a hole.
                        pause(50);
                        over.store(true, Ordering::Release);
                        Ok(())
                    }
                    1 => {
                        let mine = Ready { site, memory, loaded, runner };
                        loop {
                            let last = over.load(Ordering::Acquire);
                            let ended = mine.run("follow_kept", &[])?;
                            runs.fetch_add(1, Ordering::Relaxed);
                            reads.store(true, Ordering::Release);
                            match (ended.result, ended.holes) {
                                (Ok(value), 0) => equal("what it read", value, 42)?,
                                (Err(_), 1) => return Ok(()),
                                other => return Err(Failure::new(format!("it ended with {other:?}"))),
                            }
                            holds("the page is gone", !last)?;
                        }
                    }
                    _ => Ok(()),
                };
                if let Err(failure) = work() {
                    trouble.note(failure);
                }
            });
            trouble.take()?;
        }
        Ok(())
    })?;
    Ok(format!("{} runs", runs.into_inner()))
}

/// The kernel frees pages and gets them again, zeroed, while programs write there on all other CPUs.
fn pages_come_and_go_under_running_programs(site: &Site<'_>) -> Told {
    if site.machine.cpu_count() < 2 {
        return Ok("one CPU: nothing runs meanwhile".into());
    }
    let (holes, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    let rounds = site.of((200, 5_000));
    each(site, "wild", |ready| {
        let place = pages(site, 4)?;
        // All stacks before, or one would be where the pages have been.
        let stacks = pages(site, site.machine.cpu_count())?;
        let over = AtomicBool::new(false);
        let trouble = Trouble::new();
        let (memory, loaded, runner) = (ready.memory, ready.loaded, ready.patient(1 << 24));
        site.machine.run_on_all(|cpu| {
            let work = || {
                if cpu.number() == 0 {
                    for _ in 0..rounds {
                        site.arena.free_pages(place.to_ptr(), place.count(), Owner::Program)?;
                        pause(20);
                        let request = AllocRequest::new(place.count(), Owner::Program).exactly_at(place.to_ptr());
                        site.arena.alloc_pages(request)?;
                        pause(20);
                    }
                    over.store(true, Ordering::Release);
                    return Ok(());
                }
                let stack = stacks.pages().nth(cpu.number().into()).and_then(PageIndex::to_ptr);
                let stack = stack.ok_or_else(|| Failure::new("no stack"))?;
                let runner = runner.with_stack(Stack::new(stack, 8, Stack::FRAME_BYTES)?);
                let mine = Ready { site, memory, loaded, runner };
                while !over.load(Ordering::Acquire) && !trouble.is_there() {
                    let arguments = [to_program(place.to_ptr()) + 0x0f80, 0x1100];
                    let ended = mine.run_by(&mine.runner, "fill", &arguments, &mut State::default())?;
                    equal("it ran to its end", ended.result, Ok(0x1100))?;
                    holes.fetch_add(ended.holes, Ordering::Relaxed);
                    runs.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            };
            if let Err(failure) = work() {
                over.store(true, Ordering::Release);
                trouble.note(failure);
            }
        });
        trouble.take()?;
        site.arena.free_pages(stacks.to_ptr(), stacks.count(), Owner::Program)?;
        Ok(site.arena.free_pages(place.to_ptr(), place.count(), Owner::Program)?)
    })?;
    let (holes, runs) = (holes.into_inner(), runs.into_inner());
    holds("programs ran", runs > 0)?;
    equal("each hole was counted", site.arena.stats().violations, holes)?;
    Ok(format!("{runs} runs, {holes} holes"))
}
