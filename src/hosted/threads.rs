//! Threads in the place of CPUs.
//!
//! What allocators keep by CPU is kept here by thread: each has a small number of its own while it runs, and the next
//! thread inherits number and belongings when it ends; whoever drains an allocator in between is lent the number. A
//! thread beyond the number of numbers, one that is just getting its own, and one that is past giving it back have none,
//! and take the path that an unknown CPU takes.
//!
//! Allocators have places for [`LEVELS`] interrupt levels of [`CPUS`] CPUs. No thread interrupts another here, so all of
//! these are places for threads: the first 512 have level 0, the next 512 level 1, and so on.

use core::cell::Cell;
use core::ffi::c_void;
use std::thread_local;

use super::hooks::{Hooks, call_at_end};

use crate::pages::{Bitmap, ones};
use crate::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel};
use crate::slab::{CPUS, LEVELS};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How many threads have a number at one time.
const NUMBERS: u16 = PLACES * LEVELS as u16;
/// Of these, those of each level.
#[expect(clippy::cast_possible_truncation, reason = "512")]
const PLACES: u16 = CPUS as u16;

/// The thread has no number yet, or found none free.
const UNBOUND: u16 = u16::MAX;
/// The thread has none, and is to look for none: it is getting one now, or gave it back.
const NONE: u16 = u16::MAX - 1;

static WORDS: [AtomicU64; NUMBERS as usize / 64] = [const { AtomicU64::new(0) }; NUMBERS as usize / 64];
/// The numbers that are taken. Taking is Acquire, giving back Release: a thread sees all that those before it did.
static TAKEN: Bitmap = Bitmap::new(&WORDS);
/// All numbers that were ever taken are below. Relaxed: to look at too few of them lends too little, for that moment.
static MOST: AtomicU32 = AtomicU32::new(0);

/// A level, as a type that has no fifth: the hot path need not make sure.
#[derive(Clone, Copy)]
enum Level {
    Zero,
    One,
    Two,
    Three,
}

thread_local! {
    /// The CPU of this thread's place. It needs no destructor, so reading it is a load.
    static CPU: Cell<u16> = const { Cell::new(UNBOUND) };
    /// The level of its place, if it has one.
    static LEVEL: Cell<Level> = const { Cell::new(Level::Zero) };
}

/// The threads of this process, as CPUs: at most 2048 have a number at a time.
///
/// The numbers are the process's: all values of this type give the same. An allocator [binds](CpuIdentity::bind) each
/// thread that comes to it.
///
/// ```
/// use kernel_arena::{hosted::Threads, platform::CpuIdentity};
/// let number = || {
///     Threads::new().bind();
///     Threads::new().current()
/// };
/// let mine = number();
/// assert_eq!(number(), mine);
/// assert_ne!(std::thread::spawn(number).join().unwrap(), mine);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads(());

impl Threads {
    /// The threads.
    pub const fn new() -> Self {
        Self(())
    }
}

impl CpuIdentity for Threads {
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        let cpu = CPU.get();
        (cpu < PLACES).then(|| CpuLevel { cpu: CpuId::new(cpu), level: LEVEL.get() as u8 })
    }

    /// Gives this thread a number until it ends, if it has none and there is one: not while all are taken, and not once
    /// it was given back. No lock is taken.
    #[cold]
    fn bind(&self) {
        if CPU.get() == UNBOUND {
            // To be called at the end may allocate: that comes here again, and finds that there is none to be had.
            CPU.set(NONE);
            let number = if call_at_end(HOOKS) { take() } else { None };
            LEVEL.set(number.map_or(Level::Zero, level_of));
            CPU.set(number.map_or(UNBOUND, |number| number % PLACES));
        }
    }

    /// Lends the CPUs none of whose numbers a thread has.
    fn lend_idle(&self, each: &mut dyn FnMut(CpuId)) {
        let most = MOST.load(Ordering::Relaxed).min(CPUS);
        for cpu in (0..PLACES).take(most as usize).filter(|cpu| acquire_all(*cpu)) {
            each(CpuId::new(cpu));
            numbers_of_cpu(cpu).for_each(release);
        }
    }

    fn count(&self) -> CpuCount {
        const { CpuCount::new(CPUS).unwrap() }
    }
}

/// The level of the place that a number stands for; its CPU is the remainder.
const fn level_of(number: u16) -> Level {
    const { assert!(LEVELS == 4) };
    match number / PLACES {
        0 => Level::Zero,
        1 => Level::One,
        2 => Level::Two,
        _ => Level::Three,
    }
}

/// The number of this thread, if it has one.
fn number() -> Option<u16> {
    let cpu = CPU.get();
    (cpu < PLACES).then(|| cpu + LEVEL.get() as u16 * PLACES)
}

/// Takes the lowest number that is free.
#[expect(clippy::cast_possible_truncation, reason = "there are 2048 bits")]
fn take() -> Option<u16> {
    let number = (0..TAKEN.word_count()).find_map(|word| {
        let free = ones(!TAKEN.word(word, Ordering::Relaxed));
        free.into_iter().find(|bit| TAKEN.acquire(word, 1 << bit).is_ok()).map(|bit| (word * 64 + bit) as u16)
    })?;
    MOST.fetch_max(u32::from(number) + 1, Ordering::Relaxed);
    Some(number)
}

/// The numbers that stand for a CPU, one a level.
fn numbers_of_cpu(cpu: u16) -> impl Iterator<Item = u16> + Clone {
    (0..LEVELS).map(move |level| cpu + u16::from(level) * PLACES)
}

/// Takes all numbers of a CPU, or none.
fn acquire_all(cpu: u16) -> bool {
    let numbers = numbers_of_cpu(cpu);
    for (taken, number) in numbers.clone().enumerate() {
        if TAKEN.acquire(u32::from(number) / 64, 1 << (number % 64)).is_err() {
            numbers.take(taken).for_each(release);
            return false;
        }
    }
    true
}

/// Gives a number back: whoever takes it next sees all that was done under it.
fn release(number: u16) {
    TAKEN.release(u32::from(number) / 64, 1 << (number % 64));
}

const HOOKS: Hooks = Hooks { at_end: give_back, in_child: forget_others };

/// In a forked child: gives back the numbers of all threads but the one that is there. What these had in their hands is
/// lost, but no more: at every moment a magazine is in one place, and so are the objects in it.
extern "C" fn forget_others() {
    let mine = number();
    for word in 0..TAKEN.word_count() {
        let kept = mine.filter(|mine| u32::from(*mine) / 64 == word).map_or(0, |mine| 1 << (mine % 64));
        TAKEN.release(word, !kept);
    }
}

/// Gives the number of the running thread back: it ends.
extern "C" fn give_back(_value: *mut c_void) {
    let number = number();
    CPU.set(NONE);
    number.into_iter().for_each(release);
}
