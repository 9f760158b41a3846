//! A slab whose operations are interrupted by somebody at the same magazines: no interrupt level tells the two apart, as when
//! a timer preempts one thread for another, or as in a kernel that does not count its levels.
//!
//! Before each instruction at which an interrupt could come, since it is not masked, the other one comes, run after run at
//! points that lie apart. With [`Masking`] nothing may ever be damaged; with an identity that names one place always and holds
//! nothing something soon is, which shows that the test would see it.

use alloc::boxed::Box;
use core::alloc::Layout;
use core::cell::Cell;

use kernel_arena::kit::Masking;
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel};
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{Region, StaticMetadata, region_words};
use support::{Marked, Step, StepAction, interruptible, println, single_step};

use crate::bench::Bench;
use crate::check::{Checked, Failure, equal, holds};
use crate::selfcheck::SelfCheck;

/// The tests.
pub(crate) const CHECKS: &[SelfCheck] = &[
    SelfCheck { name: "heap_preempted_at_each_instruction_that_is_not_masked", body: masking },
    SelfCheck { name: "heap_preempted_without_a_hold_is_damaged", body: holding_nothing },
];

/// Objects of so many bytes fill a magazine with 32.
const OBJECT: Layout = match Layout::from_size_align(1024, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};
/// So many are taken, and given back: more than two magazines hold.
const COUNT: usize = 100;
/// Pages for objects: enough for all that both ever have.
const PAGES: usize = 96;
/// Points between two visits, and so many runs.
const STRIDE: u64 = 11;
/// The most that whoever comes keeps from visit to visit.
const KEPT: usize = 40;

type Books = StaticMetadata<64>;
type Place<C> = Slab<Region<C>, &'static Books>;

/// One CPU, always at level 0, and nothing is held: what a kernel that preempts must not say.
struct OnePlace;

impl CpuIdentity for OnePlace {
    fn current(&self) -> Option<CpuLevel> {
        Some(CpuLevel { cpu: CpuId::new(0), level: 0 })
    }

    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    points: u64,
    visits: u64,
    /// Points in a row at which interrupts were masked, at most.
    masked: u64,
    damage: Option<&'static str>,
}

fn masking(_: &Bench) -> Checked {
    static BOOKS: Books = Books::new();
    let slab = slab(Masking::one_cpu(), &BOOKS)?;
    let (mut most, mut visits) = (Seen::default(), 0);
    for phase in 0..STRIDE {
        let seen = run(&slab, phase);
        if let Some(what) = seen.damage {
            return Err(Failure::new(what));
        }
        most.points = most.points.max(seen.points);
        most.masked = most.masked.max(seen.masked);
        visits += seen.visits;
    }
    // The longest piece fills a magazine from a whole word of bits.
    most.masked = most.masked.max(longest_masked(&slab)?);
    println!(
        "points preempted: {} at most, {visits} visits; masked for {} instructions at most",
        most.points, most.masked
    );
    holds("interrupts were masked at some points", most.masked > 0)?;
    // What the documents promise.
    holds("interrupts were masked for at most 1000 instructions", most.masked <= 1000)?;
    holds("there was a visit at a tenth of the points", visits > most.points / 2)?;
    let stats = slab.stats();
    equal("live bytes and misuses", (stats.live_bytes, stats.misuses), (0, 0))?;
    equal("objects that are out", slab.destroy().objects, 0)
}

fn holding_nothing(_: &Bench) -> Checked {
    static BOOKS: Books = Books::new();
    let slab = slab(OnePlace, &BOOKS)?;
    let damage = (0..STRIDE).find_map(|phase| run(&slab, phase).damage);
    println!("points preempted, nothing held: {}", damage.unwrap_or("no damage"));
    holds("something was damaged", damage.is_some())
}

/// Instructions in a row with interrupts masked while objects are taken of which a word has 64.
fn longest_masked(slab: &Place<Masking>) -> Result<u64, Failure> {
    let small = Layout::new::<[u64; 8]>();
    let (most, in_a_row) = (Cell::new(0), Cell::new(0));
    let before_each = |Step { is_masked, .. }: Step| {
        in_a_row.set(if is_masked { in_a_row.get() + 1 } else { 0 });
        most.set(most.get().max(in_a_row.get()));
        StepAction::Continue
    };
    let object = interruptible(|| single_step(&before_each, || slab.alloc(small)))?;
    // SAFETY: it came from there, with this layout.
    unsafe { slab.free(object, small) };
    slab.drain();
    Ok(most.get())
}

fn slab<C: CpuIdentity>(cpus: C, books: &'static Books) -> Result<Place<C>, Failure> {
    let (memory, words) =
        (Box::leak(Box::new_uninit_slice(PAGES)), Box::leak(Box::new_uninit_slice(region_words(PAGES))));
    // SAFETY: `Masking` masks what comes between, which checks for it; of the other it is the very point that it does not, and
    // nothing but the memory lent here is touched.
    let region = unsafe { Region::new(memory, words, cpus) };
    Slab::new(region, books, Mode::Fast).map_err(|refused| refused.error.into())
}

/// Takes objects and gives them back, and empties the magazines; the other one comes at each so many points. Nothing is out
/// afterwards.
fn run<C: CpuIdentity>(slab: &Place<C>, phase: u64) -> Seen {
    let seen = Cell::new(Seen::default());
    let in_a_row = Cell::new(0);
    let other = Marked::new(slab, OBJECT, KEPT);
    let own = Marked::new(slab, OBJECT, COUNT);
    let before_each = |Step { is_masked, .. }: Step| {
        let mut now = seen.get();
        now.points += 1;
        in_a_row.set(if is_masked { in_a_row.get() + 1 } else { 0 });
        now.masked = now.masked.max(in_a_row.get());
        if now.points % STRIDE == phase && !is_masked && now.damage.is_none() {
            now.damage = other.visit(now.visits).err();
            now.visits += 1;
        }
        seen.set(now);
        StepAction::Continue
    };
    let operation = || {
        (0..COUNT).try_for_each(|_| own.take())?;
        own.give_all()?;
        slab.drain();
        Ok(())
    };
    // On aarch64 an interrupt could come nowhere else.
    let outcome = interruptible(|| single_step(&before_each, operation));
    let mut seen = seen.into_inner();
    seen.damage = seen.damage.or(outcome.and(other.give_all()).err());
    slab.drain();
    seen
}
