//! The pool: blocks of any size from 8 bytes up, on the pages of a [`PageSource`], for any number of CPUs, without a
//! lock.
//!
//! Memory is counted in *granules* of 8 bytes. A *block* is a run of granules, at the lowest place where it fits; a
//! *chunk* is what was taken from the page source at once, four pages or what a block needs, and goes back whole when
//! nothing in it is used. Blocks may reach from one chunk into the next: where pages lie side by side, their granules
//! do.
//!
//! What is known of a page (`record`) lies in pages of a [`MetadataSource`]; nothing is ever written into the memory
//! that is handed out (I11). Three bits a granule: it is *taken*, a block *ends* with it, a live block *starts* with
//! it. Whoever frees has to name the block exactly, where it starts and how long it is; everything else is refused with
//! a [`Misuse`], recorded at the source, and changes nothing. What a pool refuses to be: fast. Objects of one size
//! belong into a slab.
//!
//! # How it stays whole
//! - *Granules* are claimed by setting their *taken* bits, a compare-exchange a word, lowest word first; who finds one
//!   set gives back exactly what it set. A page that the pool does not have counts as taken, so a search that is late
//!   finds out when it claims. Claims are Acquire, un-claims Release: the next holder of a granule sees all that was
//!   done with it.
//! - A block is *published* last: end bit, then start bit. The start bits of 32 granules share a word with a count of
//!   all blocks that were ever published there. Publishing is Release.
//! - *The right to free* is the start bit. A free loads its word (Acquire, so it sees the block's end, and no end of an
//!   older block, whose holder un-claimed before this one claimed), compares the ends with the size, and clears the bit
//!   by a compare-exchange from the word that it loaded. Of two frees one fails. A free that was overtaken, by a free
//!   and an allocation at the same place, fails too, since the count has moved on: it never takes the newer block, be
//!   it of another size.
//! - *A chunk goes back* to whoever has claimed all of its granules, which is an allocation like any other: nobody can
//!   have a block in it then, nor get one. To find that nothing is used the words are looked at; nothing is counted
//!   that could drift. A look that misses the moment leaves a free chunk behind for the next [`shrink`](Pool::shrink).
//! - Records are never unmade before the pool is destroyed, so whoever is late reads a record, if not the one that was meant.
//!
//! No operation waits for another (I8). A claim that fails does so because another operation holds a granule; of those
//! that met, the one that holds the highest word in dispute goes on, so all together always move on. What an operation
//! that was interrupted holds is taken as far as others can see. They look elsewhere, and at last take new pages.

use core::alloc::Layout;
use core::fmt;

use crate::addr::ArenaPtr;
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::sync::{AtomicU32, Line};

mod alloc;
mod block;
mod chunk;
mod claim;
mod destroy;
mod error;
mod free;
mod ledger;
mod page;
mod record;
mod run;
mod stats;

pub use destroy::PoolLeftovers;
pub use error::PoolError;
pub use stats::PoolStats;

use ledger::Ledger;

/// Bytes of a granule: sizes are rounded up to it, and every block is aligned to it. Under `cfg(kernel_arena_loom)` 32,
/// so that a page is two words of them.
pub const GRANULE_BYTES: u32 = if cfg!(kernel_arena_loom) { 32 } else { 8 };
/// Pages that a pool takes at once, unless a block needs more or the source has fewer; a model's pool takes one.
pub const GROWTH_PAGES: u32 = if cfg!(kernel_arena_loom) { 1 } else { 4 };

/// A pool of blocks.
///
/// All operations take `&self` and may run on any number of CPUs at once. A pool that is dropped without
/// [`destroy`](Self::destroy) keeps its pages and its bookkeeping for ever.
///
/// # Examples
/// ```
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
/// use kernel_arena::kit::Unnamed;
/// use kernel_arena::platform::CpuCount;
/// use kernel_arena::pool::Pool;
/// use kernel_arena::source::{MetadataPage, Region, StaticMetadata, region_words};
/// use kernel_arena::{MetadataWord, Misuse};
///
/// // A kernel lends statics; here 16 pages for blocks, and 4 for what is known about them.
/// let memory: Box<[MaybeUninit<MetadataPage>]> = Box::new_uninit_slice(16);
/// let words: Box<[MaybeUninit<MetadataWord>]> = Box::new_uninit_slice(region_words(16));
/// static METADATA: StaticMetadata<4> = StaticMetadata::new();
/// // SAFETY: a CPU identity that says nothing is always right.
/// let region = unsafe { Region::new(Box::leak(memory), Box::leak(words), Unnamed::new(CpuCount::ONE)) };
/// let pool = Pool::new(region, &METADATA);
///
/// let block = pool.alloc(Layout::new::<[u8; 100]>()).unwrap();
/// assert_eq!(pool.free(block, 80), Err(Misuse::WrongSize));
/// assert_eq!(pool.free(block, 100), Ok(()));
/// assert_eq!(pool.free(block, 100), Err(Misuse::NotLive));
/// assert_eq!(pool.destroy().live_blocks, 0);
/// ```
pub struct Pool<S: PageSource, M: MetadataSource> {
    source: S,
    metadata: M,
    ledger: Ledger,
    /// One more than the first page of the chunk that was found free last, and is kept; 0 for none. A hint.
    spare: Line<AtomicU32>,
}

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// A pool without pages.
    pub fn new(source: S, metadata: M) -> Self {
        Self { source, metadata, ledger: Ledger::new(), spare: Line(AtomicU32::new(0)) }
    }

    /// Where the pages come from.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Where the pages for bookkeeping come from.
    pub const fn metadata(&self) -> &M {
        &self.metadata
    }

    /// The address of a byte, for the kernel. Only the holder of a live block may use it, and only within the block.
    pub fn to_kernel<T>(&self, ptr: ArenaPtr<T>) -> *mut T {
        self.source.base().wrapping_add(ptr.offset() as usize).cast()
    }

    /// Hands out a block of uninitialised memory, at the lowest place where it fits.
    ///
    /// Context: *any* in which both sources may be called.
    ///
    /// # Errors
    /// [`PoolError`]; nothing was taken then, but for bookkeeping pages that stay for the next try.
    pub fn alloc(&self, layout: Layout) -> Result<ArenaPtr, PoolError> {
        let (page, run) = self.place(layout)?;
        page.publish(run);
        Ok(run.to_ptr())
    }

    /// The same, and the block is filled with zeros. On a shared arena they are volatile stores: a program may be
    /// looking.
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed(&self, layout: Layout) -> Result<ArenaPtr, PoolError> {
        let (page, run) = self.place(layout)?;
        self.zero(run);
        // Zeroed before it is published: who guesses its address cannot free it meanwhile.
        page.publish(run);
        Ok(run.to_ptr())
    }

    /// Takes a block back that [`alloc`](Self::alloc) handed out for this size. Address and size need not be trusted:
    /// sizes that need as many granules are the same, every other free is refused.
    ///
    /// A free chunk that this leaves goes back to the source if another is being kept already.
    ///
    /// Context: *any* in which the page source may be called.
    ///
    /// # Errors
    /// [`Misuse`], also recorded by the source: [`Outside`](Misuse::Outside), [`NoObjects`](Misuse::NoObjects),
    /// [`NotAtStart`](Misuse::NotAtStart), [`NotLive`](Misuse::NotLive) or [`WrongSize`](Misuse::WrongSize). Nothing
    /// was changed then. While others allocate and free there, a wrong free may be given another of these reasons.
    pub fn free(&self, ptr: ArenaPtr, size: usize) -> Result<(), Misuse> {
        match self.take(ptr, size) {
            Ok((page, run)) => {
                self.put(page, run);
                Ok(())
            }
            Err(misuse) => {
                self.source.record_misuse(Some(ptr), misuse);
                Err(misuse)
            }
        }
    }
}

impl<S: PageSource, M: MetadataSource> fmt::Debug for Pool<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("extent", &self.source.extent()).finish_non_exhaustive()
    }
}
