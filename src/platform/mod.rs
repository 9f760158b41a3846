//! What the kernel lends: frames, a physical map, TLB shootdown, the CPU's number, and the upper table entries.
//!
//! The arena never calls an operating system; it calls these five small traits, all through `&self`. The traits are
//! safe to implement; [`Platform`], which bundles them, is `unsafe`: whoever implements *it* vouches that the five keep
//! the contracts written on them. What is not here: locks, interrupts, threads. Nothing in the arena waits, except in
//! [`Shootdown::shootdown`].

use crate::addr::{AddressRange, KernelAddr};
use crate::sync::AtomicU64;

mod fixed_offset;
mod fresh;
mod identity;
mod types;
mod view;

pub use fixed_offset::FixedOffset;
pub use fresh::FreshFrames;
pub(crate) use identity::Held;
pub use identity::{CpuIdentity, Hold};
pub use types::{CpuCount, CpuId, CpuLevel, EntryAttributes, Frame, NodeId};
pub use view::ViewEntries;

/// Everything the kernel lends to an arena.
///
/// An arena is used from all CPUs, so a platform is `Sync` where there is more than one, or where an interrupt handler
/// uses the arena; an `Arena` is `Sync` if its platform is.
///
/// # Safety
/// The implementor vouches that each part keeps the contract of its trait for as long as the arena exists, that of
/// [`ReversibleMap`], too, where its map is one; that each function names the same part every time; and that
/// nothing that the arena uses (the platform itself, tables, the stack of a fault handler) lies in any
/// arena's window, nor the metadata that the kernel lends it. None of its functions unwinds: pages and frames that an operation holds would be lost, though never
/// given back twice.
///
/// # Examples
/// `MyKernel`, the platform of all examples of this crate:
/// ```
#[doc = include_str!("example.rs")]
/// ```
pub unsafe trait Platform {
    /// Where frames come from.
    type Frames: FrameSource;
    /// How the kernel reaches a frame's memory.
    type PhysMap: PhysMap;
    /// How the kernel flushes TLBs.
    type Shootdown: Shootdown;
    /// How the kernel names the running CPU.
    type Cpus: CpuIdentity;
    /// The lent entries above the arena's tables.
    type Upper: UpperSlots;

    /// The frame source.
    fn frames(&self) -> &Self::Frames;
    /// The physical map.
    fn phys_map(&self) -> &Self::PhysMap;
    /// The shootdown.
    fn shootdown(&self) -> &Self::Shootdown;
    /// The CPU identity.
    fn cpus(&self) -> &Self::Cpus;
    /// The lent entries.
    fn upper(&self) -> &Self::Upper;
}

/// A source of 4 KiB frames.
///
/// # Contract
/// - A frame from [`alloc`](Self::alloc) is ordinary memory that belongs to the arena alone until [`free`](Self::free)
///   gives it back. Its content may be anything. Its address fits the format (aarch64: 48 bits) and has none of the
///   physical map's attribute bits in it.
/// - Both may be called wherever the arena's operations are. A source that takes a lock must say "not from a fault or
///   an NMI", and the arena's *any context* operations that allocate or free frames inherit that restriction; the fault
///   path never calls either.
/// - All accesses made to a frame before `free` happen before those made after the `alloc` that hands it out again.
///
/// Frames are asked for one by one. Those of one request go into ascending pages in the order in which they come; nobody relies
/// on their being side by side in physical memory, and other CPUs' requests may come in between.
///
/// # Examples
/// 64 frames from a piece of physical memory, without a lock, so for any context:
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering};
/// use kernel_arena::platform::{Frame, FrameSource, NodeId};
///
/// struct Frames {
///     start: u64,
///     taken: AtomicU64, // a bit a frame
/// }
///
/// impl FrameSource for Frames {
///     fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
///         loop {
///             let number = self.taken.load(Ordering::Relaxed).trailing_ones();
///             let frame = (number < 64).then(|| Frame::new(self.start + u64::from(number) * 4096))??;
///             // Acquire: pairs with the Release of the free that came before.
///             if self.taken.fetch_or(1 << number, Ordering::Acquire) & 1 << number == 0 {
///                 return Some(frame);
///             }
///         }
///     }
///
///     unsafe fn free(&self, frame: Frame) {
///         let number = (frame.address() - self.start) / 4096;
///         self.taken.fetch_and(!(1 << number), Ordering::Release);
///     }
/// }
///
/// let frames = Frames { start: 0x10_0000, taken: AtomicU64::new(0) };
/// let first = frames.alloc(None).unwrap();
/// assert_ne!(frames.alloc(None), Some(first));
/// // SAFETY: just taken, and nothing uses it.
/// unsafe { frames.free(first) };
/// assert_eq!(frames.alloc(None), Some(first));
/// ```
pub trait FrameSource {
    /// Takes a frame, from memory node `node` if the source can. `None` when there is none left.
    fn alloc(&self, node: Option<NodeId>) -> Option<Frame>;

    /// Takes a frame back.
    ///
    /// # Safety
    /// The frame came from [`alloc`](Self::alloc) of this source, has not been given back since, and nothing uses it
    /// any more.
    unsafe fn free(&self, frame: Frame);
}

impl<T: FrameSource + ?Sized> FrameSource for &T {
    fn alloc(&self, node: Option<NodeId>) -> Option<Frame> {
        (**self).alloc(node)
    }

    unsafe fn free(&self, frame: Frame) {
        // SAFETY: as the caller promises.
        unsafe { (**self).free(frame) }
    }
}

/// The kernel's map of physical memory.
///
/// # Contract
/// - [`frame_to_ptr`](Self::frame_to_ptr) gives, for each frame of the platform's [`FrameSource`], the address of its
///   4096 bytes, writable, aligned to 4096, the same one each time, callable in any context. Under a model checker
///   (as in `tests/loom`) the memory behind a frame must have room for a table of its larger atomics.
/// - It gives, too, the tables that are loaded where the arena is created, where
///   [`check_cpu`](crate::Arena::check_cpu) is called, and where a fault is
///   [handled](crate::Arena::handle_kernel_fault), as far as a walk to the window passes them: on x86_64 all three follow
///   that walk, the last where a fault comes again. (On aarch64 the processor is asked.) So it gives those of every root
///   under which kernel code may touch the window. On x86_64 [`Window::link`](crate::kit::Window::link) also follows the
///   walk to the root table where this map has it.
/// - [`attributes`](Self::attributes) gives the memory type, shareability and encryption bits that this map itself
///   uses: the same frame must never be reachable with two memory types (Intel SDM vol. 3, 13.12.4; Arm ARM B2.16).
pub trait PhysMap {
    /// The kernel's pointer to the frame's first byte.
    fn frame_to_ptr(&self, frame: Frame) -> core::ptr::NonNull<u8>;

    /// The attribute bits of this map.
    fn attributes(&self) -> EntryAttributes;
}

/// A physical map that can be read backwards.
///
/// # Contract
/// [`ptr_to_frame`](Self::ptr_to_frame) inverts [`PhysMap::frame_to_ptr`], in any context.
pub trait ReversibleMap: PhysMap {
    /// The frame whose first byte is here.
    fn ptr_to_frame(&self, pointer: core::ptr::NonNull<u8>) -> Frame;
}

/// What has changed before a shootdown.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlushScope {
    /// Leaf entries only: each page of each range is to be flushed.
    Leaves,
    /// Entries above the leaves too: walk caches for the ranges must go as well. On x86_64 flush everything, or
    /// `invlpg` each page; on aarch64 the forms of TLBI for the last level only are not enough.
    Tables,
}

/// The kernel's flush of TLB entries on all CPUs.
///
/// # Contract
/// [`shootdown`](Self::shootdown) returns only when, on every CPU that could have used a translation of these addresses
/// (idle ones and those in user mode included: the kernel view is in every address space), no later access can use one
/// read before the call, *under any PCID or ASID that can be loaded without a flush*. So on x86_64 with PCID, where
/// `invlpg` reaches only the current one, the others need INVPCID, a change of CR4.PGE or a "flush before the next
/// load". Leaves are never global.
///
/// Several CPUs may call it at once, and a CPU that waits in it still serves the others' calls. It is called from the
/// operations that are documented as *may wait for a shootdown*. Where [`Arch::BREAK_BEFORE_MAKE`](crate::arch::Arch)
/// holds (aarch64), the fault path calls it too, for one page, so there it must work in any context: the ready-made
/// [`BroadcastShootdown`](crate::arch::aarch64::BroadcastShootdown) does.
///
/// # Examples
/// By interrupt, as x86_64 wants it. The caller waits until every other CPU has emptied its TLB after it was asked to:
/// ```
/// use core::hint::spin_loop;
/// use core::sync::atomic::{AtomicU64, Ordering};
/// use kernel_arena::AddressRange;
/// use kernel_arena::platform::{FlushScope, Shootdown};
/// # fn this_cpu() -> usize { CPU.get() }
/// # fn flush_this_cpu() { FLUSHES[this_cpu()].fetch_add(1, Ordering::Relaxed); }
/// # fn interrupt_the_others() {} // the other one looks all the time
/// # std::thread_local! { static CPU: std::cell::Cell<usize> = const { std::cell::Cell::new(0) }; }
/// # static FLUSHES: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];
///
/// const CPUS: usize = 2;
///
/// /// For each CPU, how many flushes were asked of it, and up to which it has come.
/// struct ByInterrupt {
///     asked: [AtomicU64; CPUS],
///     done: [AtomicU64; CPUS],
/// }
///
/// impl ByInterrupt {
///     /// The interrupt's handler.
///     fn serve(&self) {
///         let cpu = this_cpu();
///         // Acquire: pairs with the AcqRel of `shootdown`. What was changed before it is seen by walks after the flush.
///         let asked = self.asked[cpu].load(Ordering::Acquire);
///         if self.done[cpu].load(Ordering::Relaxed) < asked {
///             flush_this_cpu(); // all of it, whatever the ranges
///             // The interrupt may have come in the middle of this and gone further. Release: after the flush.
///             self.done[cpu].fetch_max(asked, Ordering::Release);
///         }
///     }
/// }
///
/// impl Shootdown for ByInterrupt {
///     /// With preemption off, so that it ends on the CPU on which it began.
///     fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {
///         let mut wanted = [0; CPUS];
///         for cpu in (0..CPUS).filter(|&cpu| cpu != this_cpu()) {
///             wanted[cpu] = self.asked[cpu].fetch_add(1, Ordering::AcqRel) + 1;
///         }
///         interrupt_the_others();
///         flush_this_cpu();
///         for (done, wanted) in self.done.iter().zip(wanted) {
///             while done.load(Ordering::Acquire) < wanted {
///                 self.serve(); // that CPU may be waiting for this one, with interrupts masked on both
///                 spin_loop();
///             }
///         }
///     }
/// }
/// #
/// # let cpus = ByInterrupt { asked: Default::default(), done: Default::default() };
/// # let ended = core::sync::atomic::AtomicBool::new(false);
/// # std::thread::scope(|scope| {
/// #     scope.spawn(|| {
/// #         CPU.set(1);
/// #         while !ended.load(Ordering::Acquire) { cpus.serve(); std::thread::yield_now(); }
/// #     });
/// #     for round in 1..=100 {
/// #         cpus.shootdown(&[], FlushScope::Leaves);
/// #         assert!(FLUSHES[1].load(Ordering::Relaxed) == round, "the other CPU flushed, once");
/// #     }
/// #     ended.store(true, Ordering::Release);
/// # });
/// ```
pub trait Shootdown {
    /// Flushes `ranges` everywhere and returns when all CPUs have done it.
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope);
}

impl<T: Shootdown + ?Sized> Shootdown for &T {
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope) {
        (**self).shootdown(ranges, scope);
    }
}

/// The page-table entries above the arena's own tables.
///
/// # Contract
/// - Five 64-bit entries are lent, vacant at the arena's creation: zero, or [`vacant_word`](Self::vacant_word). No TLB or walk
///   cache remembers anything of the addresses they cover. The same references come back each time.
/// - They are lent to *one* arena: until its [`destroy`](crate::Arena::destroy) it alone writes them. A platform that can
///   be copied, or whose entries another platform names too, makes this the kernel's to see to. Creation links them by
///   compare-exchange from that word, so a second arena over the same entries is refused
///   ([`UpperEntryInUse`](crate::CreateError::UpperEntryInUse)); but after that nothing tells the two apart.
/// - They are reachable from every root table that can be loaded.
pub trait UpperSlots {
    /// The address that the first window entry translates: the arena's base.
    fn window_base(&self) -> KernelAddr;

    /// The four 1 GiB entries that cover the window, lowest address first (x86_64: in a page-directory-pointer table;
    /// aarch64 with 4 KiB granule: in a level-1 table).
    ///
    /// # Safety
    /// The caller does not write them, unless it is the arena they are lent to.
    unsafe fn window_entries(&self) -> [&AtomicU64; 4];

    /// The 2 MiB entry that covers the upper guard (x86_64: in a page directory; aarch64: in a level-2 table).
    ///
    /// # Safety
    /// As for [`window_entries`](Self::window_entries).
    unsafe fn guard_entry(&self) -> &AtomicU64;

    /// What all five hold while no arena has them: zero, or a note of the kernel's that they are lent, with bit 0 clear, so that
    /// no processor takes it for an entry. The same each time.
    fn vacant_word(&self) -> u64 {
        0
    }
}
