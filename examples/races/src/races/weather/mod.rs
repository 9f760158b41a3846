//! Heavy weather: all CPUs do anything at all at once, faults and a timer's handler come in between, and when it is over every
//! account is exact.
//!
//! There are five arenas: that of the race, whose pages change hands while all CPUs access them wildly, and bytecode does ([`bytecode`]);
//! one for a pool, reservations
//! and a group whose programs are called while it comes and goes; one of a view that does so; one that hostile programs see in user
//! mode ([`users`]); and a private one under a heap. Others come and go, in the registry too ([`visitors`]). On
//! each CPU a timer's handler takes and frees pages and blocks in any context, and faults ([`guest`]).
//!
//! Then all is taken down. What the arenas, the heap, the pool, the programs and the handlers had must be back, to the last frame of
//! pages, tables and bookkeeping; and each violation was provoked, by an access, a free or a hole. A soak plays this again and again, with another seed each time: on each CPU the same seed makes the same
//! choices, and who gets there first is left to the machine.

use alloc::boxed::Box;
use alloc::format;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::groups::{DisableError, Group};
use kernel_arena::heap::Heap;
use kernel_arena::pool::Pool;
use kernel_arena::slab::Mode;
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::views::{ViewId, ViewRights};
use kernel_arena::{Arena, ArenaLayout};
use spin::Mutex;
use support::{interruptible, milliseconds, set_interrupt_handler, ticks};

use super::churn::Tale;
use super::groups::{Program, Programs};
use super::views::{Shown, Sums};
use super::{Told, races};
use crate::bench::{KernelArena, layout, metadata, unmake};
use crate::check::{Checked, Failure, equal};
use crate::fault::REGISTRY;
use crate::platform::RacePlatform;
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{Site, violation_of};
use guest::Guest;
use part::Part;
use users::Users;
use visitors::Visitors;

mod blocks;
mod bytecode;
mod guest;
mod part;
mod users;
mod visitors;

races! {
    heavy_weather_leaves_every_account_exact in 64 pages,
}

/// How long it lasts, in milliseconds.
const LASTS_MS: (u32, u32) = (1000, 3000);
/// Pages of the arena that all sorts of things share, of that of programs in user mode, and of the heap's.
const PAGES: (u32, u32, u32) = (192, 128, 4096);
/// How many violations of the group's programs are let pass.
const BUDGET: u64 = 20;

type Pages<'a> = ArenaPages<'a, RacePlatform>;
type Books<'a> = FrameMetadata<'a, RacePlatform>;

/// What was done, on all CPUs.
#[derive(Default)]
struct Deeds {
    ticks: AtomicU64,
    blocks: AtomicU64,
    refusals: AtomicU64,
    reservations: AtomicU64,
    views: AtomicU64,
    groups: AtomicU64,
    calls: AtomicU64,
    bytecode: AtomicU64,
    holes: AtomicU64,
    guarded: AtomicU64,
}

impl Deeds {
    fn add(deed: &AtomicU64) {
        deed.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ticks, blocks, refusals, reservations, views, groups, calls, bytecode, holes, guarded } = self;
        let deeds = [ticks, blocks, refusals, reservations, views, groups, calls, bytecode, holes, guarded];
        let [ticks, blocks, refusals, reservations, views, groups, calls, bytecode, holes, guarded] =
            deeds.map(|deed| deed.load(Ordering::Relaxed));
        write!(
            f,
            "{ticks} ticks, {blocks} blocks, {reservations} reservations, {views} views, {groups} groups with {calls} calls, \
             {refusals} refusals, {bytecode} runs of bytecode with {holes} holes, {guarded} pages among programs'"
        )
    }
}

/// What all CPUs have.
struct Weather<'a> {
    site: &'a Site,
    common: &'a KernelArena,
    pool: Pool<Pages<'a>, Books<'a>>,
    heap: Heap<Pages<'a>, Books<'a>>,
    group: Programs<'a>,
    /// Whether the group is enabled, for whoever changes that.
    is_enabled: Mutex<bool>,
    shown: &'a Shown,
    rights: ViewRights,
    id: Mutex<Option<ViewId>>,
    /// For whoever attaches the view, or detaches it.
    turn: Mutex<()>,
    sums: Sums,
    users: Users<'a>,
    visitors: Visitors,
    deeds: Deeds,
}

fn heavy_weather_leaves_every_account_exact(site: &Site) -> Told {
    set_interrupt_handler(guest::ticked);
    let views = u8::try_from(site.cpus).map_err(|_| Failure::new("too many CPUs"))?;
    with_arena(site, (PAGES.0, |layout| layout), |common| {
        with_arena(site, (PAGES.1, |layout| layout.with_views(views)), |seen| {
            with_arena(site, (PAGES.2, ArenaLayout::private), |private| {
                let shown = Shown::new(site)?;
                let told = weather(site, [common, seen, private], &shown);
                told.and_then(|told| shown.end(site).map(|()| told))
            })
        })
    })
}

/// Lets `body` have an arena that is registered; all must come back.
fn with_arena(
    site: &Site,
    (pages, kind): (u32, impl FnOnce(ArenaLayout) -> ArenaLayout),
    body: impl FnOnce(&KernelArena) -> Told,
) -> Told {
    let platform = RacePlatform::lend(site.machine).ok_or_else(|| Failure::new("all windows are lent"))?;
    let layout = kind(layout(site.machine, &platform, pages)?);
    let arena = Box::new(Arena::new(platform, layout, metadata(&layout))?);
    // SAFETY: the arena stays in its box until `remove` below has returned `Ok`; if it does not, the kernel panics.
    let registration = unsafe { REGISTRY.register(&arena) }?;
    let told = body(&arena);
    while violation_of(&arena).is_some() {}
    arena.reclaim();
    let stats = arena.stats();
    let validated = arena.validate();
    site.other.add(&stats);
    REGISTRY.remove(registration).expect("no fault is in flight: no job runs, and the arena is used by jobs alone");
    let told = told?;
    validated?;
    let rest = [stats.claimed_pages, stats.deferred_pages, stats.tainted_pages, stats.tainted_regions];
    equal("pages claimed, queued, marked, and regions marked in an arena beside", rest, [0; 4])?;
    unmake(*arena).map(|()| told)
}

fn weather(site: &Site, [common, seen, private]: [&KernelArena; 3], shown: &Shown) -> Told {
    let heap = Heap::new();
    let (pages, books) = (ArenaPages::new(private), FrameMetadata::new(private.platform()));
    heap.init(pages, books, Mode::Fast).map_err(|refused| Failure::new(format!("{}", refused.error)))?;
    let weather = Weather {
        site,
        common,
        pool: Pool::new(ArenaPages::new(common), FrameMetadata::new(common.platform())),
        heap,
        group: Group::register([None, Some(Program::new(common, 7))], BUDGET)
            .map_err(|refused| Failure::new(format!("{}", refused.error)))?,
        is_enabled: Mutex::new(false),
        shown,
        rights: [ViewRights::ReadWrite, ViewRights::ReadOnly][usize::from(site.seed % 2 == 1)],
        id: Mutex::new(None),
        turn: Mutex::new(()),
        sums: Sums::default(),
        users: Users::new(site.machine, seen)?,
        visitors: Visitors::default(),
        deeds: Deeds::default(),
    };
    let storm = |player: &mut Player<'_>| weather.storm(player);
    let calm = |_: &mut Player<'_>| {
        site.reclaim();
        site.drain();
        Ok(())
    };
    let played = site.play((1, 1), &|| true, &[All(&storm), One(&calm)]);
    let gone = weather.end();
    played.and(gone)
}

impl Weather<'_> {
    /// What one CPU does until the time is over, and its handler.
    fn storm(&self, player: &mut Player<'_>) -> Checked {
        let guest = Guest::new(self, player.random.bits());
        let start = ticks();
        let lasts = u64::from(self.site.of(LASTS_MS));
        let tale = Tale::default();
        let mut part = Part::new(self, &tale, player);
        let done = guest::ticking(&guest, || {
            interruptible(|| {
                while milliseconds(ticks().wrapping_sub(start)) < lasts && !self.site.trouble.is_there() {
                    (0..16).try_for_each(|_| part.step())?;
                }
                Ok(())
            })
        });
        let gone = part.end();
        done.and(gone).and(guest.end())
    }

    /// Takes it all down.
    fn end(self) -> Told {
        // Before anything else may fail: they are registered.
        let visitors = self.visitors.end(self.site);
        let users = self.users.end()?;
        let told = format!("{}; {}; {}", self.deeds, users, visitors?);
        if self.shown.is_attached() {
            self.shown.detach()?;
        }
        match self.group.disable(|_| ()) {
            Ok(()) | Err(DisableError::NotEnabled) => {}
            Err(error) => return Err(error.into()),
        }
        drop(self.group);
        let pool = self.pool.destroy();
        equal("blocks of the pool that are still out", (pool.live_blocks, pool.live_bytes), (0, 0))?;
        let misuses = self.heap.stats().map(|stats| stats.slab.misuses);
        equal("misuses of the heap", misuses, Some(0))?;
        let slab = self.heap.into_slab().ok_or_else(|| Failure::new("the heap has no memory"))?.destroy();
        let out = (slab.objects, slab.bytes, slab.run_bytes);
        equal("objects of the heap that are still out, their bytes, and those of runs", out, (0, 0, 0))?;
        Ok(told)
    }
}
