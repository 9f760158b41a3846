//! User mode itself, without an arena.

use alloc::format;

use kernel_arena::views::{FaultPolicy, ViewRights};
use support::PHYSICAL_MAP;
use support::check::{Checked, equal, holds};

use super::{checks, done, run_for_a_while};
use crate::bench::{Site, Told};
use guests::abi::does;
use process::{BASE, Process, with_view};
use process::{Ended, Served};

checks! {
    a_program_computes_and_ends,
    system_calls_carry_arguments_and_answers,
    a_wild_access_is_the_programs_own_fault,
    what_is_data_is_not_executed,
    a_program_that_never_ends_is_interrupted,
    the_kernel_touches_no_page_of_a_programs_by_its_address,
    programs_run_on_all_cpus_at_once,
}

/// Runs a program without a view.
fn run(site: &Site<'_>, what: u64, arguments: [u64; 3]) -> Result<Ended, support::check::Failure> {
    let process = Process::new(site.machine)?;
    let mut thread = process.thread(what, arguments);
    Ok(Served { arena: site.arena, space: process.space(), view: None }.run(&mut thread))
}

fn a_program_computes_and_ends(site: &Site<'_>) -> Told {
    for count in [0, 1, 1000] {
        equal("the sum", run(site, does::COMPUTE, [count, 0, 0])?, Ended::Exit(count * (count + 1) / 2))?;
    }
    done()
}

fn system_calls_carry_arguments_and_answers(site: &Site<'_>) -> Told {
    equal("right answers", run(site, does::ECHOES, [1000, 0, 0])?, Ended::Exit(1000))?;
    done()
}

/// The kernel's image, its map of memory, its window, and addresses that nobody has.
fn a_wild_access_is_the_programs_own_fault(site: &Site<'_>) -> Told {
    let image = core::ptr::from_ref(&crate::checks::all) as u64 & !4095;
    for address in
        [8, image, PHYSICAL_MAP, site.arena.layout().base().value() + 0x1_0000, 0xffff_ffff_ffff_fff8, 1 << 38]
    {
        for what in [does::LOAD, does::STORE] {
            let ended = run(site, what, [address, 1, 0])?;
            let Ended::Wild(frame) = ended else {
                return Err(support::check::Failure::new(format!("{what} at {address:#x}: {ended:?}")));
            };
            equal("the address", frame.address, address)?;
        }
    }
    equal("the kernel's own violations", site.arena.stats().violations, 0)?;
    done()
}

fn what_is_data_is_not_executed(site: &Site<'_>) -> Told {
    with_view(site.machine, site.arena, (ViewRights::ReadWrite, FaultPolicy::Lazy), |process, view| {
        let served = Served { arena: site.arena, space: process.space(), view: Some((view.id(), view.base())) };
        let page = BASE + 0x2_0000;
        let mut thread = process.thread(does::STORE, [page, 0xc3, 0]);
        equal("a store", served.run(&mut thread), Ended::Exit(0))?;
        let mut thread = process.thread(does::JUMP, [page, 0, 0]);
        let ended = served.run(&mut thread);
        equal("a jump there", ended, Ended::Refused(kernel_arena::views::Refusal::NotExecutable, page))
    })?;
    done()
}

fn a_program_that_never_ends_is_interrupted(site: &Site<'_>) -> Told {
    let process = Process::new(site.machine)?;
    let served = Served { arena: site.arena, space: process.space(), view: None };
    let mut thread = process.thread(does::SPIN, [0; 3]);
    for _ in 0..3 {
        equal("what became of it", run_for_a_while(&served, &mut thread), Ended::Interrupted)?;
    }
    done()
}

/// SMAP, or PAN: with the program's own root loaded, its address does not help the kernel. (The arena's pages it reaches by its own.)
fn the_kernel_touches_no_page_of_a_programs_by_its_address(site: &Site<'_>) -> Told {
    with_view(site.machine, site.arena, (ViewRights::ReadWrite, FaultPolicy::Lazy), |process, view| {
        let served = Served { arena: site.arena, space: process.space(), view: Some((view.id(), view.base())) };
        let page = BASE + 0x2_0000;
        let mut thread = process.thread(does::STORE, [page, 77, 0]);
        equal("a store", served.run(&mut thread), Ended::Exit(0))?;
        equal("the kernel's load by the program's address", process.space().probe_read(page), None)?;
        let at = crate::memory::pointer(page)?;
        equal("by its own", crate::memory::load(site.arena, at, 0), 77)
    })?;
    done()
}

fn programs_run_on_all_cpus_at_once(site: &Site<'_>) -> Told {
    let trouble = support::check::Trouble::new();
    let one = |cpu: u64| -> Checked {
        let process = Process::new(site.machine)?;
        let served = Served { arena: site.arena, space: process.space(), view: None };
        for round in 0..200 {
            let count = round + cpu;
            let mut thread = process.thread(does::COMPUTE, [count, 0, 0]);
            equal("the sum", served.run(&mut thread), Ended::Exit(count * (count + 1) / 2))?;
        }
        holds("it ran", true)
    };
    site.machine.run_on_all(|cpu| {
        if let Err(failure) = one(u64::from(cpu.number())) {
            trouble.note(failure);
        }
    });
    trouble.take()?;
    done()
}
