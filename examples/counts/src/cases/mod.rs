//! What is counted.

mod faults;
mod objects;
mod pages;
mod programs;

use support::check::Failure;

use crate::site::{SOME, Sight, Site, WHOLE};

/// An operation that is counted.
pub(crate) struct Case {
    /// A module and a name, without a blank: the kernel's command line has words.
    pub(crate) name: &'static str,
    pub(crate) sight: Sight,
    pub(crate) pages: u32,
    pub(crate) body: fn(&Site<'_>) -> Result<u64, Failure>,
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [pages::CASES, faults::CASES, objects::CASES, programs::CASES].into_iter().flatten()
}

const fn shared(name: &'static str, body: fn(&Site<'_>) -> Result<u64, Failure>) -> Case {
    Case { name, sight: Sight::Shared, pages: SOME, body }
}

const fn private(name: &'static str, body: fn(&Site<'_>) -> Result<u64, Failure>) -> Case {
    Case { name, sight: Sight::Private, pages: SOME, body }
}

/// On an arena as large as there can be.
const fn whole(name: &'static str, body: fn(&Site<'_>) -> Result<u64, Failure>) -> Case {
    Case { name, sight: Sight::Shared, pages: WHOLE, body }
}
