//! A compare-exchange that fails may have read an old word.
//!
//! C11 makes a failed compare-exchange a load, which may return any word that coherence allows; loom's returns the newest.
//! This format is the portable one with such a load put before each exchange of a slot: if it does not find the word that
//! is asked for, the exchange has failed. On success nothing differs.

use kernel_arena::ArenaLayout;
use kernel_arena::arch::{Arch, Leaf, TableReach, UnsupportedCpu};
use kernel_arena::platform::{EntryAttributes, Frame};
use kernel_arena::sync::AtomicU64;

use crate::machine::Small;

/// [`Small`], whose exchanges fail as weakly as they may.
pub(crate) struct Stale;

// SAFETY: the format is `Small`'s, and so are the functions on slots; a load that is put before an exchange, and lets it fail,
// leaves it as atomic as it was.
unsafe impl Arch for Stale {
    const NAME: &'static str = "stale";
    const TABLE_SHIFT: u32 = Small::TABLE_SHIFT;
    const BREAK_BEFORE_MAKE: bool = Small::BREAK_BEFORE_MAKE;
    const LEAF_ATTRIBUTES: u64 = Small::LEAF_ATTRIBUTES;
    const TABLE_ATTRIBUTES: u64 = Small::TABLE_ATTRIBUTES;

    fn leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
        Small::leaf(leaf, attributes)
    }

    fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf> {
        Small::decode_leaf(word, attributes)
    }

    fn table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
        Small::table(table, reach, attributes)
    }

    fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame> {
        Small::decode_table(word, attributes)
    }

    fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
        let seen = Small::load(slot);
        if seen == old { Small::compare_exchange(slot, old, new) } else { Err(seen) }
    }

    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        Small::check_cpu(layout)
    }
}
