//! Where races are run: arenas are made and unmade here, and nothing may stay behind.
//!
//! When a race is over and everything is freed, the books must balance: the arena validates, no page is claimed, queued or
//! marked; its violations are the faults that the kernel saw recovered and the frees that it saw refused, and each was drained or is
//! counted as lost; the faults that were only retried are those that it calls spurious or lost; and destroying the arena brings back every
//! frame. Those checks belong to every race.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::platform::CpuCount;
use kernel_arena::{Arena, ArenaLayout, MetadataWord, PageCount, PageIndex};
use spin::Mutex;
use support::{ADDRESS_WIDTH, FrameStack, Machine, exceptions_taken, ticks};

use crate::check::{Checked, Failure, Trouble, equal, holds};
use crate::fault::REGISTRY;
use crate::platform::RacePlatform;
use crate::play::{Effort, milliseconds};
use crate::races::Race;
use crate::site::{OtherArenas, Site};
use crate::tally::Tally;

/// The arena of this kernel.
pub(crate) type KernelArena = Arena<RacePlatform>;

/// Memory that is lent to an arena.
pub(crate) type Metadata = &'static mut [MaybeUninit<MetadataWord>];

/// The first page of every arena.
const FIRST_PAGE: u32 = 16;

/// What races are run with.
#[derive(Debug)]
pub(crate) struct Bench {
    machine: &'static Machine,
    effort: Effort,
    /// Metadata that came back.
    metadata: Mutex<Option<Metadata>>,
    /// Faults that have lost the race for a slot, in all races.
    lost_installs: AtomicU64,
}

/// Where the books stand.
#[derive(Clone, Copy)]
struct Mark {
    tally: Tally,
    exceptions: u64,
    ticks: u64,
}

impl Mark {
    fn now() -> Self {
        Self { tally: Tally::so_far(), exceptions: exceptions_taken(), ticks: ticks() }
    }
}

impl Bench {
    pub(crate) const fn new(machine: &'static Machine, effort: Effort) -> Self {
        Self { machine, effort, metadata: Mutex::new(None), lost_installs: AtomicU64::new(0) }
    }

    fn frames(&self) -> &'static FrameStack {
        self.machine.frames()
    }

    /// Runs a race on an arena of its own, with this seed of what it leaves to chance; gives its verdict, and a line of figures.
    pub(crate) fn run(&self, race: &Race, seed: u32) -> (Checked, String) {
        let frames = self.frames().free_count();
        let (outcome, figures) = match self.with_arena(race, seed) {
            Ok(done) => done,
            Err(failure) => (Err(failure), String::from("none")),
        };
        let left = equal("frames after the race", self.frames().free_count(), frames);
        (outcome.and(left), figures)
    }

    /// Whether CPUs have met at all, so that something was tried: then somebody was slower.
    pub(crate) fn have_cpus_met(&self) -> Checked {
        holds("some fault has lost the race for a slot", self.lost_installs.load(Ordering::Relaxed) > 0)
    }

    fn with_arena(&self, race: &Race, seed: u32) -> Result<(Checked, String), Failure> {
        let arena = self.create(race.pages)?;
        let site = Site {
            machine: self.machine,
            arena,
            cpus: self.machine.cpu_count(),
            effort: self.effort,
            seed,
            trouble: Trouble::new(),
            other: OtherArenas::default(),
        };
        // SAFETY: the site, and the arena in it, stays where it is until `remove` below has returned `Ok`; if it does not,
        // the kernel's last verdict is a panic, and the stack it lies on is not used again.
        let registration = unsafe { REGISTRY.register(&site.arena) }?;
        self.machine.run_on_all(|_| {
            if let Err(unsupported) = site.arena.check_cpu() {
                site.trouble.note(Failure::new(format!("{unsupported}")));
            }
        });
        let before = Mark::now();
        let told = site.trouble.take().and_then(|()| (race.body)(&site));
        let outcome = told.as_ref().map_or(Ok(()), |_| settle(&site, before));
        let figures = figures(&site, before, told.as_deref().unwrap_or("it ended early"));
        let lost = sum(site.arena.stats().lost_installs, &site.other.lost_installs);
        self.lost_installs.fetch_add(lost, Ordering::Relaxed);
        REGISTRY.remove(registration).expect("no fault is in flight: no job runs, and the arena is used by jobs alone");
        let destroyed = site.arena.destroy().expect("no view is attached");
        *self.metadata.lock() = Some(destroyed.metadata);
        let outcome = told.map(drop).and(outcome).and(equal("pages at the end", destroyed.pages, 0));
        Ok((outcome, figures))
    }

    /// An arena with so many pages, for all CPUs.
    fn create(&self, pages: u32) -> Result<KernelArena, Failure> {
        let platform = RacePlatform::lend(self.machine).ok_or_else(|| Failure::new("all windows are lent"))?;
        let layout = layout(self.machine, &platform, pages)?;
        let lent = self.metadata.lock().take().filter(|metadata| metadata.len() >= layout.metadata_words());
        Ok(Arena::new(platform, layout, lent.unwrap_or_else(|| metadata(&layout)))?)
    }
}

/// The layout of an arena with so many pages, in the platform's window, for all CPUs.
pub(crate) fn layout(machine: &Machine, platform: &RacePlatform, pages: u32) -> Result<ArenaLayout, Failure> {
    let first = PageIndex::new(FIRST_PAGE).ok_or_else(|| Failure::new("no such page"))?;
    let pages = PageCount::new(pages).ok_or_else(|| Failure::new("no such count"))?;
    let cpus = CpuCount::new(machine.cpu_count()).ok_or_else(|| Failure::new("no such count of CPUs"))?;
    Ok(ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, first, pages)?.with_cpus(cpus))
}

/// New metadata for an arena.
pub(crate) fn metadata(layout: &ArenaLayout) -> Metadata {
    Box::leak(Box::new_uninit_slice(layout.metadata_words()))
}

/// Reclaims and drains what is left, and balances the books.
fn settle(site: &Site, before: Mark) -> Checked {
    site.reclaim();
    site.drain();
    site.arena.validate()?;
    let (stats, other) = (site.arena.stats(), &site.other);
    let rest = [stats.claimed_pages, stats.deferred_pages, stats.tainted_pages, stats.tainted_regions];
    equal("pages claimed, queued, marked, and regions marked at the end", rest, [0; 4])?;

    let tally = Tally::so_far().since(before.tally);
    let violations = sum(stats.violations, &other.violations);
    let lost = sum(stats.violations_lost, &other.violations_lost);
    let retried = sum(stats.spurious_faults, &other.spurious_faults) + sum(stats.lost_installs, &other.lost_installs);
    equal("recovered faults and invalid frees, as violations", violations, tally.recovered + tally.invalid_frees)?;
    equal("violations drained and lost", tally.drained + lost, violations)?;
    equal("spurious faults and lost installs", retried, tally.retried)?;
    let faults = tally.recovered + tally.retried + tally.declined;
    equal("faults recovered, retried and declined", faults, exceptions_taken() - before.exceptions)
}

/// A figure of the race's arena and of those that are gone.
fn sum(figure: u64, gone: &AtomicU64) -> u64 {
    figure + gone.load(Ordering::Relaxed)
}

/// The figures of a race.
fn figures(site: &Site, before: Mark, told: &str) -> String {
    let (stats, other) = (site.arena.stats(), &site.other);
    format!(
        "{} faults, {} installs lost, {} retries, {} shootdowns, {} operations, {} ms; {told}",
        exceptions_taken() - before.exceptions,
        sum(stats.lost_installs, &other.lost_installs),
        sum(stats.spurious_faults, &other.spurious_faults),
        sum(stats.shootdowns, &other.shootdowns),
        Tally::so_far().since(before.tally).operations,
        milliseconds(ticks().wrapping_sub(before.ticks)),
    )
}
