//! Kernel and programs at work on the same structures, on all CPUs at once.

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::ArenaPtr;
use kernel_arena_bpf::Reason;
use support::check::{Checked, Failure, Trouble, equal, holds};

use super::checks;
use crate::bench::{Site, Told};
use crate::ready::{Ready, State, each, frames_at, pages, to_program};

checks![
    every_object_runs,
    a_list_is_shared,
    a_table_is_shared,
    functions_of_the_kernel_are_called,
    a_lock_is_held_by_one_cpu_at_a_time,
    messages_go_from_cpu_to_cpu,
];

/// Each entry of each object ends one way or another, and the kernel is still there.
fn every_object_runs(site: &Site<'_>) -> Told {
    let functions = AtomicU64::new(0);
    let objects = each(site, "", |ready| {
        for function in ready.loaded.functions() {
            let name = function.name.text().ok_or_else(|| Failure::new("a name is no text"))?;
            let ended = ready.run_by(&ready.patient(10_000), name, &[], &mut State::default())?;
            holds("it was entered", ended.result != Err(Reason::NoSuchEntry))?;
            functions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(format!("{objects} objects, {} functions", functions.into_inner()))
}

/// A node as the program has it.
type Node = [u64; 2];

fn a_list_is_shared(site: &Site<'_>) -> Told {
    let objects = each(site, "list", |ready| {
        let head = ready.variable::<u64>("head")?;
        for which in 0..3 {
            let pushed = ready.run("push", &[which])?.result;
            equal("the list begins with what was pushed", pushed, Ok(ready.memory.load(head)))?;
        }
        let page = pages(site, 1)?.to_ptr().cast::<Node>();
        ready.memory.store(page, &[ready.memory.load(head), 7]);
        ready.memory.store(head, &to_program(page));
        ready.expect("sum", &[100], 67)?;
        ready.expect("reverse", &[], 4)?;
        let (mut next, mut values) = (ready.memory.load(head), 0);
        while let Some(node) = ArenaPtr::<Node>::from_low_bits(next) {
            let [behind, value] = ready.memory.load(node);
            (next, values) = (behind, values * 100 + value);
        }
        equal("the values in their order", values, 10_20_30_07)?;
        Ok(site.arena.free_pages(page.cast(), kernel_arena::PageCount::ONE, kernel_arena::Owner::Program)?)
    })?;
    Ok(format!("{objects} objects"))
}

fn a_table_is_shared(site: &Site<'_>) -> Told {
    let objects = each(site, "table", |ready| {
        for key in 0..64 {
            ready.expect("insert", &[key, key * key], 1)?;
        }
        ready.expect("insert", &[64, 0], 0)?;
        for key in (0..64).step_by(3) {
            ready.expect("take_out", &[key], 1)?;
        }
        let buckets: [u64; 16] = ready.memory.load(ready.variable("buckets")?);
        let (mut entries, mut sum) = (0, 0);
        for mut next in buckets {
            while let Some(entry) = ArenaPtr::<[u64; 4]>::from_low_bits(next) {
                let [behind, key, value, stamp] = ready.memory.load(entry);
                equal("a value", value, (key & 0xffff_ffff) * (key & 0xffff_ffff))?;
                // The kernel changes the entry; the program sees it.
                ready.memory.store(entry, &[behind, key, value + 1, stamp]);
                (next, entries, sum) = (behind, entries + 1, sum + value);
            }
        }
        let left = (0..64u64).filter(|key| key % 3 != 0);
        equal("entries, and their sum", (entries, sum), (42, left.map(|key| key * key).sum()))?;
        (0..64).filter(|key| key % 3 != 0).try_for_each(|key| ready.expect("lookup", &[key], key * key + 1))
    })?;
    Ok(format!("{objects} objects"))
}

fn functions_of_the_kernel_are_called(site: &Site<'_>) -> Told {
    let objects = each(site, "host", |ready| {
        let mut state = State::default();
        let ended = ready.run_by(&ready.runner, "say", &[4], &mut state)?;
        equal("what it returned", ended.result, Ok(90))?;
        equal("what it said", (state.said, state.letters), (9, 24))?;
        ready.expect("by_number", &[21], 43)?;
        ready.expect("if_there", &[], 177)?;
        equal("a call of nothing", ready.run("not_there", &[1])?.result, Err(Reason::Trap))
    })?;
    Ok(format!("{objects} objects"))
}

/// Each CPU counts two numbers up under the lock; the kernel takes it, too.
fn a_lock_is_held_by_one_cpu_at_a_time(site: &Site<'_>) -> Told {
    let rounds = site.of((5_000, 100_000));
    let spun = AtomicU64::new(0);
    each(site, "lock", |ready| {
        let guarded = ready.variable::<[u64; 3]>("guarded")?;
        let trouble = Trouble::new();
        let all = on_all(ready, &trouble, |_, run| {
            let ended = run("count", &[rounds])?;
            equal("how often the numbers differed", (ended.result, ended.holes), (Ok(0), 0))?;
            // The kernel's turn.
            let lock = ready.memory.atomic(guarded.cast::<u32>())?;
            while lock.swap(1, Ordering::Acquire) != 0 {
                core::hint::spin_loop();
            }
            let [word, first, second] = ready.memory.load(guarded);
            ready.memory.store(guarded.cast::<u64>(), &word);
            lock.store(0, Ordering::Release);
            equal("the numbers, seen by the kernel", first, second)
        });
        all?;
        let [word, first, second] = ready.memory.load(guarded);
        spun.fetch_add(word >> 32, Ordering::Relaxed);
        let expected = rounds * u64::from(site.machine.cpu_count());
        equal("the numbers at the end", (first, second), (expected, expected))
    })?;
    Ok(format!("waited {} times", spun.into_inner()))
}

/// A program on one CPU sends, a program on another receives; each message once, and in order.
fn messages_go_from_cpu_to_cpu(site: &Site<'_>) -> Told {
    if site.machine.cpu_count() < 2 {
        return Ok("one CPU: there is nobody to send to".into());
    }
    let count = site.of((500, 50_000));
    each(site, "order", |ready| {
        let trouble = Trouble::new();
        on_all(ready, &trouble, |cpu, run| {
            let mut next = 1;
            let mut tries = 0u64;
            while next <= count && cpu < 2 {
                let ended = if cpu == 0 { run("put", &[next])? } else { run("take", &[])? };
                let value = ended.result.map_err(|reason| Failure::new(format!("{reason}")))?;
                if cpu == 1 && value != 0 {
                    equal("the message", value, next)?;
                }
                next += u64::from(value != 0);
                tries += 1;
                if trouble.is_there() || tries > 100_000_000 {
                    return Err(Failure::new("the other CPU does not answer"));
                }
            }
            Ok(())
        })
    })?;
    Ok(format!("{count} messages"))
}

/// What a CPU does with a program: runs a function of it, on the CPU's own stack.
type Run<'r> = &'r dyn Fn(&str, &[u64]) -> Result<kernel_arena_bpf::Ended, Failure>;

/// Does something on all CPUs at once.
fn on_all(ready: &Ready<'_>, trouble: &Trouble, body: impl Fn(u16, Run<'_>) -> Checked + Sync) -> Checked {
    let (site, memory, loaded, runner) = (ready.site, ready.memory, ready.loaded, ready.patient(1 << 40));
    site.machine.run_on_all(|cpu| {
        let work = || {
            let stack = pages(site, 1)?;
            let mine = Ready { site, memory, loaded, runner: runner.with_stack(frames_at(stack)?) };
            body(cpu.number(), &|function, arguments| mine.run(function, arguments))?;
            Ok(site.arena.free_pages(stack.to_ptr(), stack.count(), kernel_arena::Owner::Program)?)
        };
        if let Err(failure) = work() {
            trouble.note(failure);
        }
    });
    trouble.take()
}
