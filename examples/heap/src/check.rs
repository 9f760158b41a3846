//! The checks of a claim: the support crate's; and what handlers find wrong, which cannot tell it themselves.

use core::sync::atomic::{AtomicU32, Ordering};

pub(crate) use support::check::{Checked, Failure, Trouble, equal, holds};

/// What was wrong, found in any context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    NoMemory,
    Misaligned,
    NotZeroed,
    Contents,
    GivenUp,
}

impl Wrong {
    const ALL: [Self; 5] = [Self::NoMemory, Self::Misaligned, Self::NotZeroed, Self::Contents, Self::GivenUp];

    const fn text(self) -> &'static str {
        match self {
            Self::NoMemory => "there is memory, but an allocation gave null",
            Self::Misaligned => "a block is not aligned as was asked",
            Self::NotZeroed => "a block is not zeroed",
            Self::Contents => "a block does not hold what was written to it",
            Self::GivenUp => "a wild access was not recovered",
        }
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::new(wrong.text())
    }
}

/// The first thing that a handler found wrong: one more than its number, or 0.
static COMPLAINT: AtomicU32 = AtomicU32::new(0);

/// Notes what a handler found wrong. In any context.
pub(crate) fn complain(wrong: Wrong) {
    let _ = COMPLAINT.compare_exchange(0, wrong as u32 + 1, Ordering::Relaxed, Ordering::Relaxed);
}

/// Whether some handler has complained.
pub(crate) fn is_complaint() -> bool {
    COMPLAINT.load(Ordering::Relaxed) != 0
}

/// Takes the complaint out, when no handler runs any more.
pub(crate) fn complaints() -> Checked {
    let number = COMPLAINT.swap(0, Ordering::Relaxed);
    let wrong = Wrong::ALL.into_iter().find(|wrong| *wrong as u32 + 1 == number);
    wrong.map_or(Ok(()), |wrong| Err(Failure::new(alloc::format!("a handler: {}", wrong.text()))))
}
