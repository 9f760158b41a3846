//! The hostile program: whatever it does, the arena stays whole, and what is the kernel's stays as it is.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, ViewRights};
use kernel_arena::{AllocRequest, Owner, PageCount, PageIndex, PageRange, SlotState};
use support::Random;
use support::check::{Checked, Failure, Trouble, equal, holds};

use super::{checks, done};
use crate::bench::{KernelArena, Site, Told, VIEWS};
use crate::memory::{load, pointer, store};
use guests::abi::{ALLOC, FREE, REFUSED, RESERVE, does};
use process::{BASE, with_view};
use process::{CODES, Ended, Served, Witness};

checks! {
    whatever_a_program_does_the_arena_stays_whole,
    one_seed_gives_one_history_and_two_give_two,
    a_hostile_program_races_the_kernel_in_vain,
    hostile_programs_race_each_other_in_vain,
}

const LAZY: (ViewRights, FaultPolicy) = (ViewRights::ReadWrite, FaultPolicy::Lazy);
/// Calls of a program between two looks at everything.
const IN_A_ROUND: u64 = 500;

/// What was called, by outcome; and a digest of all of it, in order.
#[derive(Debug, Default)]
struct History {
    /// For allocations, frees, reservations and other calls: how many ended so.
    calls: [[u64; CODES.len()]; 4],
    /// Accesses: given, tried again, refused (scratched, outside, reserved, kernel's page), nobody's.
    faults: [u64; 7],
    total: u64,
    digest: u64,
}

impl History {
    fn note(&mut self, values: &[u64]) {
        for value in values {
            // FNV-1a, by words.
            self.digest = (self.digest ^ value).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Witness for History {
    fn called(&mut self, number: u64, arguments: [u64; 4], answer: u64) {
        let kind = match number {
            ALLOC => 0,
            FREE => 1,
            RESERVE => 2,
            _ => 3,
        };
        let code = if answer & REFUSED == 0 { 0 } else { usize::try_from(answer & 0xff).unwrap_or(0) };
        self.calls[kind][code.min(CODES.len() - 1)] += 1;
        self.total += 1;
        self.note(&[number, arguments[0], arguments[1], answer]);
    }

    fn faulted(&mut self, address: u64, outcome: ProgramFaultOutcome) {
        let index = match outcome {
            ProgramFaultOutcome::PageGiven => 0,
            ProgramFaultOutcome::Retry => 1,
            ProgramFaultOutcome::Refused(Refusal::Scratched) => 2,
            ProgramFaultOutcome::Refused(Refusal::OutsideExtent) => 3,
            ProgramFaultOutcome::Refused(Refusal::Reserved) => 4,
            ProgramFaultOutcome::Refused(Refusal::KernelPage) => 5,
            _ => 6,
        };
        self.faults[index] += 1;
        self.note(&[address, index as u64]);
    }
}

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
fn rampage(site: &Site<'_>, seed: u64, things: u64, meanwhile: bool) -> Result<History, Failure> {
    let arena = site.arena;
    let canaries = Canaries::new(arena)?;
    let mut history = History::default();
    let (mut frees, mut given, mut refused) = (0, 0, 0);
    let before = arena.stats();
    with_view(site.machine, arena, LAZY, |process, view| {
        let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
        let (mut round, mut done_so_far) = (0, 0);
        while done_so_far < things {
            let mut thread = process.thread(does::WORST, [seed.wrapping_add(round), BASE, IN_A_ROUND]);
            while matches!(served.run_before(&mut thread, &mut history), Ended::Interrupted | Ended::Told(_)) {}
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
            done_so_far = history.total;
            if !meanwhile {
                arena.validate()?;
            }
            canaries.look(arena)?;
            while arena.take_violation().is_some() {}
        }
        let stats = arena.stats();
        frees = history.calls[1][1..].iter().sum();
        given = stats.pages_given - before.pages_given;
        refused = stats.refused_accesses - before.refused_accesses;
        equal("pages given", given, history.faults[0])?;
        equal("accesses refused", refused, history.faults[2..6].iter().sum())?;
        let violations = stats.violations - before.violations;
        holds("every wrong free is a violation", violations >= frees)
    })?;
    free_all(arena)?;
    canaries.look(arena)?;
    canaries.free(arena)?;
    Ok(history)
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

fn whatever_a_program_does_the_arena_stays_whole(site: &Site<'_>) -> Told {
    let history = rampage(site, 1, site.of((20_000, 1_000_000)), false)?;
    let mut told = format!("{} calls", history.total);
    let expected: [(&str, &[usize]); 4] = [
        ("alloc", &[0, 2, 3, 4, 5, 6]),
        ("free", &[0, 2, 3, 4, 8, 9]),
        ("reserve", &[0, 2, 3, 4, 5]),
        ("other", &[0, 1]),
    ];
    for ((name, codes), counts) in expected.iter().zip(&history.calls) {
        for &code in *codes {
            holds(&format!("{name} ended with \"{}\" at least once", CODES[code]), counts[code] > 0)?;
        }
        let of_code = |(code, count): (usize, &u64)| format!("{} {count}", CODES[code]);
        let list: Vec<String> = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(of_code).collect();
        told += &format!("; {name}: {}", list.join(", "));
    }
    for (name, count) in ["given", "", "scratched", "outside", "reserved", "the kernel's"].iter().zip(history.faults) {
        if !name.is_empty() {
            holds(&format!("an access was answered with \"{name}\""), count > 0)?;
            told += &format!("; access {name} {count}");
        }
    }
    Ok(told)
}

fn one_seed_gives_one_history_and_two_give_two(site: &Site<'_>) -> Told {
    let digest = |seed| rampage(site, seed, 2000, false).map(|history| (history.total, history.digest));
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
                let outcome = rampage(site, 9, things, true).map(drop);
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

/// Each CPU has a hostile program, all of them in one arena, each in an address space of its own.
fn hostile_programs_race_each_other_in_vain(site: &Site<'_>) -> Told {
    let (arena, things, trouble) = (site.arena, site.of((1000, 20_000)), Trouble::new());
    let before = arena.stats();
    let [frees, given, refused, total] = [const { AtomicU64::new(0) }; 4];
    let canaries = Canaries::new(arena)?;
    let one = |cpu: u64| -> Checked {
        with_view(site.machine, arena, LAZY, |process, view| {
            let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
            let (mut history, mut round) = (History::default(), 0);
            while history.total < things && !trouble.is_there() {
                let mut thread = process.thread(does::WORST, [cpu << 32 | round, BASE, IN_A_ROUND]);
                while matches!(served.run_before(&mut thread, &mut history), Ended::Interrupted | Ended::Told(_)) {}
                round += 1;
                if round % 8 == 0 {
                    arena.reclaim();
                    canaries.look(arena)?;
                }
            }
            frees.fetch_add(history.calls[1][1..].iter().sum(), Ordering::Relaxed);
            given.fetch_add(history.faults[0], Ordering::Relaxed);
            refused.fetch_add(history.faults[2..6].iter().sum(), Ordering::Relaxed);
            total.fetch_add(history.total, Ordering::Relaxed);
            Ok(())
        })
    };
    site.machine.run_on_all(|cpu| {
        // As many as may be attached at once.
        if u32::from(cpu.number()) < u32::from(VIEWS)
            && let Err(failure) = one(cpu.number().into())
        {
            trouble.note(failure);
        }
    });
    trouble.take()?;
    let [frees, given, refused, total] = [frees, given, refused, total].map(AtomicU64::into_inner);
    let stats = arena.stats();
    equal("pages given", stats.pages_given - before.pages_given, given)?;
    equal("accesses refused", stats.refused_accesses - before.refused_accesses, refused)?;
    equal("violations, one for each wrong free", stats.violations - before.violations, frees)?;
    canaries.look(arena)?;
    free_all(arena)?;
    canaries.free(arena)?;
    while arena.take_violation().is_some() {}
    Ok(format!("{total} calls"))
}
