//! Pages change hands all the time, and nobody notices anything of another (N3, N4).
//!
//! Each CPU allocates runs of pages, writes a canary into each page that names the page, looks at its canaries again and again, and
//! frees; pages are few, so that another CPU has them soon. At the same time every CPU reads and writes pages that are
//! not its own. Such a wild write names the page that it was meant for: one that arrives in a page of another number went
//! through a translation that should have been gone. A canary that is read names the page it is read in, or there is none.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{AllocError, AllocRequest, Context, FreeError, Owner};
use support::{Random, switch_context};

use super::{Told, races};
use crate::check::{Checked, Failure, holds};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{Site, page, pages};

races! {
    free_against_access_against_reallocation_keeps_every_canary in 48 pages,
    deferred_frees_spare_the_new_owners_of_the_pages in 48 pages,
}

/// Where in a page its owner's canaries are.
pub(super) const CANARIES: [u64; 2] = [8, 4088];
/// Where CPUs write that do not own it, each to a word of its own.
pub(super) const WILD: u64 = 2048;
/// The most pages of one allocation.
const MOST_PAGES: u32 = 4;
/// The most allocations that a CPU keeps.
const MOST_RUNS: usize = 6;

/// What a CPU does in a round: so many things.
const STEPS: (u32, u32) = (150, 1500);

/// Pages that a CPU owns, or has owned.
#[derive(Clone, Copy)]
struct Run {
    first: u32,
    count: u32,
    serial: u64,
}

impl Run {
    fn numbers(self) -> core::ops::Range<u32> {
        self.first..self.first + self.count
    }
}

/// How pages are given back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    AtOnce,
    Deferred,
    /// Now so, now so.
    Either,
}

/// What has happened.
#[derive(Default)]
pub(super) struct Tale {
    allocated: AtomicU64,
    no_room: AtomicU64,
    refused_again: AtomicU64,
}

/// One CPU's part.
pub(super) struct Part<'a, 'b> {
    pub(super) player: &'a mut Player<'b>,
    tale: &'a Tale,
    way: Way,
    owner: Owner,
    held: Vec<Run>,
    /// What was freed last.
    gone: Option<Run>,
    serial: u64,
}

fn free_against_access_against_reallocation_keeps_every_canary(site: &Site) -> Told {
    churn(site, Way::AtOnce, (3, 8))
}

fn deferred_frees_spare_the_new_owners_of_the_pages(site: &Site) -> Told {
    churn(site, Way::Deferred, (5, 25))
}

fn churn(site: &Site, way: Way, rounds: (u32, u32)) -> Told {
    let tale = Tale::default();
    let part = |player: &mut Player<'_>| Part::new(player, &tale, way).play();
    let end = |_: &mut Player<'_>| {
        site.reclaim();
        site.drain();
        site.arena.validate()?;
        Ok(())
    };
    let rounds = site.play(rounds, &|| true, &[All(&part), One(&end)])?;
    let [allocated, no_room, refused] = [tale.allocated, tale.no_room, tale.refused_again].map(AtomicU64::into_inner);
    Ok(format!(
        "{rounds} rounds, {allocated} runs of pages, {no_room} times no room, {refused} frees of what was gone refused"
    ))
}

/// What a canary says: which page, whose, and which of his.
pub(super) fn canary(number: u32, cpu: u32, serial: u64) -> u64 {
    1 << 63 | serial << 32 | u64::from(cpu) << 24 | u64::from(number)
}

/// The page that a canary, or a wild write, names.
pub(super) fn named(word: u64) -> u64 {
    word & 0xff_ffff
}

/// Any page of the extent.
pub(super) fn any_page(site: &Site, random: &mut Random) -> u32 {
    site.first() + random.below(site.arena.layout().extent().count().get())
}

impl<'a, 'b> Part<'a, 'b> {
    pub(super) fn new(player: &'a mut Player<'b>, tale: &'a Tale, way: Way) -> Self {
        // Owners differ as far as there are enough, so that one's late free is not another's.
        let owner = [Owner::Kernel, Owner::Program, Owner::Allocator][player.number as usize % 3];
        Self { player, tale, way, owner, held: Vec::with_capacity(MOST_RUNS), gone: None, serial: 0 }
    }

    fn play(mut self) -> Checked {
        for _ in 0..self.site().of(STEPS) {
            if self.player.random.one_in(16) {
                self.free_again()?;
            } else {
                self.step()?;
            }
        }
        self.end()
    }

    /// One thing that is right whatever else is done to the arena, as long as words of its pages that are not zero name them.
    pub(super) fn step(&mut self) -> Checked {
        match self.player.random.below(15) {
            0..=3 => self.allocate()?,
            4..=6 => self.give_back()?,
            7..=8 => self.look_at_all()?,
            9..=11 => self.read_wildly()?,
            12..=13 => self.write_wildly()?,
            _ => self.tidy(),
        }
        Ok(())
    }

    /// Gives all back.
    pub(super) fn end(&mut self) -> Checked {
        while !self.held.is_empty() {
            self.give_back()?;
        }
        Ok(())
    }

    fn site(&self) -> &'b Site {
        self.player.site
    }

    fn tidy(&mut self) {
        if self.player.random.one_in(4) {
            switch_context();
        }
        if self.way != Way::AtOnce || self.player.random.one_in(8) {
            self.site().reclaim();
        }
    }

    fn allocate(&mut self) -> Checked {
        if self.held.len() == MOST_RUNS {
            return Ok(());
        }
        let count = 1 + self.player.random.below(MOST_PAGES);
        let context = if self.player.random.one_in(4) { Context::Any } else { Context::MayWait };
        let got = match self.site().alloc(AllocRequest::new(pages(count), self.owner).in_context(context)) {
            Ok(got) => got,
            Err(AllocError::NoSpace(_) | AllocError::Busy(_)) => {
                self.tale.no_room.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.tale.allocated.fetch_add(1, Ordering::Relaxed);
        self.serial += 1;
        let run = Run { first: got.first().number(), count, serial: self.serial };
        self.gone = self.gone.filter(|gone| gone.numbers().end <= run.first || run.numbers().end <= gone.first);
        for number in run.numbers() {
            for place in CANARIES.into_iter().chain([0, 1024]) {
                self.site().reads(page(number) + place, 0)?;
            }
            for place in CANARIES {
                self.site().writes(page(number) + place, canary(number, self.player.number, run.serial))?;
            }
        }
        self.held.push(run);
        Ok(())
    }

    /// The run's canaries are there, and no write that was meant for another page.
    fn look_at(&self, run: Run) -> Checked {
        for number in run.numbers() {
            for place in CANARIES {
                self.site().reads(page(number) + place, canary(number, self.player.number, run.serial))?;
            }
            for cpu in 0..self.site().cpus {
                let place = page(number) + WILD + 8 * u64::from(cpu);
                let word = self.site().read(place).ok_or_else(|| Failure::new("a read was given up"))?;
                if word != 0 && named(word) != u64::from(number) {
                    let why = format!("CPU {cpu} wrote {word:#x} to page {} and it is in page {number}", named(word));
                    return Err(Failure::new(why));
                }
            }
        }
        Ok(())
    }

    fn look_at_all(&self) -> Checked {
        self.held.iter().try_for_each(|run| self.look_at(*run))
    }

    fn give_back(&mut self) -> Checked {
        let Some(last) = u32::try_from(self.held.len()).ok().filter(|held| *held > 0) else { return Ok(()) };
        let run = self.held.swap_remove(self.player.random.below(last) as usize);
        self.look_at(run)?;
        match self.way {
            Way::Either if self.player.random.one_in(2) => self.site().free(run.first, run.count, self.owner)?,
            Way::AtOnce => self.site().free(run.first, run.count, self.owner)?,
            Way::Deferred | Way::Either => self.site().defer(run.first, run.count, self.owner)?,
        }
        self.gone = Some(run);
        Ok(())
    }

    /// Frees once more what this CPU has freed: that must be refused, whoever has the pages now. Only an owner that no other CPU
    /// is can tell his own late free from another's free.
    fn free_again(&mut self) -> Checked {
        let shared = (0..self.site().cpus).any(|cpu| cpu != self.player.number && cpu % 3 == self.player.number % 3);
        let Some(run) = self.gone.filter(|_| !shared) else { return Ok(()) };
        let answer = match self.player.random.one_in(2) {
            true => self.site().free(run.first, run.count, self.owner),
            false => self.site().defer(run.first, run.count, self.owner),
        };
        self.tale.refused_again.fetch_add(1, Ordering::Relaxed);
        let is_right = matches!(answer, Err(FreeError::NotAllocated { .. } | FreeError::NotOwner { .. }));
        holds(&format!("a free of pages that are another's is refused: {answer:?}"), is_right)
    }

    fn read_wildly(&mut self) -> Checked {
        let number = any_page(self.site(), &mut self.player.random);
        for place in CANARIES {
            let word = self.site().read(page(number) + place).ok_or_else(|| Failure::new("a read was given up"))?;
            if word != 0 && named(word) != u64::from(number) {
                let why = format!("the canary {word:#x} of page {} is read in page {number}", named(word));
                return Err(Failure::new(why));
            }
        }
        Ok(())
    }

    fn write_wildly(&mut self) -> Checked {
        let number = any_page(self.site(), &mut self.player.random);
        let word = canary(number, self.player.number, 0);
        self.site().writes(page(number) + WILD + 8 * u64::from(self.player.number), word)
    }
}
