//! The debug mode: mistakes of trusted code are found when an object is freed, or a while later.
//!
//! - A *double free* finds the object's bit clear in a map like that of checked frees (`live`).
//! - An *overrun* finds the canary changed (`canary`) that fills the object from what was asked for to the end of its
//!   class: at least one word, but for sizes of which no class has a word more. A *free with another size* finds the
//!   canary of the right one.
//! - A *write after the free* finds the poison changed when the object leaves quarantine, [`QUARANTINE`] frees later.
//!
//! The same holds for the runs of pages of a heap on top (`runs`).
//!
//! Racks stay unbound, so every operation comes this way and the hot path of the fast mode knows nothing of it.

use core::alloc::Layout;

use super::canary::CANARY_BYTES;
use super::classes::SizeClass;
use super::live::LiveMap;
use super::runs::RunMap;
use super::write::repeated;
use super::{Slab, SlabError};
use crate::addr::{PAGE_SHIFT, PageRange};
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::store::Blank;
use crate::sync::{AtomicU64, Ordering};

/// How many freed objects wait before they may be handed out again.
const QUARANTINE: usize = if cfg!(kernel_arena_loom) { 2 } else { 64 };
const FRESH: u8 = 0xa5;
pub(super) const POISON: u8 = 0xde;

/// What was freed and is not handed out yet: a ring of words, 0 or what [`Waiting`] says.
#[derive(Debug)]
pub(super) struct Debugger {
    ring: [AtomicU64; QUARANTINE],
    next: AtomicU64,
    /// The objects that trusted code has. Not those of checked frees, which a program could name.
    pub(super) held: LiveMap,
    pub(super) runs: RunMap,
}

/// What waits in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// An object at an offset.
    Object(u32, SizeClass),
    Run(PageRange),
}

// SAFETY: words that are zero, and a blank map.
unsafe impl Blank for Debugger {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self {
            ring: core::array::from_fn(|_| AtomicU64::new(0)),
            next: AtomicU64::new(0),
            held: LiveMap::blank(),
            runs: RunMap::blank(),
        }
    }
}

impl Debugger {
    /// Puts something into quarantine; returns that whose place it takes. Whoever swaps a word has what was in it:
    /// Release and Acquire hand it on.
    fn exchange(&self, waiting: Waiting) -> Option<Waiting> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "only the remainder counts")]
        let place = &self.ring[turn as usize % QUARANTINE];
        Waiting::parse(place.swap(waiting.word(), Ordering::AcqRel))
    }
}

/// What a word says in 39:32 of a run. Classes have smaller numbers.
const RUN: u64 = 0xff;

impl Waiting {
    /// An offset in 31:0, a class + 1 or [`RUN`] in 39:32, and a run's pages in 63:40.
    fn word(self) -> u64 {
        match self {
            Self::Object(offset, class) => u64::from(offset) | (u64::from(class.number()) + 1) << 32,
            Self::Run(pages) => u64::from(pages.to_ptr().offset()) | RUN << 32 | u64::from(pages.count().get()) << 40,
        }
    }

    fn parse(word: u64) -> Option<Self> {
        let offset = (word & 0xffff_ffff) as u32;
        match word >> 32 & 0xff {
            0 => None,
            RUN => Some(Self::Run(PageRange::of(offset >> PAGE_SHIFT, (word >> 40 & 0x00ff_ffff) as u32))),
            class => Some(Self::Object(offset, SizeClass::from_number((class & 0xff) as u8 - 1))),
        }
    }
}

/// The class for a layout with its canary; the class alone if none is large enough.
fn class_for(layout: Layout) -> Option<SizeClass> {
    let watched = layout.size().checked_add(CANARY_BYTES);
    let padded = watched.and_then(|size| Layout::from_size_align(size, layout.align()).ok());
    let class = SizeClass::of(layout)?;
    Some(padded.and_then(SizeClass::of).unwrap_or(class))
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    pub(super) fn alloc_debug(&self, debugger: &Debugger, layout: Layout) -> Result<u32, SlabError> {
        let class = class_for(layout).ok_or(SlabError::of(layout))?;
        let offset = self.take_one(class)?;
        if debugger.held.set(offset, &self.metadata).is_none() {
            self.put_one(offset);
            return Err(SlabError::OutOfMetadata);
        }
        self.fill(offset, layout.size(), repeated(FRESH));
        self.set_canary(offset, layout.size(), class.size());
        Ok(offset)
    }

    pub(super) fn free_debug(&self, debugger: &Debugger, offset: u32, layout: Layout) {
        if !debugger.held.clear(offset) {
            let is_run = debugger.runs.starts_at(offset);
            self.misuse(offset, if is_run { Misuse::WrongSize } else { self.why_not_live(offset) });
            return;
        }
        let found = self.find(offset).map(|(_, slab, _)| slab.class());
        let checked = match found.filter(|class| Some(*class) == class_for(layout)) {
            Some(class) => self.check_canary(offset, layout.size(), class.size()).map(|()| class),
            None => Err(Misuse::WrongSize),
        };
        match checked {
            Ok(class) => {
                self.fill(offset, class.size(), repeated(POISON));
                self.keep_waiting(debugger, Waiting::Object(offset, class));
            }
            Err(misuse) => {
                if misuse == Misuse::WrongSize {
                    // Still with its holder. What was damaged stays out for ever, for whoever looks into it.
                    let _ = debugger.held.set(offset, &self.metadata);
                }
                self.misuse(offset, misuse);
            }
        }
    }

    /// Puts something into quarantine; what has waited longest may leave.
    pub(super) fn keep_waiting(&self, debugger: &Debugger, waiting: Waiting) {
        if let Some(waiting) = debugger.exchange(waiting) {
            self.release(waiting);
        }
    }

    /// Empties the quarantine; says how many runs went back.
    pub(super) fn end_quarantine(&self) -> u32 {
        let places = self.debugger().into_iter().flat_map(|debugger| &debugger.ring);
        let waiting = places.filter_map(|place| Waiting::parse(place.swap(0, Ordering::AcqRel)));
        waiting.map(|waiting| u32::from(self.release(waiting))).sum()
    }

    /// Something leaves quarantine; says whether pages went back.
    fn release(&self, waiting: Waiting) -> bool {
        match waiting {
            Waiting::Run(pages) => return self.release_run(pages),
            Waiting::Object(offset, class) if self.is_filled(offset, class.size(), repeated(POISON)) => {
                self.put_one(offset);
            }
            Waiting::Object(offset, _) => _ = self.misuse(offset, Misuse::WrittenAfterFree),
        }
        false
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_ring_name_what_waits() {
        let objects = SizeClass::all().map(|class| Waiting::Object(u32::MAX - 7, class));
        let runs = [(1, 1), ((1 << 20) - 1, 1), (1, (1 << 20) - 1)].map(|(first, count)| PageRange::of(first, count));
        for waiting in objects.chain(runs.map(Waiting::Run)) {
            assert_eq!(Waiting::parse(waiting.word()), Some(waiting));
        }
        assert_eq!(Waiting::parse(0), None);
    }
}
