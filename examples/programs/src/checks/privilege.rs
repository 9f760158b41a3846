//! What a program may not do, and what a kernel that runs programs must not take over from them.

use alloc::format;

use kernel_arena::views::{FaultPolicy, ViewRights};
use support::check::{Checked, Failure, equal, holds};

use super::{checks, done, run_for_a_while};
use crate::bench::{Site, Told};
use crate::memory::{pointer, store};
use guests::abi::{CALLS, FORBIDDEN, LOADS, WAITS, does};
use process::{BASE, with_view};
use process::{Ended, Served};
use process::{OWN_PAGE, Process, STACK_END};

checks! {
    what_is_the_kernels_alone_is_an_exception,
    a_programs_flags_are_its_own,
    a_program_loses_no_register,
    a_programs_pages_have_rights,
    the_kernel_executes_no_page_of_a_programs,
}

/// Does something with a process that sees no arena.
fn alone<R>(site: &Site<'_>, body: impl FnOnce(&Process, &Served<'_>) -> Result<R, Failure>) -> Result<R, Failure> {
    let process = Process::new(site.machine)?;
    body(&process, &Served { arena: site.arena, space: process.space(), view: None })
}

fn what_is_the_kernels_alone_is_an_exception(site: &Site<'_>) -> Told {
    alone(site, |process, served| {
        for which in 0..FORBIDDEN {
            let ended = served.run(&mut process.thread(does::FORBIDDEN, [which, 0, 0]));
            equal(&format!("forbidden thing {which}"), ended, Ended::Exception)?;
            equal("the next program", served.run(&mut process.thread(does::COMPUTE, [4, 0, 0])), Ended::Exit(10))?;
        }
        Ok(())
    })?;
    done()
}

/// On x86_64 one of them is the flag with which SMAP is off.
fn a_programs_flags_are_its_own(site: &Site<'_>) -> Told {
    alone(site, |process, served| {
        let mut thread = process.thread(does::FLAGS, [0; 3]);
        equal("a system call with flags set", served.run(&mut thread), Ended::Told(0))?;
        equal("the kernel's load of the program's stack", process.space().probe_read(STACK_END - 8), None)?;
        equal("they are kept", served.run(&mut thread), Ended::Exit(1))
    })?;
    done()
}

/// By a call, by a fault, and where it is interrupted: each way in has all registers to save, and the one way back all to load.
fn a_program_loses_no_register(site: &Site<'_>) -> Told {
    const INTERRUPTS: u64 = 20;
    let arena = site.arena;
    with_view(site.machine, arena, (ViewRights::ReadWrite, FaultPolicy::Lazy), |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let none = |way: &str, ended| equal(&format!("registers lost {way}"), ended, Ended::Exit(0));
        for seed in [3, 4] {
            let mut thread = process.thread(does::REGISTERS, [CALLS, seed, 0]);
            holds("it calls", matches!(served.run(&mut thread), Ended::Told(_)))?;
            none("by a call", served.run(&mut thread))?;

            let page = BASE + 0x2_0000;
            let given = arena.stats().pages_given;
            none("by a fault", served.run(&mut process.thread(does::REGISTERS, [LOADS, seed, page])))?;
            equal("pages given", arena.stats().pages_given, given + 1)?;

            let mut thread = process.thread(does::REGISTERS, [WAITS, seed, page]);
            for _ in 0..INTERRUPTS {
                equal("a program that waits", run_for_a_while(&served, &mut thread), Ended::Interrupted)?;
            }
            store(arena, pointer(page)?, 0, 1);
            none("where it was interrupted", served.run(&mut thread))?;
            arena.free_for_program(page, 1, kernel_arena::Context::MayWait)?;
        }
        Ok(())
    })?;
    done()
}

/// Text is not written, data is not executed, and beside the stack is nothing.
fn a_programs_pages_have_rights(site: &Site<'_>) -> Told {
    alone(site, |process, served| {
        let wild = |what, address: u64| -> Checked {
            let ended = served.run(&mut process.thread(what, [address, 1, 0]));
            let is_so = matches!(ended, Ended::Wild(frame) if frame.address == address);
            holds(&format!("behaviour {what} at {address:#x} is a fault there, not {ended:x?}"), is_so)
        };
        let text = process.entry() & !7;
        let load = served.run(&mut process.thread(does::LOAD, [text, 0, 0]));
        holds("text is loaded", matches!(load, Ended::Exit(_)))?;
        wild(does::STORE, text)?;
        wild(does::JUMP, STACK_END - 4096)?;
        wild(does::STORE, STACK_END)?;
        wild(does::STORE, STACK_END - 5 * 4096)
    })?;
    done()
}

/// SMEP, or what a page that EL0 may execute is to EL1.
fn the_kernel_executes_no_page_of_a_programs(site: &Site<'_>) -> Told {
    alone(site, |process, served| {
        holds("there is a frame", process.space().map_function(OWN_PAGE))?;
        let mut thread = process.thread(does::JUMP, [OWN_PAGE, 0, 0]);
        equal("the program executes it", served.run(&mut thread), Ended::Exit(0))?;
        holds("the kernel does not", !process.space().probe_execute(OWN_PAGE))
    })?;
    done()
}
