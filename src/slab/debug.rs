//! The debug mode: mistakes of trusted code are found when an object is freed, or a while later.
//!
//! - A *double free* finds the object's bit clear in a map like that of checked frees (`live`).
//! - An *overrun* finds the canary changed that fills the object from what was asked for to the end of its class, at
//!   least one word, unless the object is of the largest size.
//! - A *write after the free* finds the poison changed when the object leaves quarantine, [`QUARANTINE`] frees later.
//!
//! Racks stay unbound, so every operation comes this way and the hot path of the fast mode knows nothing of it.

use core::alloc::Layout;

use super::classes::SizeClass;
use super::live::LiveMap;
use super::{Slab, SlabError};
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::store::Blank;
use crate::sync::{AtomicU64, Ordering};

/// How many freed objects wait before they may be handed out again.
const QUARANTINE: usize = if cfg!(kernel_arena_loom) { 2 } else { 64 };
/// The least number of bytes after an object that are watched.
const CANARY_BYTES: usize = 8;

const FRESH: u8 = 0xa5;
const CANARY: u8 = 0xc3;
const POISON: u8 = 0xde;

/// Freed objects that are not handed out yet: a ring of words, each an offset in 31:0 and a class + 1 in 39:32, or 0.
#[derive(Debug)]
pub(super) struct Debugger {
    ring: [AtomicU64; QUARANTINE],
    next: AtomicU64,
    /// The objects that trusted code has. Not those of checked frees, which a program could name.
    pub(super) held: LiveMap,
}

// SAFETY: words that are zero, and a blank map.
unsafe impl Blank for Debugger {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self { ring: core::array::from_fn(|_| AtomicU64::new(0)), next: AtomicU64::new(0), held: LiveMap::blank() }
    }
}

impl Debugger {
    /// Puts an object into quarantine; returns the one whose place it takes. Whoever swaps a word has what was in it:
    /// Release and Acquire hand the object on.
    fn exchange(&self, entry: u64) -> Option<(u32, SizeClass)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "only the remainder counts")]
        let place = &self.ring[turn as usize % QUARANTINE];
        parse(place.swap(entry, Ordering::AcqRel))
    }
}

fn entry(offset: u32, class: SizeClass) -> u64 {
    u64::from(offset) | (u64::from(class.number()) + 1) << 32
}

fn parse(entry: u64) -> Option<(u32, SizeClass)> {
    let number = ((entry >> 32 & 0xff) as u8).checked_sub(1)?;
    Some(((entry & 0xffff_ffff) as u32, SizeClass::from_number(number)))
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
        self.fill(offset, layout.size(), FRESH);
        self.fill(offset.saturating_add(to_u32(layout.size())), class.size() - layout.size(), CANARY);
        Ok(offset)
    }

    pub(super) fn free_debug(&self, debugger: &Debugger, offset: u32, layout: Layout) {
        if !debugger.held.clear(offset) {
            self.misuse(offset, self.why_not_live(offset));
            return;
        }
        let found = self.find(offset).map(|(_, slab, _)| slab.class());
        let Some(class) = found.filter(|class| Some(*class) == class_for(layout)) else {
            // Still his who has it.
            let _ = debugger.held.set(offset, &self.metadata);
            self.misuse(offset, Misuse::WrongSize);
            return;
        };
        // What was damaged stays out for ever, for whoever looks into it.
        let canary = offset.saturating_add(to_u32(layout.size()));
        if !self.is_filled(canary, class.size() - layout.size(), CANARY) {
            self.misuse(offset, Misuse::Overrun);
            return;
        }
        self.fill(offset, class.size(), POISON);
        if let Some((offset, class)) = debugger.exchange(entry(offset, class)) {
            self.release(offset, class);
        }
    }

    /// Empties the quarantine.
    pub(super) fn end_quarantine(&self) {
        let Some(debugger) = self.debugger() else { return };
        for place in &debugger.ring {
            if let Some((offset, class)) = parse(place.swap(0, Ordering::AcqRel)) {
                self.release(offset, class);
            }
        }
    }

    /// An object leaves quarantine.
    fn release(&self, offset: u32, class: SizeClass) {
        if self.is_filled(offset, class.size(), POISON) {
            self.put_one(offset);
        } else {
            self.misuse(offset, Misuse::WrittenAfterFree);
        }
    }
}

/// Sizes of objects are at most 2^15.
fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
