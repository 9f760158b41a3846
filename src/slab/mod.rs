//! The slab allocator: objects of 8 bytes to 32 KiB on the pages of a [`PageSource`], for any number of CPUs, without a
//! lock.
//!
//! Three layers, each asked only when the one above has nothing:
//!
//! - *Magazines*: each (CPU, interrupt level) has two for a class, and is alone with them. Allocation and free touch
//!   one magazine and no locked instruction. An interrupt that allocates has a level of its own, so nothing need be
//!   masked; a kernel that preempts can have its threads held for those few instructions
//!   ([`CpuIdentity::hold`](crate::platform::CpuIdentity::hold)).
//! - *Depots*: a class keeps full magazines on a lock-free stack; a CPU that frees what another allocates hands them
//!   on, a magazine at a time.
//! - *Slabs*: pages cut into objects of one class, one bit an object. A magazine is refilled from one word of bits, up
//!   to 64 objects with one atomic operation; what a depot has no room for goes back with one for each word that it
//!   meets.
//!
//! Empty slabs give their pages back, but for a reserve ([`drain`](Slab::drain) and [`reclaim`](Slab::reclaim) keep
//! none). A CPU that the kernel cannot name, or a level of [`LEVELS`] or more, works on the slabs directly: slower,
//! never wrong.
//!
//! Nothing is written into the memory that is handed out (I11): all bookkeeping lies in pages of a [`MetadataSource`],
//! so what programs write into shared memory cannot harm it. Objects that a program may give back are handed out by
//! [`alloc_checked`](Slab::alloc_checked) and taken back by [`free_checked`](Slab::free_checked), which proves that
//! there is such an object before anything changes.
//!
//! # How it stays whole
//! Each object is in exactly one place: in its slab (its bit is set), in one magazine, or with its user. Bits move it
//! atomically (`header`), magazines belong to one CPU or to one stack of the depot at a time (`magazine`, `depot`), and
//! a slab's pages go back only when every one of its bits was taken by whoever retires it (`retire`). Headers,
//! magazines and map leaves are never unmade, so whoever is late finds something of the same type and notices
//! (`store`). No operation waits for another (I8): what one that was interrupted holds in its hands is missing
//! meanwhile, nothing more; before an error is returned every slab of the class was looked at itself, not only the list
//! of those that may have objects.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::addr::ArenaPtr;
use crate::source::{MetadataSource, PageSource};

mod canary;
mod checked;
mod class;
mod classes;
mod create;
mod debug;
mod depot;
mod empties;
mod error;
mod exchange;
mod grow;
mod header;
mod listing;
mod live;
mod magazine;
mod map;
#[cfg(kernel_arena_loom)]
mod modelled;
mod place;
mod racks;
mod reclaim;
mod retire;
mod run_cache;
#[cfg_attr(kernel_arena_loom, expect(dead_code, reason = "no model has a heap"))]
mod runs;
mod shown;
mod stats;
mod tables;
mod take;
mod write;

#[cfg(not(kernel_arena_loom))]
pub(crate) use classes::largest_object;
pub use classes::{CLASS_COUNT, LARGEST, SizeClass};
pub use create::{SlabLeftovers, SlabRefused};
pub use error::SlabError;
pub use stats::{ClassStats, SlabStats};

use debug::Debugger;
use racks::RackTable;
use tables::Tables;

/// Interrupt levels that have magazines of their own: 0 (threads) to 3.
pub const LEVELS: u8 = 4;
/// CPUs that have magazines of their own.
pub const CPUS: u32 = racks::RACK_CPUS;

/// Entries of a table's root: as many as it says; under `cfg(kernel_arena_loom)` three, so that a model stays small.
const fn roots(usual: usize) -> usize {
    if cfg!(kernel_arena_loom) { 3 } else { usual }
}

/// How much an allocator looks out for mistakes of those who use it.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Trusted code is trusted, but for checked frees. What is met by chance is recorded all the same: frees of what lies
    /// in no slab, or of an object that is there, more runs of pages given back than were taken.
    Fast,
    /// Every object that is not for a checked free, and every run of pages of a heap on top, is followed by a canary
    /// (objects of more than 32 760 bytes are not), poisoned when it is freed, and kept in quarantine for a while (runs of
    /// up to 64 pages are). Double frees, frees with another size, writes beyond the end and writes after the free are
    /// recorded as misuse ([`PageSource::record_misuse`]), and what was damaged is never handed out again. Every operation
    /// takes the atomic path, several times slower.
    Debug,
}

/// A slab allocator. See the [module](self).
///
/// # Examples
/// ```
/// use core::alloc::Layout;
/// use kernel_arena::kit::OneCpu;
/// use kernel_arena::slab::{Mode, Slab};
/// use kernel_arena::source::{Region, StaticMetadata, region_words};
///
/// static METADATA: StaticMetadata<32> = StaticMetadata::new();
/// let memory = Box::leak(Box::new_uninit_slice(64));
/// let words = Box::leak(Box::new_uninit_slice(region_words(64)));
/// // SAFETY: one CPU, whose handlers mask interrupts, and whose threads are not preempted in kernel mode.
/// let region = unsafe { Region::new(memory, words, OneCpu) };
/// let slab = Slab::new(region, &METADATA, Mode::Fast).unwrap();
///
/// let layout = Layout::new::<[u64; 5]>();
/// let object = slab.alloc(layout).unwrap();
/// // SAFETY: it came from there, with that layout.
/// unsafe { slab.free(object, layout) };
///
/// let object = slab.alloc_checked(layout).unwrap();
/// assert!(slab.free_checked(Some(object)).is_ok());
/// assert!(slab.free_checked(Some(object)).is_err(), "there is no such object any more");
/// ```
pub struct Slab<S, M> {
    /// The address of offset 0, as the source says.
    base: *mut u8,
    racks: RackTable,
    mode: Mode,
    /// Pages that empty slabs of all classes may have before some give theirs back.
    reserve_pages: u32,
    /// Bytes that the depots of all classes may keep beyond what each may for itself.
    most_surplus: u32,
    /// In a metadata page of their own.
    tables: NonNull<Tables>,
    source: S,
    metadata: M,
}

// SAFETY: the raw pointers stand for the source's memory and for racks in the metadata, both good on every CPU; all
// that is shared is atomic.
unsafe impl<S: Send, M: Send> Send for Slab<S, M> {}
// SAFETY: as above.
unsafe impl<S: Sync, M: Sync> Sync for Slab<S, M> {}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Takes an object for this layout: one that is large enough and aligned, of any content.
    ///
    /// Context: *any*; a call that finds no object in its magazines, in the depot or in a slab calls the page source
    /// and perhaps the metadata source.
    ///
    /// # Errors
    /// [`SlabError`]; nothing was taken then.
    #[inline]
    pub fn alloc(&self, layout: Layout) -> Result<ArenaPtr, SlabError> {
        match self.pop(layout) {
            Some(object) => Ok(ArenaPtr::in_page(object)),
            None => self.alloc_slow(layout),
        }
    }

    /// The same, filled with zeros.
    ///
    /// # Errors
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed(&self, layout: Layout) -> Result<ArenaPtr, SlabError> {
        let object = self.alloc(layout)?;
        self.fill(object.offset(), layout.size(), 0);
        Ok(object)
    }

    /// Gives an object back. Context: *any*.
    ///
    /// # Safety
    /// The object came from [`alloc`](Self::alloc) or [`alloc_zeroed`](Self::alloc_zeroed) of this slab with the same
    /// layout, was not given back since, and nobody uses it any more.
    #[inline]
    pub unsafe fn free<T>(&self, object: ArenaPtr<T>, layout: Layout) {
        if !self.push(object.offset(), layout) {
            self.free_slow(object.offset(), layout);
        }
    }

    /// The kernel's address of what `object` names.
    #[inline]
    pub fn to_kernel<T>(&self, object: ArenaPtr<T>) -> *mut T {
        self.address_of(object.offset()).cast()
    }

    /// The same of an offset.
    #[inline]
    pub(crate) fn address_of(&self, offset: u32) -> *mut u8 {
        self.base.wrapping_add(offset as usize)
    }

    /// Where pages come from.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Where bookkeeping pages come from.
    pub const fn metadata(&self) -> &M {
        &self.metadata
    }

    /// How much it looks out for mistakes.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    #[inline]
    fn tables(&self) -> &Tables {
        // SAFETY: built before the allocator, and taken down with it.
        unsafe { self.tables.as_ref() }
    }

    /// What looks for mistakes, in debug mode.
    fn debugger(&self) -> Option<&Debugger> {
        (self.mode == Mode::Debug).then(|| &self.tables().debugger)
    }

    /// The offset of an address in the source's memory.
    #[cfg(not(kernel_arena_loom))]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the memory lies within 4 GiB of the base")]
    pub(crate) fn offset_of(&self, address: *mut u8) -> u32 {
        address.addr().wrapping_sub(self.base.addr()) as u32
    }
}

impl<S, M> fmt::Debug for Slab<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("base", &self.base).finish_non_exhaustive()
    }
}
