//! Rounds: all CPUs do something at once, again and again.
//!
//! A round has phases, and all CPUs meet before each. A CPU whose check fails does nothing more, but still comes to
//! every meeting, so that nobody waits for it for ever.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::{Barrier, Random, ticks};
pub(crate) use support::{milliseconds, pause};

use crate::check::{Checked, Failure};
use crate::site::Site;

/// How much is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Some seconds in all.
    Fast,
    /// Some minutes.
    Long,
}

/// How long rounds go on for want of somebody who has lost, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

/// A CPU that plays.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    pub(crate) site: &'a Site,
    /// Its number.
    pub(crate) number: u32,
    /// The round, from 0.
    pub(crate) round: u32,
    pub(crate) random: Random,
}

impl Player<'_> {
    /// Whether it is this CPU's turn, which is another's in each round.
    pub(crate) fn has_turn(&self) -> bool {
        self.turn() == self.number
    }

    /// The CPU whose turn it is.
    pub(crate) fn turn(&self) -> u32 {
        self.round % self.site.cpus
    }
}

/// What one CPU does in a phase.
type Move<'a> = &'a (dyn Fn(&mut Player<'_>) -> Checked + Sync);

/// A phase of a round.
pub(crate) enum Phase<'a> {
    /// The CPU whose turn it is does this, and the others wait.
    One(Move<'a>),
    /// All do it at once.
    All(Move<'a>),
}

/// Plays `rounds` rounds, and more, within a time limit, until `met` says that the CPUs have met. Gives how many it played. A host
/// may be too busy to let two CPUs run at once for so long, so it is no failure of the race if they never met.
///
/// # Errors
///
/// The first check that failed, on whichever CPU.
pub(crate) fn play(
    site: &Site,
    rounds: u32,
    met: &(dyn Fn() -> bool + Sync),
    phases: &[Phase<'_>],
) -> Result<u32, Failure> {
    let (over, played) = (AtomicBool::new(false), AtomicU32::new(0));
    let barrier = Barrier::new(site.cpus);
    let start = ticks();
    let is_over = |round: u32| {
        let late = milliseconds(ticks().wrapping_sub(start)) >= PATIENCE_MS;
        site.trouble.is_there() || (round >= rounds && (met() || late))
    };
    site.machine.run_on_all(|id| {
        let number = u32::from(id.number());
        let mut player =
            Player { site, number, round: 0, random: Random::new(u64::from(site.seed) << 8 | u64::from(number)) };
        while !over.load(Ordering::Relaxed) {
            play_round(&mut player, &barrier, phases);
            player.round += 1;
            if barrier.wait() {
                played.store(player.round, Ordering::Relaxed);
                over.store(is_over(player.round), Ordering::Relaxed);
            }
            barrier.wait();
        }
    });
    site.trouble.take()?;
    Ok(played.into_inner())
}

fn play_round(player: &mut Player<'_>, barrier: &Barrier, phases: &[Phase<'_>]) {
    for phase in phases {
        barrier.wait();
        let trouble = &player.site.trouble;
        let done = match phase {
            _ if trouble.is_there() => Ok(()),
            Phase::All(step) => step(player),
            Phase::One(step) if player.has_turn() => step(player),
            Phase::One(_) => Ok(()),
        };
        if let Err(failure) = done {
            trouble.note(failure);
        }
    }
}
