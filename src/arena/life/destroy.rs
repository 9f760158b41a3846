//! The end of an arena.

use core::fmt;
use core::mem::MaybeUninit;

use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::metadata::MetadataWord;
use crate::platform::{FlushScope, FrameSource, Platform};
use crate::report;
use crate::slot::SlotState;
use crate::sync::Ordering;
use crate::tables::UPPER_ENTRIES;

/// What comes back from an arena that was destroyed.
#[derive(Debug)]
pub struct Destroyed<P> {
    /// What the kernel lent, its upper entries vacant again.
    pub platform: P,
    /// The metadata that it lent.
    pub metadata: &'static mut [MaybeUninit<MetadataWord>],
    /// Pages that were still allocated, or queued; their frames are back.
    pub pages: u32,
    /// Pages whose slot held a word that is not the arena's. What that word led to is its writer's; a frame of the arena's that
    /// it has taken the place of is lost.
    pub foreign_pages: u32,
}

/// The arena was not destroyed, for programs see it: detach its views and disband its groups first.
pub struct DestroyRefused<P: Platform, A: Arch = Native> {
    /// The arena, as it was.
    pub arena: Arena<P, A>,
    /// How many views are attached.
    pub views: u32,
    /// How many [holds](crate::groups::Hold) there are.
    pub holds: u64,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Destroys the arena: unlinks the window, has every CPU forget it, and only then gives back the frames of all pages,
    /// tables and the scratch page.
    ///
    /// Owning the arena proves that no operation is going on in it; a fault in flight would hold a [`Registration`] open.
    /// The caller sees to it that nothing uses the window's addresses any more: an access from now on is a fault that no
    /// arena recovers.
    ///
    /// Context: *may wait for a shootdown*, of one range that is the whole window. It calls the frame source and, by
    /// feature, the log.
    ///
    /// # Errors
    /// [`DestroyRefused`], with the arena, while a view is attached or a group holds it.
    ///
    /// [`Registration`]: crate::Registration
    #[expect(clippy::result_large_err, reason = "the arena comes back, and there is no heap to box it in")]
    pub fn destroy(self) -> Result<Destroyed<P>, DestroyRefused<P, A>> {
        // Owning the arena proves that nobody attaches one now.
        let views = self.views.count();
        // Acquire: pairs with the Release of the last `release`.
        let holds = self.shared.0.counters.holds.load(Ordering::Acquire);
        if views != 0 || holds != 0 {
            return Err(DestroyRefused { arena: self, views, holds });
        }
        self.tables.unlink(&self.platform, UPPER_ENTRIES);
        let everything = [self.layout.window(), self.layout.upper_guard()];
        self.flush(&everything, FlushScope::Tables);
        let (pages, foreign_pages) = self.free_all_pages();
        report::destroyed(&self.layout, pages);
        let Self { platform, tables, metadata, .. } = self;
        tables.release(&platform);
        Ok(Destroyed { platform, metadata: metadata.give_back(), pages, foreign_pages })
    }

    /// Counts a hold.
    pub(crate) fn hold(&self) {
        // Relaxed: who holds has the arena by reference, so nobody destroys it now.
        self.shared.0.counters.holds.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one out.
    pub(crate) fn release(&self) {
        // Release: pairs with the Acquire of `destroy`, so that all that was done under the hold comes before the end.
        self.shared.0.counters.holds.fetch_sub(1, Ordering::Release);
    }

    /// How many pages of ours there were, and how many words of others.
    fn free_all_pages(&self) -> (u32, u32) {
        let (mut pages, mut foreign) = (0, 0);
        for slot in self.layout.extent().numbers().filter_map(|page| self.slot(page)) {
            let state = self.state_of(A::swap(slot, 0));
            if let Some(frame) = state.frame() {
                // SAFETY: it came from this source, its slot held it alone, and every CPU has forgotten the window.
                unsafe { self.platform.frames().free(frame) };
                pages += 1;
            }
            foreign += u32::from(matches!(state, SlotState::Foreign(_)));
        }
        (pages, foreign)
    }
}

impl<P: Platform, A: Arch> fmt::Debug for DestroyRefused<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestroyRefused").field("views", &self.views).field("holds", &self.holds).finish_non_exhaustive()
    }
}

impl<P: Platform, A: Arch> fmt::Display for DestroyRefused<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { views, holds, .. } = self;
        write!(f, "{views} views are attached and {holds} groups hold the arena: detach and unregister them first")
    }
}

impl<P: Platform, A: Arch> core::error::Error for DestroyRefused<P, A> {}
