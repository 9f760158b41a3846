//! Statics for what an arena is lent, and for the arena.

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;

use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::metadata::MetadataWord;
use crate::once::Once;
use crate::platform::Platform;
use crate::sync::{AtomicU32, Ordering};

/// Metadata for one arena, in a static.
///
/// ```
/// use kernel_arena::kit::MetadataCell;
/// static METADATA: MetadataCell<1024> = MetadataCell::new(); // in a kernel: LAYOUT.metadata_words()
/// assert_eq!(METADATA.take().unwrap().len(), 1024);
/// assert!(METADATA.take().is_none());
/// ```
pub struct MetadataCell<const WORDS: usize> {
    words: UnsafeCell<[MaybeUninit<MetadataWord>; WORDS]>,
    taken: AtomicU32,
}

// SAFETY: the words are handed out once, to one caller.
unsafe impl<const WORDS: usize> Sync for MetadataCell<WORDS> {}

impl<const WORDS: usize> MetadataCell<WORDS> {
    /// So many words, not taken.
    pub const fn new() -> Self {
        Self { words: UnsafeCell::new([const { MaybeUninit::uninit() }; WORDS]), taken: AtomicU32::new(0) }
    }

    /// The words, for [`Arena::new`], once; then `None`. Context: *any*.
    ///
    /// What an arena gives back when it is destroyed can be lent to the next one directly.
    #[expect(clippy::mut_from_ref, reason = "the first caller alone gets it")]
    pub fn take(&'static self) -> Option<&'static mut [MaybeUninit<MetadataWord>]> {
        // Relaxed: nothing was written to the words before.
        if self.taken.swap(1, Ordering::Relaxed) != 0 {
            return None;
        }
        // SAFETY: nobody else got here, so nobody else has them; they live as long as the program.
        Some(unsafe { &mut *self.words.get() })
    }
}

impl<const WORDS: usize> Default for MetadataCell<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORDS: usize> fmt::Debug for MetadataCell<WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.taken.load(Ordering::Relaxed) != 0;
        f.debug_struct("MetadataCell").field("words", &WORDS).field("taken", &taken).finish()
    }
}

/// A place in a static for an arena, which is made when the kernel runs and used from everywhere.
///
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use kernel_arena::Arena;
/// use kernel_arena::kit::{ArenaCell, MetadataCell};
/// # use kernel::{LAYOUT, MyKernel};
///
/// static METADATA: MetadataCell<{ LAYOUT.metadata_words() }> = MetadataCell::new();
/// static ARENA: ArenaCell<MyKernel> = ArenaCell::new();
///
/// let arena = Arena::new(MyKernel::boot(), LAYOUT, METADATA.take().unwrap()).unwrap();
/// let arena: &'static Arena<MyKernel> = ARENA.put(arena).unwrap();
/// assert!(std::ptr::eq(arena, ARENA.get().unwrap()));
/// // SAFETY: nobody uses it any more, nor is it registered.
/// let arena = unsafe { ARENA.take() }.unwrap();
/// assert_eq!(arena.destroy().unwrap().pages, 0);
/// ```
pub struct ArenaCell<P: Platform, A: Arch = Native> {
    arena: Once<Arena<P, A>>,
}

impl<P: Platform, A: Arch> ArenaCell<P, A> {
    /// An empty place.
    pub const fn new() -> Self {
        Self { arena: Once::new() }
    }

    /// Puts an arena there. Context: *any*.
    ///
    /// # Errors
    /// The arena comes back if there is one already, or if somebody is putting one there at this moment.
    #[expect(clippy::result_large_err, reason = "the arena comes back as it was given")]
    pub fn put(&'static self, arena: Arena<P, A>) -> Result<&'static Arena<P, A>, Arena<P, A>> {
        self.arena.put(arena)
    }

    /// The arena, if it is there (already). Context: *any*.
    pub fn get(&'static self) -> Option<&'static Arena<P, A>> {
        self.arena.get()
    }

    /// Takes the arena out, for [`destroy`](Arena::destroy); then another can be put there. Context: *any*.
    ///
    /// # Safety
    /// No reference that [`put`](Self::put) or [`get`](Self::get) gave is used from now on, and nobody calls `get` or
    /// shows this cell at this moment: the arena was [removed](crate::Registry::remove) from its registry, no heap and no slab stands on it, and what
    /// the kernel did with it happens before this call.
    pub unsafe fn take(&'static self) -> Option<Arena<P, A>> {
        // SAFETY: as the caller promises.
        unsafe { self.arena.take() }
    }
}

impl<P: Platform, A: Arch> Default for ArenaCell<P, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform, A: Arch> fmt::Debug for ArenaCell<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaCell").field("arena", &self.arena.get()).finish()
    }
}
