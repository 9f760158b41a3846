//! The arena: pages of one window, allocated, freed, reserved and healed without a lock.
//!
//! Each subject is a folder, each operation a file; what they have in common is in `slots`. They share one rule of order:
//! *claim the number, change the slot, flush, give the frame back, un-claim*; whoever holds a claim is alone with the slot, but
//! for the fault path, which may put the scratch page on any slot without a translation, at any moment, on any CPU. So every
//! change of a slot is a compare-exchange from the word that was looked at, and whoever loses looks again.
//!
//! No operation takes a lock or waits for another (I8); each one's documentation says in which contexts it may be called.

use core::fmt;

use crate::addr::{ArenaPtr, PAGE_SIZE, PageIndex, PageRange};
use crate::arch::{Arch, Native};
use crate::cpus::Cpus;
use crate::layout::ArenaLayout;
use crate::pages::PageMaps;
use crate::platform::{CpuId, CpuIdentity, Platform};
use crate::slot::{SlotCodec, SlotState, Tag};
use crate::sync::{AtomicU64, Line, Ordering};
use crate::tables::Tables;
use crate::views::ViewList;
use crate::violations::ViolationRing;

mod alloc;
mod behalf;
#[cfg(feature = "_bench")]
pub mod bench;
mod error;
mod faults;
mod free;
mod life;
mod reclaim;
mod reserve;
mod slots;
mod stats;
mod views;

pub use alloc::{AllocRequest, Context, Placement};
pub use error::{AllocError, CreateError, FreeError, Reclaimable, ReserveError};
pub use life::{CreateRefused, DestroyRefused, Destroyed, ValidateError};
pub use reclaim::Reclaimed;
pub use stats::Stats;

use alloc::Moved;
use life::Metadata;
use slots::LastForeign;
use stats::Counters;

/// The pages of one 4 GiB window of the kernel's address space.
///
/// All operations take `&self` and may run on any number of CPUs at once. None panics, whatever numbers it is given; a kernel
/// whose platform breaks its contract may see anything. An arena that is dropped without
/// [`destroy`](Self::destroy) leaves its window linked and its frames taken.
///
/// # Examples
/// `MyKernel` is the platform that is written out at [`Platform`]; whole kernels are in `examples/` of the repository.
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use kernel_arena::{
///     Access, AllocRequest, Arena, Fault, FaultOutcome, InstructionAddr, Owner, PageCount, SlotState, ViolationKind,
/// };
/// # use kernel::{LAYOUT, MyKernel};
///
/// let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words())); // in a kernel: a static, or frames
/// let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap();
///
/// // Pages, named by a pointer of 32 bits that is the same for kernel and programs.
/// let pages = arena.alloc_pages(AllocRequest::new(PageCount::new(2).unwrap(), Owner::Program)).unwrap();
/// assert!(matches!(arena.page_state(pages.first()), Some(SlotState::Mapped(_, Owner::Program))));
/// let address = arena.layout().to_kernel(pages.to_ptr());
/// arena.free_pages(pages.to_ptr(), pages.count(), Owner::Program).unwrap();
///
/// // The kernel follows a pointer that is no longer good. Its page-fault handler asks the arena first:
/// let fault = Fault { address, access: Access::Write, instruction: InstructionAddr::new(0xffff_ffff_8010_0000) };
/// assert_eq!(arena.handle_kernel_fault(&fault), FaultOutcome::Recovered); // the instruction runs again, and goes on
/// assert_eq!(arena.page_state(pages.first()), Some(SlotState::Scratch));
/// let violation = arena.take_violation().unwrap();
/// assert_eq!((violation.address, violation.kind), (address, ViolationKind::Write));
///
/// arena.reclaim(); // now and then: takes the scratch page away again
/// assert_eq!(arena.stats().violations, 1);
/// let back = arena.destroy().unwrap(); // all that was lent
/// assert_eq!(back.pages, 0);
/// ```
pub struct Arena<P: Platform, A: Arch = Native> {
    platform: P,
    layout: ArenaLayout,
    tables: Tables<A>,
    codec: SlotCodec<A>,
    maps: PageMaps,
    cpus: Cpus,
    violations: ViolationRing,
    views: ViewList,
    metadata: Metadata,
    shared: Line<Shared>,
    /// Batches of pages that were taken away: what gives vacated words their tags.
    batches: Line<AtomicU64>,
    moved: Moved,
}

/// What all CPUs write, on cache lines of its own.
#[derive(Debug)]
struct Shared {
    counters: Counters,
    foreign: LastForeign,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Where the arena lies.
    pub const fn layout(&self) -> &ArenaLayout {
        &self.layout
    }

    /// What the kernel lent.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// What the slot of a page says now; `None` for a page outside the extent. Context: *any*.
    pub fn page_state(&self, page: PageIndex) -> Option<SlotState> {
        self.layout.extent().contains(page).then(|| self.state(page.number()))
    }

    /// The CPU that this runs on, if the kernel knows.
    fn cpu(&self) -> Option<CpuId> {
        self.platform.cpus().cpu()
    }

    /// The slot of a page of the extent.
    fn slot(&self, page: u32) -> Option<&AtomicU64> {
        self.tables.slot(&self.platform, page)
    }

    /// The same, by the bit that the page has in the maps.
    #[inline(always)]
    fn slot_of_bit(&self, bit: u32) -> Option<&AtomicU64> {
        if Tables::<A>::BITS_ARE_NUMBERS {
            self.tables.numbered_slot(&self.platform, bit.into())
        } else {
            self.slot(self.maps.page_of(bit))
        }
    }

    /// The bit in the maps of the page that starts here, if it is of the extent.
    #[inline(always)]
    fn bit_at(&self, at: ArenaPtr) -> Option<u32> {
        let bit = self.maps.bit_in_extent(PageIndex::containing(at).number());
        bit.filter(|_| u64::from(at.offset()) % PAGE_SIZE == 0)
    }

    /// What the slot of a page of the extent says. Asked beside the paths that are hot, in many places.
    #[inline(never)]
    fn state(&self, page: u32) -> SlotState {
        self.slot(page).map_or(SlotState::Foreign(0), |slot| self.state_of(A::load(slot)))
    }

    /// What a slot's word says, of all that it may. What is hot asks for what it expects, and comes here with the rest.
    #[inline(never)]
    fn state_of(&self, word: u64) -> SlotState {
        self.codec.decode(word)
    }

    /// The word of any state. What is hot asks for that of one.
    #[inline(never)]
    fn word_of(&self, state: SlotState) -> u64 {
        self.codec.encode(state)
    }

    /// The tag of a new batch. Relaxed: two batches that take one get two, in whichever order.
    ///
    /// It tells a fault that flushes a vacated page first whether the word is still the same; where none does, all are one.
    #[inline]
    fn next_tag(&self) -> Tag {
        let number = if A::BREAK_BEFORE_MAKE { self.batches.0.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Tag::of_batch(number)
    }

    /// Whether all of `pages` lie in the extent, as ranges go.
    fn in_extent(&self, pages: PageRange) -> bool {
        self.layout.extent().covers(pages)
    }
}

impl<P: Platform, A: Arch> fmt::Debug for Arena<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("format", &A::NAME).field("layout", &self.layout).finish_non_exhaustive()
    }
}
