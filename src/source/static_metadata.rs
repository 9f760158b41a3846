//! Bookkeeping pages that are part of the kernel's image.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::{MetadataPage, MetadataSource};
use crate::stack::{Links, TaggedStack};
use crate::sync::{AtomicU32, Ordering};

/// `N` pages for bookkeeping, in a static.
///
/// ```
/// use kernel_arena::source::{MetadataSource, StaticMetadata};
/// static METADATA: StaticMetadata<4> = StaticMetadata::new();
/// let page = (&METADATA).alloc().unwrap();
/// // SAFETY: it came from there and is not used.
/// unsafe { (&METADATA).free(page) };
/// assert_eq!(format!("{METADATA:?}"), "StaticMetadata { pages: 4, ever_used: 1, .. }");
/// ```
pub struct StaticMetadata<const N: usize> {
    pages: UnsafeCell<[MaybeUninit<MetadataPage>; N]>,
    /// Pages that were never handed out start here.
    fresh: AtomicU32,
    returned: TaggedStack<20>,
    links: [AtomicU32; N],
}

// SAFETY: nothing is done with the pages but to hand each out to one caller at a time; the rest is atomic.
unsafe impl<const N: usize> Sync for StaticMetadata<N> {}

impl<const N: usize> StaticMetadata<N> {
    /// The pages, none handed out. There can be at most 2^20 - 1.
    pub const fn new() -> Self {
        const { assert!(N < 1 << 20, "at most 2^20 - 1 pages") };
        Self {
            pages: UnsafeCell::new([const { MaybeUninit::uninit() }; N]),
            fresh: AtomicU32::new(0),
            returned: TaggedStack::new(),
            links: [const { AtomicU32::new(0) }; N],
        }
    }

    fn page(&self, index: u32) -> Option<NonNull<MetadataPage>> {
        let first = self.pages.get().cast::<MetadataPage>();
        NonNull::new(first.wrapping_add(index as usize))
    }
}

impl<const N: usize> Default for StaticMetadata<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for StaticMetadata<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // How many were ever handed out. What came back since is on the stack, which is not counted.
        let used = self.fresh.load(Ordering::Relaxed);
        f.debug_struct("StaticMetadata").field("pages", &N).field("ever_used", &used).finish_non_exhaustive()
    }
}

impl<const N: usize> Links for StaticMetadata<N> {
    fn link(&self, index: u32) -> Option<&AtomicU32> {
        self.links.get(index as usize)
    }
}

// Not for the pages by value: they would move with it, away from those who know them.
// SAFETY: each page is part of what is borrowed, and handed out once until it comes back: by the counter the first
// time, by the stack later. The kernel's own memory lies in no arena's window.
unsafe impl<const N: usize> MetadataSource for &StaticMetadata<N> {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        if let Some(index) = self.returned.pop(*self) {
            return self.page(index);
        }
        // Relaxed: the number alone matters; nobody wrote to a fresh page.
        let next = |fresh| ((fresh as usize) < N).then_some(fresh + 1);
        let fresh = self.fresh.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        self.page(fresh.ok()?)
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        let bytes = page.addr().get().wrapping_sub(self.pages.get().addr());
        if let Ok(index) = u32::try_from(bytes / size_of::<MetadataPage>()) {
            self.returned.push(index, *self);
        }
    }
}
