//! What comes between: handlers of interrupts and faults that use the heap, at whatever level they run.
//!
//! A guest that is let in takes blocks, looks at them, gives them back, or leaves one for somebody else (on another
//! CPU, at another level) and takes what was left; makes wild accesses; and lets itself be interrupted, or has a fault
//! of its own, so that the next guest comes one level higher, up to [`DEEPEST`]: beyond the levels that have magazines
//! of their own.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_arena::{GUARD_SIZE, PAGE_SIZE, WINDOW_SIZE};
use support::{
    MAX_CPUS, Random, arm_timer, cpu_id, disarm_timer, fault_level, interruptible, milliseconds, probe_read_u64,
    probe_write_u64, relax, ticks,
};

use crate::block::{self, Block, small_kind};
use crate::check::{Wrong, complain, is_complaint};
use crate::memory::{FIRST_PAGE, HEAP, HOLE, PAGES, arena};

/// The highest level that guests come to.
pub(crate) const DEEPEST: u32 = 6;
/// The highest that has magazines of its own.
const HIGHEST_WITH_MAGAZINES: u32 = kernel_arena::slab::LEVELS as u32 - 1;
const LEVEL_COUNT: usize = DEEPEST as usize + 1;

/// What guests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Part {
    /// Nothing.
    None,
    /// They use the heap.
    Visit,
    /// They use the heap, and take it that there may be no memory.
    Scarce,
    /// They use the heap and make wild accesses.
    Rampage,
    /// They empty the magazines of their level.
    Drain,
}

static PART: AtomicU32 = AtomicU32::new(Part::None as u32);

/// Which CPUs let guests in. Relaxed: each concerns its own CPU alone.
static OPEN: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// How many guests came to each level, on all CPUs.
static VISITS: [AtomicU64; LEVEL_COUNT] = [const { AtomicU64::new(0) }; LEVEL_COUNT];
/// How many found the code at thread level inside the allocator.
static INSIDE: AtomicU64 = AtomicU64::new(0);
/// How many wild accesses they have made.
static WILD: AtomicU64 = AtomicU64::new(0);
/// How often they were given null.
static REFUSED: AtomicU64 = AtomicU64::new(0);
/// How many guests each CPU has had whose part was to drain.
static DRAINED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Blocks that somebody has left for anybody.
static LEFT: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// How often guests came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visits {
    /// To each level.
    pub(crate) by_level: [u64; LEVEL_COUNT],
    /// In the midst of an operation at thread level.
    pub(crate) inside: u64,
    /// Their wild accesses.
    pub(crate) wild: u64,
    /// How often they were given null.
    pub(crate) refused: u64,
}

impl Visits {
    pub(crate) fn so_far() -> Self {
        let by_level = core::array::from_fn(|level| VISITS[level].load(Ordering::Relaxed));
        let [inside, wild, refused] = [&INSIDE, &WILD, &REFUSED].map(|count| count.load(Ordering::Relaxed));
        Self { by_level, inside, wild, refused }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        let by_level = core::array::from_fn(|level| self.by_level[level] - earlier.by_level[level]);
        Self {
            by_level,
            inside: self.inside - earlier.inside,
            wild: self.wild - earlier.wild,
            refused: self.refused - earlier.refused,
        }
    }
}

fn part() -> Part {
    let number = PART.load(Ordering::Relaxed);
    [Part::Visit, Part::Scarce, Part::Rampage, Part::Drain]
        .into_iter()
        .find(|part| *part as u32 == number)
        .unwrap_or(Part::None)
}

/// Lets guests in while `action` runs, on all CPUs that are inside [`open`].
pub(crate) fn with<R>(part: Part, action: impl FnOnce() -> R) -> R {
    PART.store(part as u32, Ordering::Relaxed);
    let result = action();
    PART.store(Part::None as u32, Ordering::Relaxed);
    result
}

/// Does something that guests interrupt, on this CPU, at thread level.
pub(crate) fn open<R>(action: impl FnOnce() -> R) -> R {
    let open = &OPEN[usize::from(cpu_id().number())];
    open.store(true, Ordering::Relaxed);
    let result = interruptible(|| {
        arm_timer(20);
        action()
    });
    // An interrupt that is still on its way finds nobody at home: the books may be balanced by then.
    open.store(false, Ordering::Relaxed);
    disarm_timer();
    result
}

/// The kernel's interrupt handler.
pub(crate) fn interrupted() {
    let is_open = OPEN[usize::from(cpu_id().number())].load(Ordering::Relaxed);
    match part() {
        Part::None => {}
        Part::Visit | Part::Scarce | Part::Rampage if !is_open => {}
        Part::Drain => drain(),
        Part::Visit | Part::Scarce | Part::Rampage => {
            visit();
            if fault_level() == 1 {
                arm_timer(5 + dice().below(40));
            }
        }
    }
}

/// What the fault handler does before it repairs the fault.
pub(crate) fn in_fault() {
    if matches!(part(), Part::Visit | Part::Scarce | Part::Rampage) && fault_level() > 1 {
        visit();
    }
}

/// Numbers of this moment.
fn dice() -> Random {
    static THROWS: AtomicU64 = AtomicU64::new(0);
    let mut dice = Random::new(THROWS.fetch_add(1, Ordering::Relaxed));
    dice.bits();
    dice
}

fn visit() {
    let level = fault_level();
    if level > DEEPEST || is_complaint() {
        return;
    }
    VISITS[level as usize].fetch_add(1, Ordering::Relaxed);
    if level == 1 && block::is_inside() {
        INSIDE.fetch_add(1, Ordering::Relaxed);
    }
    if let Err(wrong) = stay(level) {
        complain(wrong);
    }
}

fn stay(level: u32) -> Result<(), Wrong> {
    let mut dice = dice();
    swap(&mut dice)?;
    take_and_give(&mut dice)?;
    if part() == Part::Rampage {
        // A fault of its own: the next guest comes one level higher.
        wild(&mut dice)?;
    }
    if level < DEEPEST && !dice.one_in(3) {
        nest(level, &mut dice)?;
    }
    swap(&mut dice)
}

/// Takes a few, and gives them back in another order.
fn take_and_give(dice: &mut Random) -> Result<(), Wrong> {
    let [first, second, third] = [small_kind(dice), small_kind(dice), small_kind(dice)].map(take);
    // Nothing that was taken is lost if one is wrong: then the kernel fails.
    let blocks = [second?, first?, third?];
    blocks.into_iter().flatten().try_for_each(Block::give)
}

/// Takes a block, which may be none if memory is scarce.
fn take(kind: u8) -> Result<Option<Block>, Wrong> {
    let block = Block::take(kind)?;
    if block.is_none() {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        if part() != Part::Scarce {
            return Err(Wrong::NoMemory);
        }
    }
    Ok(block)
}

/// Leaves a block, and looks at what was left before and gives it back.
pub(crate) fn swap(dice: &mut Random) -> Result<(), Wrong> {
    let Some(block) = take(small_kind(dice))? else { return Ok(()) };
    // Release what was written into it, Acquire what was written into the other.
    let before = LEFT[dice.below(64) as usize].swap(block.pack(), Ordering::AcqRel);
    Block::unpack(before).map_or(Ok(()), Block::give)
}

/// Gives back what was left.
pub(crate) fn clear() -> Result<(), Wrong> {
    LEFT.iter().filter_map(|left| Block::unpack(left.swap(0, Ordering::AcqRel))).try_for_each(Block::give)
}

/// Works on until the next guest has come, one level higher, or some time is over.
fn nest(level: u32, dice: &mut Random) -> Result<(), Wrong> {
    let above = &VISITS[level as usize + 1];
    let (before, start) = (above.load(Ordering::Relaxed), ticks());
    let result = interruptible(|| {
        arm_timer(1 + dice.below(4));
        while above.load(Ordering::Relaxed) == before && milliseconds(ticks().wrapping_sub(start)) < 2 {
            swap(dice)?;
        }
        Ok(())
    });
    disarm_timer();
    result
}

/// A wild access: a read of any page of the extent, or a write where no block can ever be.
pub(crate) fn wild(dice: &mut Random) -> Result<(), Wrong> {
    WILD.fetch_add(1, Ordering::Relaxed);
    let base = arena().layout().base().value();
    let within = u64::from(dice.below(512)) * 8;
    let page = match dice.below(8) {
        // Any page of the last quarter: it may be there, or not.
        0..=2 => {
            let page = FIRST_PAGE + PAGES - 1 - dice.below(PAGES / 4);
            // SAFETY: a read harms nobody, and what is read is not looked at.
            let read = unsafe { probe_read_u64(base + u64::from(page) * PAGE_SIZE + within) };
            return read.map(drop).ok_or(Wrong::GivenUp);
        }
        3..=4 => HOLE.first().number() + dice.below(HOLE.count().get()),
        5 => dice.below(FIRST_PAGE),
        // Far from the extent: a region.
        6 => (1000 + dice.below(1000)) * 512 + dice.below(512),
        _ => {
            let offset = WINDOW_SIZE + u64::from(dice.below(8)) * (GUARD_SIZE / 8) + within % (GUARD_SIZE / 8);
            return written(base + offset);
        }
    };
    written(base + u64::from(page) * PAGE_SIZE + within)
}

fn written(address: u64) -> Result<(), Wrong> {
    // SAFETY: nothing is there that Rust knows of: the page is outside the extent, in the guard, or set aside.
    if unsafe { probe_write_u64(address, 0xbad) } { Ok(()) } else { Err(Wrong::GivenUp) }
}

/// Empties the magazines of this level and, from a guest of its own, of those above.
fn drain() {
    HEAP.drain();
    if fault_level() < HIGHEST_WITH_MAGAZINES {
        drain_above();
    }
    DRAINED[usize::from(cpu_id().number())].fetch_add(1, Ordering::Relaxed);
}

/// Empties the magazines of this CPU's levels above that which runs. Guests must have [`Part::Drain`].
pub(crate) fn drain_above() {
    let drained = &DRAINED[usize::from(cpu_id().number())];
    let before = drained.load(Ordering::Relaxed);
    interruptible(|| {
        arm_timer(1);
        while drained.load(Ordering::Relaxed) == before {
            relax();
        }
    });
}
