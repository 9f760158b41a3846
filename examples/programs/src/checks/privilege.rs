//! What a program may not do, and what a kernel that runs programs must not take over from them.

use alloc::format;

use support::check::{Checked, Failure, equal, holds};
use support::{arm_timer, disarm_timer};

use super::{checks, done};
use crate::bench::{Site, Told};
use guests::abi::{FORBIDDEN, does, mix};
use process::{Ended, Served};
use process::{OWN_PAGE, Process, STACK_END};

checks! {
    what_is_the_kernels_alone_is_an_exception,
    a_programs_flags_are_its_own,
    a_program_that_is_interrupted_loses_no_register,
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

fn a_program_that_is_interrupted_loses_no_register(site: &Site<'_>) -> Told {
    const ROUNDS: u64 = 200_000;
    const ENOUGH: u64 = 20;
    let (mut seed, mut interrupted) = (0, 0);
    alone(site, |process, served| {
        while interrupted < ENOUGH && seed < 200 {
            seed += 1;
            let mut thread = process.thread(does::MIX, [seed, ROUNDS, 0]);
            let ended = loop {
                arm_timer(50);
                match served.run(&mut thread) {
                    Ended::Interrupted => interrupted += 1,
                    ended => break ended,
                }
            };
            disarm_timer();
            equal("what it computed", ended, Ended::Exit(mix(seed, ROUNDS)))?;
        }
        Ok(())
    })?;
    holds(&format!("in {seed} runs it was interrupted often enough: {interrupted} times"), interrupted >= ENOUGH)?;
    Ok(format!("interrupted {interrupted} times in {seed} runs"))
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
