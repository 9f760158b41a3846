//! What the sources note, and when they are to fail.

use std::collections::{BTreeSet, HashSet};

use kernel_arena::{ArenaPtr, Misuse};

/// What stands for null among pointers that nobody passes.
pub(super) const NULL: ArenaPtr = ArenaPtr::new(3).unwrap();

/// What the sources noted.
#[derive(Default)]
pub(crate) struct Book {
    /// Pages that are out.
    pub(crate) taken: BTreeSet<u32>,
    /// Pages that were out at any time.
    pub(super) used: HashSet<u32>,
    /// Sizes of the runs that were handed out, in pages, in order.
    pub(crate) runs: Vec<u32>,
    /// Requests for pages, failed ones included.
    pub(crate) page_calls: u32,
    /// Calls that gave pages back.
    pub(crate) free_calls: u32,
    /// Which requests for pages fail.
    pub(crate) pages_fail: Fail,
    /// Bookkeeping pages that are out.
    pub(crate) metadata: HashSet<usize>,
    pub(crate) metadata_calls: u32,
    pub(crate) metadata_fail: Fail,
    /// What was recorded.
    /// Null stands as [`NULL`].
    pub(crate) misuses: Vec<(ArenaPtr, Misuse)>,
    pub(crate) reclaims: u32,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Fail {
    #[default]
    Never,
    /// The n-th from now, counted from 0.
    Once(u32),
    /// That and all after it.
    From(u32),
}

impl Fail {
    /// Whether this call fails.
    pub(super) fn hits(&mut self) -> bool {
        match *self {
            Self::Never => false,
            Self::Once(0) => {
                *self = Self::Never;
                true
            }
            Self::Once(n) => {
                *self = Self::Once(n - 1);
                false
            }
            Self::From(n) => {
                *self = Self::From(n.saturating_sub(1));
                n == 0
            }
        }
    }
}
