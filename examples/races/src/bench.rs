//! Where races are run: arenas are made and unmade here, and nothing may stay behind.
//!
//! When a race is over and everything is freed, the books must balance: the arena validates, no page is claimed, queued or
//! marked; its violations are the faults that the kernel saw recovered, the frees that it saw refused and the holes that its bytecode
//! met, and each was drained or is counted as lost; the faults that were only retried are those that it calls spurious or lost; and
//! destroying the arena brings back every frame. All entries of the registry are free then, and all windows, and the kernel's heap has what it had, the arenas'
//! metadata included. Those checks belong to every race.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::platform::CpuCount;
use kernel_arena::{Arena, ArenaLayout, MetadataWord, PageCount, PageIndex};
use spin::Mutex;
use support::{ADDRESS_WIDTH, FrameStack, Machine, exceptions_taken, ticks};

use crate::HEAP;
use crate::check::{Checked, Failure, Trouble, equal, holds};
use crate::fault::{ARENAS, REGISTRY};
use crate::platform::RacePlatform;
use crate::play::{Effort, milliseconds};
use crate::races::Race;
use crate::site::{OtherArenas, Site};
use crate::tally::Tally;

/// The arena of this kernel.
pub(crate) type KernelArena = Arena<RacePlatform>;

/// Memory that is lent to an arena.
pub(crate) type Metadata = &'static mut [MaybeUninit<MetadataWord>];

/// How many windows there are.
const WINDOWS: usize = 8;

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

    /// Runs a race on an arena of its own, with this seed of what it leaves to chance; gives its verdict, and tells a line of figures.
    pub(crate) fn run(&self, race: &Race, seed: u32, tell: impl FnOnce(&str)) -> Checked {
        let (frames, bytes) = (self.frames().free_count(), self.heap_bytes());
        let (outcome, figures) = match self.with_arena(race, seed) {
            Ok(done) => done,
            Err(failure) => (Err(failure), String::from("none")),
        };
        tell(&figures);
        drop(figures);
        outcome?;
        equal("windows after the race", self.free_windows(), WINDOWS)?;
        equal("bytes of the kernel's heap after the race", self.heap_bytes(), bytes)?;
        equal("frames after the race", self.frames().free_count(), frames)
    }

    /// How much of the kernel's heap is taken, but for metadata that the next race is lent.
    fn heap_bytes(&self) -> usize {
        HEAP.used_bytes() - self.metadata.lock().as_deref().map_or(0, size_of_val)
    }

    /// How many windows are not lent.
    fn free_windows(&self) -> usize {
        let mut lent = Vec::with_capacity(WINDOWS);
        lent.extend(core::iter::from_fn(|| RacePlatform::lend(self.machine)));
        lent.len()
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
        let entries = equal("free entries of the registry", free_entries(&site.arena), ARENAS);
        let destroyed = site.arena.destroy().expect("no view is attached");
        *self.metadata.lock() = Some(destroyed.metadata);
        let outcome = told.map(drop).and(outcome).and(entries).and(equal("pages at the end", destroyed.pages, 0));
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

/// An arena that nobody uses any more goes, with its metadata.
pub(crate) fn unmake(arena: KernelArena) -> Checked {
    let destroyed = arena.destroy().map_err(|_| Failure::new("something still holds an arena"))?;
    // SAFETY: `metadata` leaked it, and the arena that had it is gone.
    drop(unsafe { Box::from_raw(destroyed.metadata) });
    equal("pages at the end", destroyed.pages, 0)
}

/// How many more arenas the registry takes.
fn free_entries(arena: &KernelArena) -> usize {
    let mut held = Vec::with_capacity(ARENAS);
    // SAFETY: the arena stays where it is until each registration is removed below; if one is not, the kernel panics.
    held.extend(core::iter::from_fn(|| unsafe { REGISTRY.register(arena) }.ok()));
    let free = held.len();
    for registration in held {
        REGISTRY.remove(registration).expect("no job runs");
    }
    free
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
    let provoked = tally.recovered + tally.invalid_frees + tally.holes;
    equal("recovered faults, invalid frees and holes, as violations", violations, provoked)?;
    equal("violations drained and lost", tally.drained + lost, violations)?;
    equal("spurious faults and lost installs", retried, tally.retried)?;
    let faults = tally.recovered + tally.retried + tally.resumed + tally.declined + tally.programs;
    equal(
        "faults recovered, retried, resumed and declined, and those of programs",
        faults,
        exceptions_taken() - before.exceptions,
    )
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
