//! Counting: what one run of something takes, and what it takes once everything is warm.

use core::hint::black_box;

use support::check::Failure;
use support::instructions;

/// How often something is counted: the median is told.
const RUNS: usize = 15;

/// The instructions that `work` takes, the two looks at the counter taken off.
#[inline(always)]
pub(crate) fn count<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = instructions();
    let result = black_box(work());
    let between = instructions() - before;
    (between.saturating_sub(looks()), result)
}

/// What is between two looks at the counter if nothing is.
#[inline(always)]
fn looks() -> u64 {
    let before = instructions();
    black_box(());
    instructions() - before
}

/// The median of what `run` counts, which is given the number of each run.
///
/// # Errors
///
/// The first failure of a run.
pub(crate) fn steady(mut run: impl FnMut(u32) -> Result<u64, Failure>) -> Result<u64, Failure> {
    let mut counts = [0; RUNS];
    for (number, count) in (0..).zip(&mut counts) {
        *count = run(number)?;
    }
    counts.sort_unstable();
    Ok(counts[RUNS / 2])
}

/// Whether the counter counts instructions: a loop of known length must take as many each time, and in proportion.
///
/// # Errors
///
/// It does not.
pub(crate) fn check_counter() -> Result<(), Failure> {
    let turns = |turns: u32| count(|| (0..turns).for_each(|turn| _ = black_box(turn))).0;
    let (once, again, twice) = (turns(10_000), turns(10_000), turns(20_000));
    let is_so = once == again && once >= 20_000 && (twice - once).abs_diff(once) < 50;
    if is_so { Ok(()) } else { Err(Failure::new("no instructions are counted here: QEMU wants `-icount shift=0`")) }
}
