//! Runs of pages that a (CPU, level) was given back and keeps for the next request of that length.
//!
//! They stand beside the magazines in the rack, and the same holds for them: whoever holds the place is alone with them
//! (O4), so a run goes in or out by plain loads and stores. Each place for one is a word, 0 or a run, and each step changes
//! one word, once: whenever others look (statistics, a child that was forked in between) a run is in one place or in none.
//!
//! What a rack keeps is bounded, in runs and in pages. The bound falls as racks get more: with one of `n` racks it is
//! 1/[`FRACTION`] of the extent by `n`, so that all of them, filled while they got more, keep at most a tenth of the extent;
//! racks that came first, and are few, at most [`MOST_PAGES`] each. What is too much goes back to the source, as does
//! everything when the allocator is drained or finds no pages.

use super::Slab;
use super::magazine::Rack;
use crate::addr::{PAGE_BYTES, PageCount, PageRange};
use crate::misuse::Misuse;
use crate::platform::{CpuIdentity, Held};
use crate::source::{MetadataSource, PageSource};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Runs that a rack keeps.
const RUNS: usize = if cfg!(kernel_arena_loom) { 1 } else { 4 };
/// Pages that a rack keeps, at most: 2 MiB.
const MOST_PAGES: u32 = 512;
/// Pages of a run that is kept, at most: 1 MiB.
const LONGEST: u32 = MOST_PAGES / 2;
/// All racks together keep so small a part of the extent, where none was filled before there were all.
const FRACTION: u32 = if cfg!(kernel_arena_loom) { 1 } else { 64 };

/// The runs of a rack.
#[derive(Debug)]
pub(super) struct RunCache {
    runs: [AtomicU64; RUNS],
    /// Which is the next to go where there is no room.
    turn: AtomicU32,
}

/// Why a run is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// There is no room for it.
    Full,
    /// Some of its pages are kept already, or not so many are out: somebody gave it back before.
    NotLive,
}

/// How many pages a rack may keep at this moment.
#[derive(Clone, Copy)]
struct Bound {
    /// The part of the extent that is for all racks.
    all: u32,
    racks: u32,
}

impl Bound {
    #[inline]
    fn fits(self, pages: u32) -> bool {
        pages <= MOST_PAGES && pages * self.racks <= self.all
    }
}

fn word(run: PageRange) -> u64 {
    u64::from(run.first().number()) << 32 | u64::from(run.count().get())
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
fn parse(word: u64) -> Option<PageRange> {
    (word != 0).then(|| PageRange::of((word >> 32) as u32, word as u32))
}

fn overlap(one: PageRange, other: PageRange) -> bool {
    let (one, other) = (one.numbers(), other.numbers());
    one.start < other.end && other.start < one.end
}

impl RunCache {
    /// None is kept.
    #[cfg(kernel_arena_loom)]
    pub(super) fn blank() -> Self {
        Self { runs: core::array::from_fn(|_| AtomicU64::new(0)), turn: AtomicU32::new(0) }
    }

    /// The runs that are kept. Relaxed, as all here: whoever holds the place is alone, and others look for figures.
    fn kept(&self) -> impl Iterator<Item = PageRange> {
        self.runs.iter().filter_map(|place| parse(place.load(Ordering::Relaxed)))
    }

    /// How many pages are kept.
    pub(super) fn pages(&self) -> u32 {
        self.kept().map(|run| run.count().get()).sum()
    }

    /// Takes one out of which this is true. Only whoever holds the place, or was lent it.
    #[inline]
    fn take(&self, wanted: impl Fn(PageRange) -> bool) -> Option<PageRange> {
        self.runs.iter().find_map(|place| {
            let run = parse(place.load(Ordering::Relaxed)).filter(|run| wanted(*run))?;
            place.store(0, Ordering::Relaxed);
            Some(run)
        })
    }

    /// Keeps one, if there is room. `out` pages were taken from the source, with what is kept here. As for
    /// [`take`](Self::take).
    #[inline]
    fn keep(&self, run: PageRange, out: u64, bound: Bound) -> Result<(), Refused> {
        let (mut pages, mut room) = (run.count().get(), None);
        for place in &self.runs {
            match parse(place.load(Ordering::Relaxed)) {
                Some(other) if overlap(other, run) => return Err(Refused::NotLive),
                Some(other) => pages += other.count().get(),
                None => room = room.or(Some(place)),
            }
        }
        if u64::from(pages) > out {
            return Err(Refused::NotLive);
        }
        let place = room.filter(|_| bound.fits(pages)).ok_or(Refused::Full)?;
        place.store(word(run), Ordering::Relaxed);
        Ok(())
    }

    /// Takes one out to make room: in turns, so that none that nobody asks for stays. As for [`take`](Self::take).
    fn take_in_turn(&self) -> Option<PageRange> {
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        let (before, from) = self.runs.split_at((turn as usize).checked_rem(RUNS).unwrap_or(0));
        from.iter().chain(before).find_map(|place| {
            let run = parse(place.load(Ordering::Relaxed))?;
            place.store(0, Ordering::Relaxed);
            Some(run)
        })
    }
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// A run of exactly so many pages that was given back where this runs, its first address a multiple of `align` bytes, a power
    /// of two: of any content, and counted already. None in debug mode, in which nothing is kept.
    #[inline]
    pub(crate) fn take_kept_run(&self, count: PageCount, align: usize) -> Option<PageRange> {
        let is_aligned =
            |run: PageRange| align <= PAGE_BYTES || self.address_of(run.to_ptr().offset()).addr() & (align - 1) == 0;
        let held = Held::new(self.source.cpus());
        // The dummy keeps none.
        self.rack_or_dummy(&held).runs.take(|run| run.count() == count && is_aligned(run))
    }

    /// Keeps a run that the caller has for whoever wants one as long where this runs, or gives it back to the source.
    #[inline]
    pub(super) fn keep_run(&self, run: PageRange) {
        if run.count().get() > LONGEST {
            self.give_run(run);
        } else if let Err(why) = self.keep_at_hand(run) {
            self.make_room_for(run, why);
        }
    }

    #[inline]
    fn keep_at_hand(&self, run: PageRange) -> Result<(), Refused> {
        let bound = self.bound();
        let held = Held::new(self.source.cpus());
        let rack = self.rack_or_dummy(&held);
        if self.racks.is_dummy(rack) { Err(Refused::Full) } else { self.keep_at(rack, run, bound) }
    }

    #[inline]
    fn bound(&self) -> Bound {
        Bound { all: self.source.extent().count().get() / FRACTION, racks: self.tables().racks.made() }
    }

    /// Keeps a run in the rack of the place that is held.
    #[inline]
    fn keep_at(&self, rack: &Rack, run: PageRange, bound: Bound) -> Result<(), Refused> {
        // Counted at that moment: what was kept here meanwhile by whoever came between is among them.
        rack.runs.keep(run, self.tables().totals.0.run_pages(), bound)
    }

    /// Keeps a run, perhaps instead of others, or gives it back.
    #[cold]
    #[inline(never)]
    fn make_room_for(&self, run: PageRange, why: Refused) {
        if why == Refused::NotLive {
            self.misuse(run.to_ptr().offset(), Misuse::NotLive);
            return;
        }
        let bound = self.bound();
        // For one that does not fit, others stay.
        if bound.fits(run.count().get()) {
            // Each round makes room or is the last; others may come between.
            for _ in 0..=RUNS {
                let kept = self.on_own_rack(|rack| match self.keep_at(rack, run, bound) {
                    Err(Refused::Full) => Err((Refused::Full, rack.runs.take_in_turn())),
                    Err(why) => Err((why, None)),
                    Ok(()) => Ok(()),
                });
                match kept {
                    Some(Ok(())) => return,
                    Some(Err((Refused::Full, Some(other)))) => self.give_run(other),
                    Some(Err((Refused::NotLive, _))) => {
                        self.misuse(run.to_ptr().offset(), Misuse::NotLive);
                        return;
                    }
                    Some(Err((Refused::Full, None))) | None => break,
                }
            }
        }
        self.give_run(run);
    }

    /// Gives the runs that are kept where this runs, and by CPUs that nobody is now, back to the source; says how many.
    pub(super) fn give_kept_runs(&self) -> u32 {
        let mut given = 0;
        // As many as there are places: whoever is preempted here, and followed by others, stays no longer.
        let taken = core::iter::from_fn(|| self.on_rack(|rack| rack.runs.take(|_| true)).flatten());
        taken.take(RUNS).for_each(|run| {
            self.give_run(run);
            given += 1;
        });
        self.source.cpus().lend_idle(&mut |cpu| {
            for rack in self.racks_of(cpu) {
                given += self.give_runs_of(rack);
            }
        });
        given
    }

    /// The same of a rack that is the caller's.
    pub(super) fn give_runs_of(&self, rack: &Rack) -> u32 {
        let runs = core::iter::from_fn(|| rack.runs.take(|_| true));
        runs.fold(0, |given, run| {
            self.give_run(run);
            given + 1
        })
    }

    /// Pages of runs that are kept in all racks.
    pub(super) fn kept_run_pages(&self) -> u64 {
        self.racks.iter().map(|rack| u64::from(rack.runs.pages())).sum()
    }
}
