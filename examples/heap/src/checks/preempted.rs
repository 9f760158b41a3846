//! A timer's handler that uses the allocator whose magazines it has interrupted: no level tells it from the thread.
//!
//! In a kernel that preempts at any instruction another thread would do the same. Three identities of `kernel_arena::kit` and
//! the documents: one that names one place always and holds nothing is caught at it; the two that are meant for such kernels
//! are not.

use alloc::format;
use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, Ordering};

use kernel_arena::kit::{Masking, MetadataCell, OneCpu};
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel};
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{MetadataPage, Region, StaticMetadata, region_words};
use support::{Damage, Marked, arm_timer, disarm_timer, interruptible, milliseconds, set_interrupt_handler, ticks};

use super::{Told, checks};
use crate::bench::Site;
use crate::check::{Failure, equal, holds};
use crate::guest;

checks! {
    a_handler_at_the_same_place_damages_a_block_where_nothing_is_held,
    a_handler_at_the_same_place_damages_nothing_where_interrupts_are_masked,
    a_handler_on_one_cpu_that_nobody_preempts_damages_nothing,
}

/// Ticks that must have come.
const TICKS: (u32, u32) = (2000, 20_000);
/// How long one waits for them: a busy host is no failure, but no tick at all is.
const PATIENCE_MS: u64 = 8000;
const PAGES: usize = 32;
const WORDS: usize = region_words(PAGES);
const OBJECT: Layout = Layout::new::<[u64; 8]>();
/// The most that the thread has, and the handler.
const MOST: (usize, usize) = (300, 40);

/// What an allocator stands on.
struct Ground {
    memory: UnsafeCell<[MaybeUninit<MetadataPage>; PAGES]>,
    words: MetadataCell<WORDS>,
    books: StaticMetadata<32>,
}

// SAFETY: whoever has the words, which are lent once, has the memory.
unsafe impl Sync for Ground {}

impl Ground {
    const fn new() -> Self {
        let memory = UnsafeCell::new([const { MaybeUninit::uninit() }; PAGES]);
        Self { memory, words: MetadataCell::new(), books: StaticMetadata::new() }
    }
}

/// One CPU, always at level 0, and nothing is held: what a kernel whose handlers allocate must not say.
struct OnePlace;

impl CpuIdentity for OnePlace {
    fn current(&self) -> Option<CpuLevel> {
        Some(CpuLevel { cpu: CpuId::new(0), level: 0 })
    }

    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

fn a_handler_at_the_same_place_damages_a_block_where_nothing_is_held(site: &Site) -> Told {
    static GROUND: Ground = Ground::new();
    let (ticks, outcome) = run(site, OnePlace, &GROUND)?;
    holds("something is damaged", outcome.is_err())?;
    Ok(format!("{} after {ticks} ticks", outcome.err().unwrap_or_default()))
}

fn a_handler_at_the_same_place_damages_nothing_where_interrupts_are_masked(site: &Site) -> Told {
    static GROUND: Ground = Ground::new();
    sound(run(site, Masking::one_cpu(), &GROUND)?, site)
}

fn a_handler_on_one_cpu_that_nobody_preempts_damages_nothing(site: &Site) -> Told {
    static GROUND: Ground = Ground::new();
    sound(run(site, OneCpu, &GROUND)?, site)
}

fn sound((ticks, outcome): (u32, Result<(), Damage>), site: &Site) -> Told {
    outcome.map_err(Failure::new)?;
    holds("the timer came", ticks > site.of(TICKS) / 100)?;
    Ok(format!("{ticks} ticks"))
}

/// Takes and gives at thread level, while a timer's handler does the same; how often it came, and what went wrong.
fn run<C: CpuIdentity>(site: &Site, cpus: C, ground: &'static Ground) -> Result<(u32, Result<(), Damage>), Failure> {
    let words = ground.words.take().ok_or_else(|| Failure::new("its memory is lent already"))?;
    // SAFETY: the memory is lent with the words, once. Two of the identities keep their contract here: one CPU, whose interrupt
    // handler runs with interrupts masked. What the third breaks stays within this memory (`Marked`).
    let region = unsafe { Region::at(ground.memory.get().cast(), PAGES, words, cpus) };
    let slab = Slab::new(region, &ground.books, Mode::Fast).map_err(|refused| Failure::from(refused.error))?;
    let (own, other) = (Marked::new(&slab, OBJECT, MOST.0), Marked::new(&slab, OBJECT, MOST.1));
    let (came, damage) = (Cell::new(0), Cell::new(Ok(())));
    let tick = || {
        if damage.get().is_ok() {
            damage.set(other.visit(came.get().into()));
            came.set(came.get() + 1);
            arm_timer(5 + came.get() % 37);
        }
    };
    let start = ticks();
    let outcome = ticking(&tick, || {
        let mut turn = 0;
        while came.get() < site.of(TICKS)
            && damage.get().is_ok()
            && milliseconds(ticks().wrapping_sub(start)) < PATIENCE_MS
        {
            turn += 1;
            (0..turn % MOST.0).try_for_each(|_| own.take())?;
            own.give_all()?;
        }
        Ok(())
    });
    let outcome = outcome.and(damage.get()).and_then(|()| other.give_all());
    if outcome.is_ok() {
        // Where interrupts are masked, nobody has magazines to empty, if the identity goes by that.
        interruptible(|| slab.drain());
        let stats = slab.stats();
        equal("live bytes, pages and misuses", (stats.live_bytes, stats.held_bytes, stats.misuses), (0, 0, 0))?;
    }
    Ok((came.get(), outcome))
}

/// What the timer's handler calls, a pointer to a `&dyn Fn()` on the stack of `ticking`; null if it is not ticking.
static TICK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Does something that a timer interrupts, again and again as long as `tick` arms it. The kernel's own handler is back
/// afterwards.
fn ticking<R>(tick: &dyn Fn(), action: impl FnOnce() -> R) -> R {
    TICK.store((&raw const tick).cast_mut().cast(), Ordering::Relaxed);
    set_interrupt_handler(ticked);
    let result = interruptible(|| {
        arm_timer(20);
        action()
    });
    disarm_timer();
    // One that is still on its way finds nobody.
    TICK.store(core::ptr::null_mut(), Ordering::Relaxed);
    set_interrupt_handler(guest::interrupted);
    result
}

fn ticked() {
    let tick = TICK.load(Ordering::Relaxed).cast_const().cast::<&dyn Fn()>();
    if !tick.is_null() {
        // SAFETY: `ticking` stored it on this CPU, which is inside it.
        let tick = unsafe { *tick };
        tick();
    }
}
