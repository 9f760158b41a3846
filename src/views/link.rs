//! The four entries of a view.

use crate::arch::Arch;
use crate::platform::ViewEntries;

/// Why a view's entries were not all linked.
#[derive(Debug)]
pub(crate) struct EntryTaken {
    /// How many were, lowest first.
    pub(crate) linked: usize,
}

/// Links the window: each entry by a compare-exchange from zero, lowest first, then a barrier for the walkers.
pub(crate) fn link<A: Arch>(entries: &impl ViewEntries, words: [u64; 4]) -> Result<(), EntryTaken> {
    // SAFETY: they are lent to the view that is being attached, and written only here and in `unlink`.
    let lent = unsafe { entries.view_entries() };
    for (linked, (entry, word)) in lent.into_iter().zip(words).enumerate() {
        A::try_install(entry, 0, word).map_err(|_| EntryTaken { linked })?;
    }
    A::publish_and_sync();
    Ok(())
}

/// Unlinks the first `linked` entries, where they still hold what was put there. What TLBs remember is the caller's to flush.
pub(crate) fn unlink<A: Arch>(entries: &impl ViewEntries, words: [u64; 4], linked: usize) {
    // SAFETY: as in `link`.
    let lent = unsafe { entries.view_entries() };
    for (entry, word) in lent.into_iter().zip(words).take(linked) {
        // Somebody who has written over it, which nobody may, has unlinked it already.
        let _theirs = A::compare_exchange(entry, word, 0);
    }
}
