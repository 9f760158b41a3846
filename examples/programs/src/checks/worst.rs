//! The hostile program: whatever it does, the arena stays whole, and what is the kernel's stays as it is.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{AllocRequest, Context, Owner, PageCount, PageIndex, PageRange, SlotState};
use spin::Mutex;
use support::Random;
use support::check::{Checked, Failure, Trouble, equal, holds};

use super::{checks, done};
use crate::bench::{KernelArena, Site, Told, VIEWS};
use crate::history::{ANSWERS, Faster, GIVEN, History, NEVER};
use crate::memory::{load, pointer, store};
use guests::abi::does;
use process::{BASE, with_view};
use process::{CODES, Ended, Served};

checks! {
    whatever_a_program_does_the_arena_stays_whole,
    one_seed_gives_one_history_and_two_give_two,
    a_hostile_program_races_the_kernel_in_vain,
    hostile_programs_race_each_other_in_vain,
}

const LAZY: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Lazy);
const SEGV: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Segv);
const READ_ONLY: (ViewRights, FaultPolicy) = (ViewRights::ReadOnly, FaultPolicy::Lazy);
/// Calls of a program between two looks at everything.
const IN_A_ROUND: u64 = 500;

/// Pages of the kernel's, each full of numbers that nobody else knows.
struct Canaries {
    pages: Vec<PageRange>,
}

impl Canaries {
    fn new(arena: &KernelArena) -> Result<Self, Failure> {
        let mut pages = Vec::new();
        for number in 0..8u32 {
            let count = PageCount::new(1 + number % 2).ok_or_else(|| Failure::new("no such count"))?;
            let request = AllocRequest::new(count, Owner::Kernel).aligned(PageCount::new(8).unwrap_or(PageCount::ONE));
            let range = arena.alloc_pages(request)?;
            for word in 0..count.get() * 512 {
                store(arena, range.to_ptr().cast(), word, Self::value(range, word));
            }
            pages.push(range);
        }
        Ok(Self { pages })
    }

    fn value(range: PageRange, word: u32) -> u64 {
        Random::new(u64::from(range.first().number()) << 32 | u64::from(word)).bits()
    }

    fn look(&self, arena: &KernelArena) -> Checked {
        for range in &self.pages {
            for word in 0..range.count().get() * 512 {
                equal("a word of the kernel's", load(arena, range.to_ptr().cast(), word), Self::value(*range, word))?;
            }
        }
        Ok(())
    }

    fn free(self, arena: &KernelArena) -> Checked {
        for range in self.pages {
            arena.free_pages(range.to_ptr(), range.count(), Owner::Kernel)?;
        }
        Ok(())
    }
}

/// Lets a program do its worst, `things` in all, and looks at everything after each round.
fn rampage(
    site: &Site<'_>,
    seed: u64,
    things: u64,
    mode: (ViewRights, FaultPolicy),
    meanwhile: bool,
) -> Result<History, Failure> {
    let arena = site.arena;
    let canaries = Canaries::new(arena)?;
    let mut witness = Faster::new(arena, seed);
    let before = arena.stats();
    with_view(site.machine, arena, mode, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let mut round = 0;
        while witness.history.total < things {
            // Some of a kernel's calls come where it cannot wait: what was freed then is busy for a while.
            let context = if round % 4 == 3 { Context::Any } else { Context::MayWait };
            let mut thread = process.thread(does::WORST, [seed.wrapping_add(round), BASE, IN_A_ROUND]);
            while matches!(served.run_in(context, &mut thread, &mut witness), Ended::Interrupted | Ended::Told(_)) {}
            round += 1;
            // The kernel is wild itself, now and then.
            if round % 4 == 0 {
                wild(arena, 16 + round * 7 % 128)?;
            }
            if round % 16 == 0 {
                arena.reclaim();
            }
            if round % 64 == 0 {
                free_all(arena)?;
            }
            if !meanwhile {
                arena.validate()?;
            }
            canaries.look(arena)?;
            while arena.take_violation().is_some() {}
        }
        let (stats, history) = (arena.stats(), &witness.history);
        equal("pages given", stats.pages_given - before.pages_given, history.faults[GIVEN])?;
        equal("accesses refused", stats.refused_accesses - before.refused_accesses, history.refused())?;
        let violations = stats.violations - before.violations;
        holds("every wrong free is a violation", violations >= history.wrong_frees())
    })?;
    if !meanwhile {
        equal("faults that say nothing of who was faster, or that say it of nobody", witness.astray, 0)?;
    }
    arena.reclaim();
    free_all(arena)?;
    canaries.look(arena)?;
    canaries.free(arena)?;
    Ok(witness.history)
}

/// A store of the kernel's to a page that is not its own, there or not.
fn wild(arena: &KernelArena, page: u64) -> Checked {
    let at = pointer(BASE + (page << 12))?;
    let state = arena.page_state(PageIndex::containing(at));
    if !matches!(state, Some(SlotState::Mapped(_, Owner::Kernel))) {
        store(arena, at, 0, 1);
    }
    Ok(())
}

fn free_all(arena: &KernelArena) -> Checked {
    for page in arena.layout().extent().pages() {
        let theirs = matches!(
            arena.page_state(page),
            Some(
                SlotState::Mapped(_, Owner::Program)
                    | SlotState::Reserved(Owner::Program)
                    | SlotState::ScratchOverReserved(Owner::Program)
            )
        );
        if theirs {
            let at = page.to_ptr().ok_or_else(|| Failure::new("page 0"))?;
            arena.free_pages(at, PageCount::ONE, Owner::Program)?;
        }
    }
    Ok(())
}

/// All outcomes but those that take two CPUs, each of which must come, and no other.
fn whatever_a_program_does_the_arena_stays_whole(site: &Site<'_>) -> Told {
    let things = site.of((20_000, 1_000_000));
    let mut history = rampage(site, 1, things, LAZY, false)?;
    for (seed, mode) in [(2, SEGV), (3, READ_ONLY)] {
        history.add(&rampage(site, seed, things / 20, mode, false)?);
    }
    let mut told = format!("{} calls", history.total);
    let expected: [(&str, &[usize]); 4] = [
        ("alloc", &[0, 2, 3, 4, 5, 6, 10]),
        ("free", &[0, 2, 3, 4, 8, 9]),
        ("reserve", &[0, 2, 3, 4, 5]),
        ("other", &[0, 1]),
    ];
    for ((name, codes), counts) in expected.iter().zip(&history.calls) {
        for (code, count) in counts.iter().enumerate() {
            let never_or_once = codes.contains(&code) == (*count > 0);
            holds(
                &format!("{name}: \"{}\" {count} times, which may be at least once, or never", CODES[code]),
                never_or_once,
            )?;
        }
        told += &format!("; {name}: {}", listed(&CODES, counts));
    }
    for (answer, count) in history.faults.iter().enumerate() {
        holds(
            &format!("an access was answered with \"{}\"", ANSWERS[answer]),
            NEVER.contains(&answer) == (*count == 0),
        )?;
    }
    Ok(format!("{told}; accesses: {}", listed(&ANSWERS, &history.faults)))
}

/// The names that were counted at all.
fn listed(names: &[&str], counts: &[u64]) -> String {
    let named = names.iter().zip(counts).filter(|(_, count)| **count > 0);
    named.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn one_seed_gives_one_history_and_two_give_two(site: &Site<'_>) -> Told {
    let digest = |seed| rampage(site, seed, 2000, LAZY, false).map(|history| (history.total, history.digest));
    let (first, again, other) = (digest(5)?, digest(5)?, digest(50_000)?);
    equal("the same seed", again, first)?;
    holds("another seed, another history", other != first)?;
    done()
}

/// On the other CPU the kernel reads and writes what the program reads, writes and frees, and reclaims.
fn a_hostile_program_races_the_kernel_in_vain(site: &Site<'_>) -> Told {
    if site.machine.cpu_count() < 2 {
        return Ok("one CPU: no race".into());
    }
    let (arena, over, looks) = (site.arena, AtomicBool::new(false), AtomicU64::new(0));
    let (there, holes) = (AtomicU64::new(0), AtomicU64::new(0));
    let trouble = Trouble::new();
    let things = site.of((1500, 50_000));
    let kernels = || -> Checked {
        let mut random = Random::new(77);
        let memory = arena.memory()?;
        while !over.load(Ordering::Acquire) {
            let at = pointer(u64::from(random.below(160)) << 12 | u64::from(random.below(512)) << 3 | 8)?;
            // What a program has left there is followed: as it is, or within the arena.
            let word = load(arena, at, 0);
            let next = if random.one_in(2) { word } else { word % (160 << 12) };
            if let Ok(next) = pointer(next) {
                match memory.try_load(next) {
                    Ok(_) => _ = there.fetch_add(1, Ordering::Relaxed),
                    Err(_) => _ = holes.fetch_add(1, Ordering::Relaxed),
                }
            }
            if random.one_in(1000) {
                arena.reclaim();
            }
            looks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    site.machine.run_on_all(|cpu| {
        let outcome = match cpu.number() {
            0 => {
                let outcome = rampage(site, 9, things, LAZY, true).map(drop);
                over.store(true, Ordering::Release);
                outcome
            }
            1 => kernels(),
            _ => Ok(()),
        };
        if let Err(failure) = outcome {
            trouble.note(failure);
        }
    });
    trouble.take()?;
    while arena.take_violation().is_some() {}
    let [looks, there, holes] = [looks, there, holes].map(AtomicU64::into_inner);
    holds("it followed pointers to pages, and to holes", there > 0 && holes > 0)?;
    Ok(format!("{looks} looks of the kernel's, {there} pointers followed, {holes} to holes"))
}

/// Each CPU has a hostile program, all of them in one arena, each in an address space of its own. They do the same things at the same
/// pages, so that each comes in the middle of what another does: calls find pages busy, and faults are tried again.
fn hostile_programs_race_each_other_in_vain(site: &Site<'_>) -> Told {
    let (arena, things, trouble) = (site.arena, site.of((1000, 20_000)), Trouble::new());
    let before = arena.stats();
    let (sum, missed) = (Mutex::new(History::default()), [const { AtomicBool::new(true) }; 3]);
    let canaries = Canaries::new(arena)?;
    let one = || -> Checked {
        with_view(site.machine, arena, LAZY, |process, view| {
            let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
            let (mut history, mut round) = (History::default(), 0);
            let goes_on = |history: &History| {
                let has_missed = site.machine.cpu_count() > 1 && missed.iter().any(|flag| flag.load(Ordering::Relaxed));
                history.total < things || has_missed && history.total < 100 * things
            };
            while goes_on(&history) && !trouble.is_there() {
                let mut thread = process.thread(does::WORST, [round, BASE, IN_A_ROUND]);
                while matches!(served.run_before(&mut thread, &mut history), Ended::Interrupted | Ended::Told(_)) {}
                round += 1;
                if round % 8 == 0 {
                    arena.reclaim();
                    canaries.look(arena)?;
                }
                for (flag, _) in missed.iter().zip(history.meetings()).filter(|(_, count)| *count > 0) {
                    flag.store(false, Ordering::Relaxed);
                }
            }
            sum.lock().add(&history);
            Ok(())
        })
    };
    site.machine.run_on_all(|cpu| {
        // As many as may be attached at once.
        if u32::from(cpu.number()) < u32::from(VIEWS)
            && let Err(failure) = one()
        {
            trouble.note(failure);
        }
    });
    trouble.take()?;
    let (stats, sum) = (arena.stats(), sum.into_inner());
    equal("pages given", stats.pages_given - before.pages_given, sum.faults[GIVEN])?;
    equal("accesses refused", stats.refused_accesses - before.refused_accesses, sum.refused())?;
    equal("violations, one for each wrong free", stats.violations - before.violations, sum.wrong_frees())?;
    let [allocs, reserves, again] = sum.meetings();
    let told = format!(
        "{} calls, of them {allocs} allocations and {reserves} reservations busy, {again} accesses tried again",
        sum.total
    );
    holds(&told, site.machine.cpu_count() < 2 || sum.meetings().iter().all(|count| *count > 0))?;
    canaries.look(arena)?;
    free_all(arena)?;
    canaries.free(arena)?;
    while arena.take_violation().is_some() {}
    Ok(told)
}
