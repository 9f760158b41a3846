//! For whom the kernel works: a violation names the program whose scope is open on its CPU, and no other (N7).
//!
//! In each round one CPU is a worker, with no scope, and interrupts the others, which work for programs. The
//! interrupt handler makes a wild access of its own, for nobody or for a program of its own; then the interrupted
//! work goes on, still for its program.

use alloc::format;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use kernel_arena::{Owner, ProgramId, Violation};
use support::{MAX_CPUS, cpu_id, interrupt_others, interruptible, relax, set_interrupt_handler};

use super::{Told, races};
use crate::check::{Checked, Failure, equal};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{Site, page, pages, pointer};

races! {
    violations_name_the_program_and_recovery_needs_none in 512 pages,
}

/// The site whose window the interrupt handler goes for, or null.
static SITE: AtomicPtr<Site> = AtomicPtr::new(core::ptr::null_mut());
/// The round, for the interrupt handler.
static ROUND: AtomicU32 = AtomicU32::new(0);
/// How many interrupts each CPU has had.
static INTERRUPTS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// What a CPU works at when it makes a wild access, and the first page of those that it does it to.
#[derive(Clone, Copy)]
enum Work {
    /// For its program, before the interrupt and after.
    Program,
    /// For another, on its behalf.
    Nested,
    /// In the interrupt handler.
    Handler,
    /// For nobody.
    Worker,
}

impl Work {
    const ALL: [Self; 4] = [Self::Program, Self::Nested, Self::Handler, Self::Worker];

    /// The page of a CPU's access: the second one is after the interrupt.
    fn page(self, cpu: u32, second: bool) -> u32 {
        200 + 32 * self as u32 + 2 * cpu + u32::from(second)
    }

    /// Who is to be named.
    fn program(self, cpu: u32, round: u32) -> Option<ProgramId> {
        match self {
            Self::Program => ProgramId::new(1000 + cpu),
            Self::Nested => ProgramId::new(2000 + cpu),
            Self::Handler if round % 2 == 1 => ProgramId::new(3000 + cpu),
            Self::Handler | Self::Worker => None,
        }
    }
}

/// Interrupts whatever runs.
fn interrupted() {
    // SAFETY: it points to the site as long as `race` plays, and only then does anybody interrupt.
    if let Some(site) = unsafe { SITE.load(Ordering::Acquire).as_ref() } {
        let (cpu, round) = (u32::from(cpu_id().number()), ROUND.load(Ordering::Relaxed));
        let _scope = site.arena.work_for(Work::Handler.program(cpu, round));
        let done = site.write(page(Work::Handler.page(cpu, false)), 0);
        // A handler cannot fail: if the access was given up, the CPU waits for ever, and the kernel counts as hung.
        INTERRUPTS[cpu as usize].fetch_add(u64::from(done), Ordering::Release);
    }
}

fn violations_name_the_program_and_recovery_needs_none(site: &Site) -> Told {
    SITE.store(core::ptr::from_ref(site).cast_mut(), Ordering::Release);
    set_interrupt_handler(interrupted);
    let told = race(site);
    SITE.store(core::ptr::null_mut(), Ordering::Release);
    told
}

fn race(site: &Site) -> Told {
    let named = AtomicU64::new(0);
    let ready = AtomicU32::new(0);
    let prepare = |player: &mut Player<'_>| {
        ready.store(0, Ordering::Relaxed);
        ROUND.store(player.round, Ordering::Relaxed);
        Ok(())
    };
    let work = |player: &mut Player<'_>| {
        if player.has_turn() {
            // Once they are all at work.
            while ready.load(Ordering::Acquire) + 1 < site.cpus {
                relax();
            }
            interrupt_others();
            return site.writes(page(Work::Worker.page(player.number, false)), 0);
        }
        interruptible(|| work_for_a_program(player, &ready))
    };
    let look = |_: &mut Player<'_>| {
        let mut count = 0;
        while let Some(violation) = site.violation() {
            named.fetch_add(u64::from(check(site, &violation)?), Ordering::Relaxed);
            count += 1;
        }
        // Four accesses of each CPU but one, and one of that.
        equal("violations of the round", count, 4 * (site.cpus - 1) + 1)?;
        equal("healed pages", site.reclaim().healed_pages, count)
    };
    let rounds = site.play((12, 100), &|| true, &[One(&prepare), All(&work), One(&look)])?;
    let interrupts: u64 = INTERRUPTS.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    Ok(format!("{rounds} rounds, {} programs named, {interrupts} accesses by interrupt handlers", named.into_inner()))
}

/// A program's work, with an interrupt in the middle of it.
fn work_for_a_program(player: &Player<'_>, ready: &AtomicU32) -> Checked {
    let (site, cpu) = (player.site, player.number);
    let interrupts = &INTERRUPTS[cpu as usize];
    let before = interrupts.load(Ordering::Relaxed);
    let _scope = site.arena.work_for(Work::Program.program(cpu, player.round));
    site.writes(page(Work::Program.page(cpu, false)), 0)?;
    ready.fetch_add(1, Ordering::Release);
    // The interrupt comes in the middle of operations of the same arena. They are as many as time allows, and not counted.
    let own = pointer(16 + cpu);
    while interrupts.load(Ordering::Acquire) == before {
        site.arena.reserve_pages(own, pages(1), Owner::Program)?;
        site.arena.free_pages_deferred(own, pages(1), Owner::Program)?;
        relax();
    }
    {
        let _nested = site.arena.work_for(Work::Nested.program(cpu, player.round));
        site.writes(page(Work::Nested.page(cpu, false)), 0)?;
    }
    site.writes(page(Work::Program.page(cpu, true)), 0)
}

/// A record names the program that its page was touched for. Says whether that was one.
fn check(site: &Site, violation: &Violation) -> Result<bool, Failure> {
    let number = (violation.address.value() - site.address(0).value()) / page(1);
    let cpu = violation.cpu.map(|cpu| u32::from(cpu.number())).ok_or_else(|| Failure::new("no CPU is named"))?;
    let pages = |work: Work| [false, true].map(|second| u64::from(work.page(cpu, second)));
    let work = Work::ALL.into_iter().find(|work| pages(*work).contains(&number));
    let work =
        work.ok_or_else(|| Failure::new(format!("CPU {cpu} is named for page {number}, which it did not touch")))?;
    let expected = work.program(cpu, ROUND.load(Ordering::Relaxed));
    equal("the program that is named", violation.program, expected)?;
    Ok(expected.is_some())
}
