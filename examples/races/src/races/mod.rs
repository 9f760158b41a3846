//! The races, by what they are about. Each is a function; its name is the claim; numbers (N3) are
//! explained in `docs/UPSTREAM-PARITY.md`.

use alloc::string::String;

use crate::check::Failure;
use crate::site::Site;

mod churn;
mod destroy;
mod exhaust;
mod free_again;
mod groups;
mod one_page;
mod over_scratch;
mod programs;
mod reclaim;
mod registry;
mod reserve;
mod ring;
mod stale;
mod too_early;
mod views;
mod weather;

/// What a race tells besides its figures.
pub(crate) type Told = Result<String, Failure>;

/// A race.
#[derive(Debug)]
pub(crate) struct Race {
    /// The claim.
    pub(crate) name: &'static str,
    /// How many pages its arena has.
    pub(crate) pages: u32,
    /// Runs it, on a fresh arena, and frees all pages.
    pub(crate) body: fn(&Site) -> Told,
}

/// Lists functions as races, each with the number of pages of its arena.
macro_rules! races {
    ($($name:ident in $pages:literal pages,)*) => {
        /// The races of this file.
        pub(super) const RACES: &[$crate::races::Race] =
            &[$($crate::races::Race { name: stringify!($name), pages: $pages, body: $name }),*];
    };
}
use races;

/// The race that a soak plays.
pub(crate) fn of_soak() -> &'static Race {
    &weather::RACES[0]
}

/// All races, in the order in which they are run: what others rest on comes first.
pub(crate) fn all() -> impl Iterator<Item = &'static Race> {
    [
        one_page::RACES,
        stale::RACES,
        too_early::RACES,
        over_scratch::RACES,
        churn::RACES,
        free_again::RACES,
        reserve::RACES,
        reclaim::RACES,
        exhaust::RACES,
        registry::RACES,
        destroy::RACES,
        ring::RACES,
        programs::RACES,
        views::RACES,
        groups::RACES,
        weather::RACES,
    ]
    .into_iter()
    .flatten()
}
