//! Things of one type, numbered, in metadata pages: made by the page, handed out one by one, used again, never unmade.

use core::ptr::{self, NonNull};

use super::{Blank, Radix, make_blank};
use crate::source::{METADATA_PAGE_BYTES, MetadataPage, MetadataSource};
use crate::stack::{Links, TaggedStack};
use crate::sync::{AtomicU32, Line, Ordering};

/// What a [`Store`] can keep.
pub(crate) trait Stable: Blank {
    /// Tells an empty one its number.
    fn set_index(&mut self, index: u32);

    /// The link of the stacks that it may be on, one at a time.
    fn link(&self) -> &AtomicU32;
}

/// Numbered things in up to `ROOT` times 512 metadata pages.
#[derive(Debug)]
pub(crate) struct Store<T: Stable, const ROOT: usize> {
    pages: Radix<T, ROOT>,
    /// How many pages there are, or one less while the last is being added.
    page_count: AtomicU32,
    free: Line<TaggedStack<24>>,
}

// SAFETY: null pointers, and words that are zero.
unsafe impl<T: Stable, const ROOT: usize> Blank for Store<T, ROOT> {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self { pages: Radix::blank(), page_count: AtomicU32::new(0), free: Line(TaggedStack::new()) }
    }
}

impl<T: Stable, const ROOT: usize> Store<T, ROOT> {
    /// How many fit a page; under `cfg(kernel_arena_loom)` two at most.
    #[expect(clippy::cast_possible_truncation, reason = "a page has at most 4096 bytes")]
    pub(crate) const PER_PAGE: u32 = {
        let fit = METADATA_PAGE_BYTES / size_of::<T>();
        if cfg!(kernel_arena_loom) && fit > 2 { 2 } else { fit as u32 }
    };

    /// The thing with this number, if there is one.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let first = self.pages.pointer(index / Self::PER_PAGE)?;
        // SAFETY: a page that is in the table has room for `PER_PAGE` things.
        let thing = unsafe { first.add((index % Self::PER_PAGE) as usize) };
        // SAFETY: all of them were built before it was set.
        Some(unsafe { thing.as_ref() })
    }

    /// How many there are, handed out or not.
    pub(crate) fn made(&self) -> u32 {
        self.page_count.load(Ordering::Relaxed).saturating_mul(Self::PER_PAGE)
    }

    /// All things that were ever made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        // Not by the count, which may lag behind by one.
        (0..u32::MAX).map_while(|index| self.get(index))
    }

    /// Hands out one that nobody has; `None` when there is no memory for another.
    pub(crate) fn take(&self, metadata: &impl MetadataSource) -> Option<u32> {
        // Where there is no memory for more, another CPU may have made some a moment ago.
        self.free.0.pop(self).or_else(|| self.grow(metadata)).or_else(|| self.free.0.pop(self))
    }

    /// Takes one back.
    #[inline(never)]
    pub(crate) fn put(&self, index: u32) {
        self.free.0.push(index, self);
    }

    /// Builds a page of them, hands out the first and keeps the others.
    #[cold]
    #[inline(never)]
    fn grow(&self, metadata: &impl MetadataSource) -> Option<u32> {
        const { assert!(size_of::<T>() * Self::PER_PAGE as usize <= METADATA_PAGE_BYTES && Self::PER_PAGE > 0) };
        const { assert!(align_of::<T>() <= align_of::<MetadataPage>()) };
        let page = metadata.alloc()?;
        let things = page.cast::<T>();
        loop {
            let number = self.page_count.load(Ordering::Relaxed);
            let Some(entry) = self.pages.entry_or_build(number, metadata) else {
                // SAFETY: taken above, shown to nobody.
                unsafe { metadata.free(page) };
                return None;
            };
            let first = number * Self::PER_PAGE;
            // Someone else's page may be there already: then the count is helped on, and the next number tried.
            if entry.load(Ordering::Relaxed).is_null() {
                for nth in 0..Self::PER_PAGE {
                    // SAFETY: the page has room for `PER_PAGE` (asserted above).
                    let thing = unsafe { things.add(nth as usize) };
                    // SAFETY: the page is ours alone, and aligned for them.
                    unsafe { Self::make(thing, first + nth) };
                }
            }
            // Release: built before it can be found.
            let linked =
                entry.compare_exchange(ptr::null_mut(), things.as_ptr(), Ordering::Release, Ordering::Relaxed).is_ok();
            let _ = self.page_count.compare_exchange(number, number + 1, Ordering::Relaxed, Ordering::Relaxed);
            if linked {
                (first + 1..first + Self::PER_PAGE).rev().for_each(|index| self.put(index));
                return Some(first);
            }
        }
    }

    /// Builds one. On its own, since what a blank one is may be many stores.
    ///
    /// # Safety
    /// There is room for one, which is the caller's alone, and aligned.
    #[inline(never)]
    unsafe fn make(thing: NonNull<T>, index: u32) {
        // SAFETY: as the caller promises.
        unsafe { make_blank(thing) };
        // SAFETY: made a moment ago.
        unsafe { &mut *thing.as_ptr() }.set_index(index);
    }

    /// How many metadata pages are taken.
    pub(crate) fn metadata_pages(&self) -> u32 {
        self.pages.node_count() + self.page_count.load(Ordering::Relaxed)
    }

    /// Takes everything down.
    pub(crate) fn dismantle(&mut self, metadata: &impl MetadataSource) {
        self.pages.dismantle(metadata, |first: NonNull<T>| {
            // SAFETY: the page of things, which nothing points to any more; they need no drop.
            unsafe { metadata.free(first.cast()) };
        });
    }
}

impl<T: Stable, const ROOT: usize> Links for Store<T, ROOT> {
    fn link(&self, index: u32) -> Option<&AtomicU32> {
        self.get(index).map(Stable::link)
    }
}
