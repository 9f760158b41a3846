//! A lock in the arena that programs hold for long, while programs on all other CPUs wait for it.

use alloc::format;

use kernel_arena::{ArenaPtr, Owner};
use kernel_arena_bpf::{Budget, Hosts, Insn, Program, Runner};
use support::check::{Checked, Trouble, equal};

use super::checks;
use crate::bench::{Site, Told};
use crate::ready::{BASE, PROGRAM, State, frames_at, pages, to_program};

checks![a_lock_that_is_held_for_long_is_waited_for];

/// Takes the lock at r1 so many times (r2). While it is held the word behind it is read, so many turns of two instructions (r3) go by,
/// and one more is written there: two who hold it at once lose one.
const COUNT: &[Insn] = &[
    Insn::new(0x55, 2, 0, 2, 0),
    Insn::new(0xb7, 0, 0, 0, 0),
    Insn::new(0x95, 0, 0, 0, 0),
    // An exchange of 32 bits, until there was 0.
    Insn::new(0xb7, 4, 0, 0, 1),
    Insn::new(0xc3, 1, 4, 0, 0xe1),
    Insn::new(0x55, 4, 0, -3, 0),
    Insn::new(0x79, 5, 1, 8, 0),
    Insn::new(0xbf, 0, 3, 0, 0),
    Insn::new(0x07, 0, 0, 0, -1),
    Insn::new(0x55, 0, 0, -2, 0),
    Insn::new(0x07, 5, 0, 0, 1),
    Insn::new(0x7b, 1, 5, 8, 0),
    // A store-release of 0.
    Insn::new(0xb7, 4, 0, 0, 0),
    Insn::new(0xc3, 1, 4, 0, 0x110),
    Insn::new(0x07, 2, 0, 0, -1),
    Insn::new(0x05, 0, 0, -16, 0),
];

/// T44, T45: held for a thousand instructions, and for fifty thousand. Nobody gives up, and each is counted.
fn a_lock_that_is_held_for_long_is_waited_for(site: &Site<'_>) -> Told {
    let cpus = u64::from(site.machine.cpu_count());
    let of_each = [(500, site.of((100, 1000))), (25_000, site.of((5, 100)))];
    for (turns, rounds) in of_each {
        let page = pages(site, 1)?;
        let lock: ArenaPtr<[u64; 2]> = page.to_ptr().cast();
        let trouble = Trouble::new();
        let counts = || -> Checked {
            let memory = site.arena.memory()?;
            let stack = pages(site, 1)?;
            let runner: Runner<'_, State> = Runner::new(Program::check(COUNT, Hosts::NONE)?, frames_at(stack)?, BASE);
            let runner = runner.for_program(PROGRAM).with_budget(Budget::new(1 << 40));
            let arguments = [to_program(lock), rounds, turns, 0, 0];
            let ended = runner.run(&memory, runner.program().start(), arguments, &mut State::default());
            equal("how it ended, and holes", (ended.result, ended.holes), (Ok(0), 0))?;
            Ok(site.arena.free_pages(stack.to_ptr(), stack.count(), Owner::Program)?)
        };
        site.machine.run_on_all(|_| {
            if let Err(failure) = counts() {
                trouble.note(failure);
            }
        });
        trouble.take()?;
        let [word, count] = site.arena.memory()?.load(lock);
        equal("the lock, and how often it was held", (word, count), (0, rounds * cpus))?;
        site.arena.free_pages(page.to_ptr(), page.count(), Owner::Program)?;
    }
    Ok(format!("{} times, and {} times", of_each[0].1 * cpus, of_each[1].1 * cpus))
}
