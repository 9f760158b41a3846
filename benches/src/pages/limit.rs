//! The limit: a bitmap and an array of slots, both flat, each changed by one locked operation; nothing is searched further than the
//! next word, and no rule kept but that a page is one person's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::reserved::Numbers;
use super::{Pages, frames};

pub(super) struct Flat {
    words: Vec<AtomicU64>,
    slots: Vec<AtomicU64>,
    /// Where the last page was, of each half of the threads.
    hint: [Line; 2],
}

#[repr(align(128))]
struct Line(AtomicU32);

impl Flat {
    pub(super) fn new(pages: u32) -> Self {
        let pages = pages as usize + 1;
        let words: Vec<_> = (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        words[0].store(1, Ordering::Relaxed);
        let slots = (0..pages).map(|_| AtomicU64::new(0)).collect();
        let last = u32::try_from(words.len() / 2).expect("few words");
        Self { words, slots, hint: [Line(AtomicU32::new(0)), Line(AtomicU32::new(last))] }
    }

    fn install(&self, page: usize) {
        let frame = frames::for_page();
        frames::zero(frame);
        let there = self.slots[page].compare_exchange(0, frame | 3, Ordering::AcqRel, Ordering::Relaxed);
        assert!(there.is_ok(), "the page was free");
    }
}

thread_local! {
    static HALF: usize = usize::from(std::thread::current().name().is_none());
}

impl Pages for Flat {
    #[inline]
    fn alloc(&self, pages: u32) -> Option<u32> {
        let hint = &self.hint[HALF.with(|half| *half)].0;
        let start = hint.load(Ordering::Relaxed) as usize;
        let mask = if pages == 64 { u64::MAX } else { (1 << pages) - 1 };
        for at in (start..self.words.len()).chain(0..start) {
            let mut word = self.words[at].load(Ordering::Relaxed);
            // Runs at multiples of their length alone: less than anybody else has to find.
            while let Some(shift) = (0..64).step_by(pages as usize).find(|shift| word & mask << shift == 0) {
                match self.words[at].compare_exchange(word, word | mask << shift, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => {
                        hint.store(u32::try_from(at).expect("few words"), Ordering::Relaxed);
                        let first = at * 64 + shift;
                        (first..first + pages as usize).for_each(|page| self.install(page));
                        return u32::try_from(first).ok();
                    }
                    Err(now) => word = now,
                }
            }
        }
        None
    }

    #[inline]
    fn free(&self, first: u32, pages: u32) {
        let first = first as usize;
        for slot in &self.slots[first..first + pages as usize] {
            slot.swap(0, Ordering::AcqRel);
        }
        let mask = if pages == 64 { u64::MAX } else { (1 << pages) - 1 };
        self.words[first / 64].fetch_and(!(mask << (first % 64)), Ordering::AcqRel);
        self.hint[HALF.with(|half| *half)].0.store(u32::try_from(first / 64).expect("few words"), Ordering::Relaxed);
    }

    fn is_mapped(&self, page: u32) -> bool {
        self.slots[page as usize].load(Ordering::Relaxed) != 0
    }
}

/// What a slot says of a page that is set aside.
const RESERVED: u64 = 4;

impl Numbers for Flat {
    #[inline]
    fn reserve(&self, page: u32) -> bool {
        let bit = 1 << (page % 64);
        let is_free = self.words[page as usize / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0;
        if is_free {
            let slot = &self.slots[page as usize];
            assert!(slot.compare_exchange(0, RESERVED, Ordering::AcqRel, Ordering::Relaxed).is_ok(), "it was empty");
        }
        is_free
    }
    #[inline]
    fn give_up(&self, page: u32) {
        let slot = &self.slots[page as usize];
        assert!(slot.compare_exchange(RESERVED, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok(), "it was reserved");
        self.words[page as usize / 64].fetch_and(!(1 << (page % 64)), Ordering::AcqRel);
    }
}
