//! Runs of pages that a heap on top takes from the same source: counted here, and watched in debug mode.
//!
//! In debug mode a word for each page says how many bytes the run has that starts there. Changing it to "none", one
//! compare-exchange, is the right to free: a second free, one of another size, or one of what is no run finds
//! something else there, and is refused. A canary follows the bytes, and a run of up to [`QUARANTINED_PAGES`] is poisoned
//! and waits with the objects.

use super::Slab;
use super::canary::CANARY_BYTES;
use super::debug::{Debugger, Waiting};
use super::write::repeated;
use super::{SlabError, debug};
use crate::addr::{PAGE_SHIFT, PageCount, PageIndex, PageRange};
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::store::{Blank, Radix, new_array};
use crate::sync::{AtomicU64, Ordering};

/// Longer runs go back at once when they are freed, for it would take long to poison them.
const QUARANTINED_PAGES: u32 = 64;
/// Pages that a leaf is for.
const LEAF_PAGES: u32 = 512;
/// No run starts here, but one did.
const FREED: u64 = 1 << 63;

type Leaf = [AtomicU64; LEAF_PAGES as usize];

/// The size in bytes of the run that starts at a page; 0 if none ever did.
#[derive(Debug)]
pub(super) struct RunMap {
    leaves: Radix<Leaf, 4>,
}

// SAFETY: a blank table.
unsafe impl Blank for RunMap {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self { leaves: Radix::blank() }
    }
}

impl RunMap {
    fn word(&self, page: u32) -> Option<&AtomicU64> {
        self.leaves.get(page / LEAF_PAGES)?.get((page % LEAF_PAGES) as usize)
    }

    fn word_or_build(&self, page: u32, metadata: &impl MetadataSource) -> Option<&AtomicU64> {
        let clear = |metadata: &_| new_array(metadata, || AtomicU64::new(0));
        let leaf = self.leaves.get_or_build(page / LEAF_PAGES, metadata, clear)?;
        leaf.get((page % LEAF_PAGES) as usize)
    }

    /// Whether a run that somebody has starts at an offset.
    pub(super) fn starts_at(&self, offset: u32) -> bool {
        let word = self.word(offset >> PAGE_SHIFT).map_or(0, |word| word.load(Ordering::Relaxed));
        offset % (1 << PAGE_SHIFT) == 0 && word != 0 && word != FREED
    }

    pub(super) fn metadata_pages(&self) -> u32 {
        self.leaves.node_count() + self.leaves.set_count()
    }

    pub(super) fn dismantle(&mut self, metadata: &impl MetadataSource) {
        self.leaves.dismantle(metadata, |leaf| {
            // SAFETY: the page of a leaf, which nothing points to any more.
            unsafe { metadata.free(leaf.cast()) };
        });
    }
}

/// How many pages a size takes.
fn pages_of(size: usize) -> Option<PageCount> {
    PageCount::new(u32::try_from(size.div_ceil(1 << PAGE_SHIFT)).ok()?)
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// How many pages a run of so many bytes takes: in debug mode with room for a canary. `None` if there are not so
    /// many.
    pub(crate) fn run_pages(&self, size: usize) -> Option<PageCount> {
        pages_of(match self.debugger() {
            Some(_) => size.checked_add(CANARY_BYTES)?,
            None => size,
        })
    }

    /// Counts a run that the heap took, and writes down how large it is in debug mode. On an error the run is the
    /// heap's, which gives it back.
    pub(crate) fn hold_run(&self, pages: PageRange, size: usize) -> Result<(), SlabError> {
        if let Some(debugger) = self.debugger() {
            let first = pages.first().number();
            let word = debugger.runs.word_or_build(first, &self.metadata).ok_or(SlabError::OutOfMetadata)?;
            self.set_canary(pages.to_ptr().offset(), size, bytes_of(pages));
            // Release: written before somebody frees it.
            word.store(size as u64, Ordering::Release);
        }
        self.count_run(pages.count());
        Ok(())
    }

    /// Takes a run back that starts at an offset, if that is one.
    ///
    /// # Safety
    /// In fast mode: it is a run of that size that the caller has, and nobody uses it.
    pub(crate) unsafe fn free_run(&self, offset: u32, size: usize) {
        let first = PageIndex::new(offset >> PAGE_SHIFT);
        let pages = first.zip(self.run_pages(size)).and_then(|(first, count)| PageRange::new(first, count));
        let Some(pages) = pages.filter(|pages| is_within(*pages, self.source.extent())) else {
            self.misuse(offset, Misuse::Outside);
            return;
        };
        match self.debugger() {
            Some(debugger) => self.free_watched(debugger, pages, offset, size),
            None => self.keep_run(pages),
        }
    }

    /// Makes a run that the caller has larger or smaller where it is, not in debug mode; says whether it is so now. Nobody
    /// uses what is cut off.
    pub(crate) fn resize_run(&self, pages: PageRange, wanted: PageCount) -> bool {
        let (have, wanted) = (pages.count().get(), wanted.get());
        if wanted > have {
            let more = PageCount::saturating(wanted - have);
            let grown = self.source.extend(pages, more);
            if grown {
                self.count_run(more);
            }
            return grown;
        }
        if wanted < have {
            // A source takes pages back one by one, too.
            self.give_run(PageRange::of(pages.first().number() + wanted, have - wanted));
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn free_watched(&self, debugger: &Debugger, pages: PageRange, offset: u32, size: usize) {
        if let Err(misuse) = self.unhold(debugger, offset, size) {
            self.misuse(offset, misuse);
            return;
        }
        let bytes = bytes_of(pages);
        // What was damaged stays out for ever, for whoever looks into it.
        if self.check_canary(offset, size, bytes).is_err() {
            self.misuse(offset, Misuse::Overrun);
        } else if pages.count().get() > QUARANTINED_PAGES {
            self.give_run(pages);
        } else {
            self.fill(offset, bytes, repeated(debug::POISON));
            self.keep_waiting(debugger, Waiting::Run(pages));
        }
    }

    /// The right to free a run: whoever gets it is the only one.
    fn unhold(&self, debugger: &Debugger, offset: u32, size: usize) -> Result<(), Misuse> {
        let word = debugger.runs.word(offset >> PAGE_SHIFT).filter(|_| offset % (1 << PAGE_SHIFT) == 0);
        let seen = word.map_or(0, |word| word.load(Ordering::Relaxed));
        match word {
            // Acquire: pairs with `hold_run`.
            Some(word) if seen == size as u64 => {
                let taken = word.compare_exchange(seen, FREED, Ordering::Acquire, Ordering::Relaxed);
                taken.map(|_| ()).map_err(|_| Misuse::NotLive)
            }
            _ if debugger.held.is_set(offset) => Err(Misuse::WrongSize),
            _ => match self.why_not_live(offset) {
                Misuse::NoObjects if seen == FREED => Err(Misuse::NotLive),
                Misuse::NoObjects if seen != 0 => Err(Misuse::WrongSize),
                other => Err(other),
            },
        }
    }

    /// A run leaves quarantine: its poison is whole, or it stays out for ever.
    pub(super) fn release_run(&self, pages: PageRange) -> bool {
        let offset = pages.to_ptr().offset();
        let whole = self.is_filled(offset, bytes_of(pages), repeated(debug::POISON));
        if whole {
            self.give_run(pages);
        } else {
            self.misuse(offset, Misuse::WrittenAfterFree);
        }
        whole
    }

    /// Gives the pages of a run back to the source, if so many are out.
    #[inline(never)]
    pub(super) fn give_run(&self, pages: PageRange) {
        if !self.count_run_gone(pages.count()) {
            // This one was freed before, or is none.
            self.misuse(pages.to_ptr().offset(), Misuse::NotLive);
            return;
        }
        // SAFETY: a run that the heap took; its holder gave it back, and nobody uses it.
        unsafe { self.source.free_pages(pages) };
    }
}

/// A run is shorter than the window.
#[expect(clippy::cast_possible_truncation, reason = "at most 4 GiB, on a machine of 64 bits")]
fn bytes_of(pages: PageRange) -> usize {
    pages.count().bytes() as usize
}

fn is_within(pages: PageRange, extent: PageRange) -> bool {
    let (pages, extent) = (pages.numbers(), extent.numbers());
    extent.start <= pages.start && pages.end <= extent.end
}
