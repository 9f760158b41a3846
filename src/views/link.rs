//! The four entries of a view.

use crate::arch::Arch;
use crate::platform::ViewEntries;
use crate::tables::Tables;

/// How many a view has.
pub(crate) const VIEW_ENTRIES: usize = 4;

/// Why a view's entries were not all linked.
#[derive(Debug)]
pub(crate) struct EntryTaken {
    /// How many were, lowest first.
    pub(crate) linked: usize,
}

/// Links the window: each entry by a compare-exchange from the vacant word, lowest first, then a barrier for the walkers.
pub(crate) fn link<A: Arch>(entries: &impl ViewEntries, words: [u64; 4]) -> Result<(), EntryTaken> {
    // SAFETY: they are lent to the view that is being attached, and written only here and in `unlink`.
    let lent = unsafe { entries.view_entries() };
    let vacant = entries.vacant_word();
    for (linked, (entry, word)) in lent.into_iter().zip(words).enumerate() {
        A::try_install(entry, vacant, word).map_err(|_| EntryTaken { linked })?;
    }
    A::publish_and_sync();
    Ok(())
}

/// Unlinks the first `linked` entries, where they still lead to the window. What TLBs remember is the caller's to flush.
pub(crate) fn unlink<A: Arch>(entries: &impl ViewEntries, tables: &Tables<A>, linked: usize) {
    // SAFETY: as in `link`.
    let lent = unsafe { entries.view_entries() };
    let vacant = entries.vacant_word();
    for (quarter, entry) in lent.into_iter().enumerate().take(linked) {
        // By the word that is there: a mapper may have set bits in it. Somebody who has put another there, which nobody may,
        // has unlinked ours.
        let mut word = A::load(entry);
        while tables.is_directory_link(quarter, word) {
            match A::compare_exchange(entry, word, vacant) {
                Ok(()) => break,
                Err(there) => word = there,
            }
        }
    }
}
