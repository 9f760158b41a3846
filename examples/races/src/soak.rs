//! A soak: heavy weather again and again, for as long as one likes.
//!
//! Every round has its own arenas and its own seed, and its accounts are balanced before the next begins. It ends with the first
//! that do not balance, and says with which seed, which is then the one to begin with.

use alloc::format;

use support::{milliseconds, println, ticks};

use crate::bench::Bench;
use crate::check::{Checked, Failure};
use crate::races;

/// Plays for so many minutes, or a little longer, from this seed on.
///
/// # Errors
///
/// What the first round that failed found.
pub(crate) fn play(bench: &Bench, minutes: u32, first: u32) -> Checked {
    let (start, lasts) = (ticks(), u64::from(minutes) * 60_000);
    for round in 0.. {
        let seed = first.wrapping_add(round);
        let outcome =
            bench.run(races::of_soak(), seed, |figures| println!("round {}, seed {seed}: {figures}", round + 1));
        outcome.map_err(|failure| Failure::new(format!("seed {seed}: {failure}")))?;
        if milliseconds(ticks().wrapping_sub(start)) >= lasts {
            break;
        }
    }
    Ok(())
}
