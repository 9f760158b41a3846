//! The checks, by subject.

use alloc::string::String;

use process::{Ended, Served};
use support::user::Thread;
use support::{arm_timer, disarm_timer, without_interrupts};

use crate::bench::{Site, Told};

mod calls;
mod faults;
mod modes;
mod privilege;
mod shared;
mod spaces;
mod worst;

/// A check: its name is the claim.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) body: fn(&Site<'_>) -> Told,
}

/// A list of checks, each named like its function.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        pub(super) const CHECKS: &[$crate::checks::Check] =
            &[$($crate::checks::Check { name: stringify!($name), body: $name }),*];
    };
}
use checks;

/// All of them, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [modes::CHECKS, privilege::CHECKS, shared::CHECKS, faults::CHECKS, calls::CHECKS, spaces::CHECKS, worst::CHECKS]
        .into_iter()
        .flatten()
}

/// It passed, and there is no more to say.
#[expect(clippy::unnecessary_wraps, reason = "the end of a check")]
const fn done() -> Told {
    Ok(String::new())
}

/// Runs a program until its time is over, or it comes back for another reason. Until it runs no interrupt is let in, which would
/// take the timer's away.
fn run_for_a_while(served: &Served<'_>, thread: &mut Thread) -> Ended {
    without_interrupts(|| {
        arm_timer(50);
        let ended = served.run(thread);
        disarm_timer();
        ended
    })
}
