//! What kernel and program build together: lists, tables, counters, messages.

use alloc::format;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{AllocRequest, ArenaPtr, Owner, PageCount};
use support::check::{Checked, Failure, Trouble, equal};
use support::relax;

use super::{checks, done};
use crate::bench::{KernelArena, Site, Told};
use crate::memory::{atomic32, atomic64, load, look_up, store, walk};
use guests::abi::does;
use process::{BASE, Process, with_view};
use process::{Ended, Served};

checks! {
    a_list_of_the_kernels_is_walked_by_a_program,
    a_list_of_a_programs_is_walked_by_the_kernel,
    a_table_is_filled_and_read_by_both,
    atomic_operations_of_both_add_up,
    messages_pass_by_acquire_and_release,
}

const LAZY: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Lazy);
const STRICT: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Segv);

fn pages(arena: &KernelArena, count: u32) -> Result<ArenaPtr<u64>, Failure> {
    let count = PageCount::new(count).ok_or_else(|| Failure::new("no such count"))?;
    Ok(arena.alloc_pages(AllocRequest::new(count, Owner::Program))?.to_ptr().cast())
}

fn free(arena: &KernelArena, at: ArenaPtr<u64>, count: u32) -> Checked {
    Ok(arena.free_pages(
        at.cast(),
        PageCount::new(count).ok_or_else(|| Failure::new("no such count"))?,
        Owner::Program,
    )?)
}

/// Frees every page of the programs'.
fn free_all(arena: &KernelArena) -> Checked {
    for page in arena.layout().extent().pages() {
        if let Some(kernel_arena::SlotState::Mapped(_, Owner::Program)) = arena.page_state(page) {
            let at = page.to_ptr().ok_or_else(|| Failure::new("page 0"))?;
            arena.free_pages(at, PageCount::ONE, Owner::Program)?;
        }
    }
    Ok(())
}

/// T35 and T36, the kernel's turn: its pointers are those of the program.
fn a_list_of_the_kernels_is_walked_by_a_program(site: &Site<'_>) -> Told {
    let arena = site.arena;
    for nodes in [1u32, 1000] {
        let count = nodes.div_ceil(256);
        let list = pages(arena, count)?;
        for node in 0..nodes {
            let next = if node + 1 == nodes { 0 } else { BASE + u64::from(list.offset() + (node + 1) * 16) };
            store(arena, list, node * 2, next);
            store(arena, list, node * 2 + 1, u64::from(node) + 1);
        }
        with_view(site.machine, arena, STRICT, |process, view| {
            let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
            let mut thread = process.thread(does::WALK, [list.to_program(view.base()).value(), 0, 0]);
            let sum = u64::from(nodes) * u64::from(nodes + 1) / 2;
            equal("the sum that the program found", served.run(&mut thread), Ended::Exit(sum))
        })?;
        free(arena, list, count)?;
    }
    done()
}

/// The program's turn.
fn a_list_of_a_programs_is_walked_by_the_kernel(site: &Site<'_>) -> Told {
    let arena = site.arena;
    for nodes in [1u32, 1000] {
        with_view(site.machine, arena, STRICT, |process, view| {
            let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
            let mut thread = process.thread(does::BUILD, [nodes.into(), 0, 0]);
            let Ended::Exit(head) = served.run(&mut thread) else {
                return Err(Failure::new("the program built no list"));
            };
            let sum = u64::from(nodes) * u64::from(nodes + 1) / 2;
            equal("nodes, and their sum", walk(arena, head, 10_000), (nodes, sum))?;
            let mut thread = process.thread(does::WALK, [head, 0, 0]);
            equal("the program's own walk", served.run(&mut thread), Ended::Exit(sum))
        })?;
        free_all(arena)?;
    }
    done()
}

/// T37: both enter, both replace, both look up.
fn a_table_is_filled_and_read_by_both(site: &Site<'_>) -> Told {
    const KEYS: u64 = 1000;
    let arena = site.arena;
    let table = pages(arena, 1)?;
    with_view(site.machine, arena, STRICT, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let at = table.to_program(view.base()).value();
        let run = |what, arguments| served.run(&mut process.thread(what, arguments));
        equal("new keys", run(does::ENTER, [at, 1, KEYS]), Ended::Exit(KEYS))?;
        equal("keys that were there", run(does::ENTER, [at, 1, KEYS]), Ended::Exit(0))?;
        for key in 1..=KEYS {
            equal("a value that the kernel finds", look_up(arena, table, key), Some(key * 2))?;
        }
        equal("one that is not there", look_up(arena, table, KEYS + 1), None)?;
        // The kernel enters one at the head of its bucket, on a page of its own making, and replaces it.
        let (entry, key) = (pages(arena, 1)?, KEYS + 1);
        let place = u32::try_from(guests::abi::bucket(key)).map_err(|_| Failure::new("no bucket"))?;
        store(arena, entry, 0, load(arena, table, place));
        store(arena, entry, 1, key);
        store(arena, entry, 2, 5);
        store(arena, table, place, entry.to_program(view.base()).value());
        let sum = (1..=KEYS).map(|key| key * 2).sum::<u64>();
        equal("the sum that the program finds", run(does::LOOK_UP, [at, KEYS + 1, 0]), Ended::Exit(sum + 5))?;
        equal("the program's turn", run(does::ENTER, [at, KEYS + 1, 1]), Ended::Exit(0))?;
        equal("what the kernel finds", look_up(arena, table, key), Some(key * 2))
    })?;
    free_all(arena)?;
    done()
}

/// T46, T47, T48, T49, T50, T51 and T52, in both widths: with a second CPU, at once.
fn atomic_operations_of_both_add_up(site: &Site<'_>) -> Told {
    let (arena, times) = (site.arena, site.of((2000, 100_000)));
    let words = pages(arena, 1)?;
    let (token64, token32) = (7, 9);
    store(arena, words, 4, token64);
    let memory = arena.memory()?;
    atomic32(&memory, words, 16 + 4)?.store(token32, Relaxed);
    // Bits of the kernel's, in words of which the program has others.
    let (ours64, ours32) = (0x0000_ffff_0000_ffff_u64, 0x00ff_00ff_u32);
    let trouble = Trouble::new();
    let others = site.machine.cpu_count() - 1;
    let kernels = || -> Checked {
        let (wide, narrow) =
            (|word: u32| atomic64(&memory, words, word), |half: u32| atomic32(&memory, words, 16 + half));
        for _ in 0..times {
            wide(0)?.fetch_add(2, AcqRel);
            narrow(0)?.fetch_add(2, AcqRel);
            equal("the kernel's bits", wide(1)?.fetch_add(1, AcqRel) & 0xffff, 0)?;
            equal("the kernel's bits", wide(1)?.fetch_sub(1, AcqRel) & 0xffff, 1)?;
            equal("the kernel's bits", wide(2)?.fetch_xor(ours64, AcqRel) & ours64, 0)?;
            equal("the kernel's bits", wide(2)?.fetch_xor(ours64, AcqRel) & ours64, ours64)?;
            equal("the kernel's bits", narrow(2)?.fetch_xor(ours32, AcqRel) & ours32, 0)?;
            equal("the kernel's bits", narrow(2)?.fetch_xor(ours32, AcqRel) & ours32, ours32)?;
            wide(3)?.fetch_add(1, AcqRel);
            narrow(3)?.fetch_add(1, AcqRel);
            let token = wide(4)?.swap(0, AcqRel);
            if token != 0 {
                wide(4)?.store(token, Release);
            }
            let token = narrow(4)?.swap(0, AcqRel);
            if token != 0 {
                narrow(4)?.store(token, Release);
            }
        }
        Ok(())
    };
    with_view(site.machine, arena, STRICT, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let at = words.to_program(view.base()).value();
        // The word in which both add and subtract one of their own is one CPU's of the kernel.
        site.machine.run_on_all(|cpu| {
            let outcome = match cpu.number() {
                0 => equal(
                    "what went wrong for the program",
                    until_it_ends(&served, &mut process.thread(does::ATOMICS, [at, times, 0])),
                    Ended::Exit(0),
                ),
                1 => kernels(),
                _ => Ok(()),
            };
            if let Err(failure) = outcome {
                trouble.note(failure);
            }
        });
        trouble.take()
    })?;
    let both = times * (1 + u64::from(others.min(1)));
    let wide = |word: u32| Ok(atomic64(&memory, words, word)?.load(Acquire));
    let narrow = |half: u32| Ok(atomic32(&memory, words, 16 + half)?.load(Acquire));
    let all = |found: [Result<u64, Failure>; 4]| found.into_iter().collect::<Result<alloc::vec::Vec<u64>, Failure>>();
    equal("sum, bits, bits and count of 64", all([0, 1, 2, 3].map(wide))?, alloc::vec![2 * both, 0, 0, both])?;
    let narrow = |half| narrow(half).map(u64::from);
    let low = |count: u64| count & 0xffff_ffff;
    equal(
        "sum, bits, bits and count of 32",
        all([0, 1, 2, 3].map(narrow))?,
        alloc::vec![low(2 * both), 0, 0, low(both)],
    )?;
    equal("the tokens", [wide(4)?, narrow(4)?], [token64, token32.into()])?;
    free(arena, words, 1)?;
    Ok(format!("{both} of each"))
}

/// Runs a program on through interruptions.
fn until_it_ends(served: &Served<'_>, thread: &mut support::user::Thread) -> Ended {
    loop {
        match served.run(thread) {
            Ended::Interrupted | Ended::Told(_) => {}
            ended => return ended,
        }
    }
}

/// T55 and T56: a message, and a flag that says that it is there, of 8, 16, 32 and 64 bits.
fn messages_pass_by_acquire_and_release(site: &Site<'_>) -> Told {
    if site.machine.cpu_count() < 2 {
        return Ok("one CPU: nobody to answer".into());
    }
    [1, 2, 4, 8].into_iter().try_for_each(|bytes| {
        with_view(site.machine, site.arena, LAZY, |process, view| {
            let served = Served { arena: site.arena, space: process.space(), view: Some((view.id(), view.base())) };
            let at = pages(site.arena, 1)?;
            pass_messages(site, &served, process, (at, at.to_program(view.base()).value()), bytes)?;
            free(site.arena, at, 1)
        })
    })?;
    done()
}

fn pass_messages(
    site: &Site<'_>,
    served: &Served<'_>,
    process: &Process,
    (at, address): (ArenaPtr<u64>, u64),
    flag_bytes: u64,
) -> Checked {
    let (arena, count, trouble) = (site.arena, site.of((1000, 100_000)), Trouble::new());
    let asks = || -> Checked {
        let memory = arena.memory()?;
        let [asked, answered, message] = [0, 1, 2].map(|word| atomic64(&memory, at, word));
        let (asked, answered, message) = (asked?, answered?, message?);
        // The program sees, and sets, the low bytes alone.
        let cut = |count: u64| if flag_bytes == 8 { count } else { count & ((1 << (8 * flag_bytes)) - 1) };
        for number in 1..=count {
            message.store(number * 3, Relaxed);
            asked.store(number, Release);
            while answered.load(Acquire) != cut(number) {
                relax();
                if trouble.is_there() {
                    return Ok(());
                }
            }
            equal("the answer", message.load(Relaxed), number * 5)?;
        }
        Ok(())
    };
    site.machine.run_on_all(|cpu| {
        let outcome = match cpu.number() {
            0 => asks(),
            1 => {
                let mut thread = process.thread(does::ANSWER, [address, count, flag_bytes]);
                equal("messages that were right", until_it_ends(served, &mut thread), Ended::Exit(count))
            }
            _ => Ok(()),
        };
        if let Err(failure) = outcome {
            trouble.note(failure);
        }
    });
    trouble.take()
}
