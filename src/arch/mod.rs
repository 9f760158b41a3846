//! What a page-table format must offer, and the formats that come with the crate.
//!
//! Everything above this module works on [`Arch`] alone. A backend says how an entry is encoded, how a slot is changed in
//! one atomic step, and which barriers make a change visible to the table walker; the rest of the crate never asks which
//! processor it runs on. The backends live in the folder `arch/` beside `src/`; all of them compile on every host, and
//! only the few lines of inline assembly are bound to their processor.

use core::ptr::NonNull;

use crate::addr::{PAGE_BYTES, VirtAddr};
use crate::fault::InstructionAddr;
use crate::layout::ArenaLayout;
use crate::platform::{EntryAttributes, Frame, PhysMap};
use crate::sync::{AtomicU64, Ordering};

#[cfg(feature = "zerocopy")]
pub(crate) mod access;
mod refused;
pub(crate) mod resume;
mod walk;

#[path = "../../arch/mod.rs"]
mod backends;

#[cfg(feature = "zerocopy")]
pub(crate) use backends::access as native;
#[cfg(not(kernel_arena_loom))]
pub(crate) use backends::interrupts;
pub(crate) use backends::prefetch_for_writing;
pub use backends::{Native, aarch64, portable, x86_64};
pub use refused::{MemoryTypeError, UnsupportedCpu};
pub use resume::{MODEL_STOPPED, MODEL_TRY};
pub use walk::{Root, WalkEnd};

pub(crate) use walk::is_missing_above;
#[cfg(not(kernel_arena_loom))]
pub(crate) use walk::{Step, walk};

/// Who may reach a page through a program view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// User mode and the kernel: pages with a frame of their own.
    User,
    /// The kernel alone: the scratch page, so that a program that touches it gets a fault of its own; and every page of a
    /// [private](crate::ArenaLayout::private) arena.
    KernelOnly,
}

/// A leaf entry that is present. Leaves are always writable, never executable, never global, accessed and dirty from the
/// start, so that hardware never changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The physical page.
    pub frame: Frame,
    /// Who may reach it through a program view.
    pub reach: Reach,
    /// Four bits that hardware ignores: their meaning is `slot`'s.
    pub software: u8,
}

/// Which restrictions an entry that points to a table puts on everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableReach {
    /// None: the leaves and the entry above decide.
    Open,
    /// The kernel view's topmost entry: not reachable from user mode, nothing below executable.
    KernelView,
    /// A program view's own entries: reachable from user mode, nothing below executable.
    Program,
    /// The same, and nothing below may be written through them.
    ProgramReadOnly,
    /// An entry above the kernel view's, which the kernel may use for other things, too: closed to user mode where a mapper
    /// would open it when it needs to (x86_64), otherwise as `Open`.
    Kernel,
}

/// A page-table format with three levels of 2^[`TABLE_SHIFT`](Self::TABLE_SHIFT) 64-bit entries that matter here: lent
/// entries, directories, leaf tables.
///
/// # Safety
/// - `leaf`, `decode_leaf`, `table` and `decode_table` describe the format that the processor walks; `decode_*` inverts its
///   encoder, and returns `None` exactly for words whose present bit (bit 0) is clear. Words with bit 0 clear are the
///   crate's: hardware gives them no meaning.
/// - `leaf` puts the frame's address into bits that are the frame's alone, each in its own place (those that the format has no
///   room for it leaves out): all other bits are the same for every frame.
/// - The functions on slots are atomic, in one total order a slot with all others.
/// - The barriers do what they say.
/// - So does every other item: unsafe code and the processor go by what the trait's documentation says of it, such as the
///   orderings of the functions on slots, and whatever [`resume_point`](Self::resume_point), [`loaded_root`](Self::loaded_root)
///   and [`is_block`](Self::is_block) answer.
pub unsafe trait Arch: Sized + 'static {
    /// The name, for people.
    const NAME: &'static str;

    /// log2 of the entries of a table, at most 9, which is that of every real format: a table is a frame of 4 KiB. A model
    /// may use less, and then covers less of the window. An arena of a format with more does not compile.
    const TABLE_SHIFT: u32 = 9;

    /// Whether an entry may be given another output address only after the old one was flushed everywhere (Arm ARM
    /// D8.16.1, "break-before-make"). Then the fault path flushes a page whose slot is vacated, and not settled yet (S7).
    const BREAK_BEFORE_MAKE: bool;

    /// Whether one root translates both halves of the address space, of which the topmost bit that it looks at is one. Else
    /// each half has a root of its own.
    const ONE_ROOT_FOR_BOTH_HALVES: bool = false;

    /// Whether a fault says how far its walk came, so that [`Fault`](crate::Fault) is made only of those that came to the
    /// arena's tables. Where it does not, the fault path looks: under a root that does not lead there, nothing it does helps.
    const FAULTS_TELL_LEVELS: bool = true;

    /// The bits of a leaf that [`EntryAttributes::leaf`] may set.
    const LEAF_ATTRIBUTES: u64;

    /// The bits of a table entry that [`EntryAttributes::table`] may set.
    const TABLE_ATTRIBUTES: u64;

    /// Encodes a leaf.
    fn leaf(leaf: Leaf, attributes: EntryAttributes) -> u64;

    /// Decodes a leaf; `None` if it is not present.
    fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf>;

    /// Encodes an entry that points to a table.
    fn table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64;

    /// The table that an entry points to; `None` if it is not present.
    fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame>;

    /// Whether a present entry above the leaves maps memory itself: a large page, a block.
    fn is_block(word: u64) -> bool {
        let _ = word;
        false
    }

    /// Whether a present entry above the leaves forbids all writes below it.
    fn is_read_only(word: u64) -> bool {
        let _ = word;
        false
    }

    /// Whether a present entry above the leaves forbids user mode everything below it.
    fn is_closed_to_programs(word: u64) -> bool {
        let _ = word;
        false
    }

    /// Installs `entry` where `vacant` is, which was read, or is 0: one compare-exchange. Release: what was written to the frame before is
    /// visible to whoever sees the entry. Pairs with the Acquire of [`load`](Self::load) and with the table walker, for
    /// which [`publish`](Self::publish) must follow.
    ///
    /// # Errors
    /// The word that was there instead.
    fn try_install(slot: &AtomicU64, vacant: u64, entry: u64) -> Result<(), u64> {
        Self::compare_exchange(slot, vacant, entry)
    }

    /// Replaces `old` by `new` in one step; Release on success, Acquire always.
    ///
    /// # Errors
    /// The word that was there instead of `old`.
    fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
        slot.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    /// Puts `new` into the slot and returns what was there; Acquire and Release.
    fn swap(slot: &AtomicU64, new: u64) -> u64 {
        slot.swap(new, Ordering::AcqRel)
    }

    /// Reads a slot; Acquire.
    fn load(slot: &AtomicU64) -> u64 {
        slot.load(Ordering::Acquire)
    }

    /// Fills a page's memory with zeros, in the way that the processor does it best. The stores need be in no order among
    /// themselves; whatever releases after them, as [`try_install`](Self::try_install) does, comes after all of them.
    ///
    /// # Safety
    /// `page` is the first of 4096 bytes, aligned to as many, of ordinary memory that is the caller's alone.
    unsafe fn zero_page(page: NonNull<u8>) {
        // SAFETY: as the caller promises.
        unsafe { page.write_bytes(0, PAGE_BYTES) };
    }

    /// A full barrier between a change of a slot, or of the list of views, and what follows: the other side's change is read
    /// after it. Where the change itself is one (x86_64: a locked instruction), there is nothing to do.
    fn full_barrier() {
        crate::sync::fence(Ordering::SeqCst);
    }

    /// Makes entries that were installed visible to the table walkers of all CPUs; to this CPU's own walks from the next
    /// exception return on.
    fn publish() {}

    /// Makes entries that were installed visible to the table walkers of all CPUs, and to all that follows on this one.
    fn publish_and_sync() {}

    /// After a fault that found its slot present: makes the entry that was seen visible to this CPU's walker before the
    /// instruction runs again. Whoever installed it may not have come to its own barrier yet; it may be what we interrupted.
    fn observe() {}

    /// Where the access that this instruction makes continues if there is no page: `Some` for those of this crate that stop
    /// there, `None` for every other instruction.
    ///
    /// By itself it knows [the one of a model](MODEL_TRY).
    fn resume_point(instruction: InstructionAddr) -> Option<InstructionAddr> {
        resume::of_a_model(instruction)
    }

    /// Whether an access by this instruction may be one of those: where not, [`resume_point`](Self::resume_point) is `None`. The
    /// fault path asks this first, and of each fault.
    #[inline]
    fn may_stop(instruction: InstructionAddr) -> bool {
        Self::resume_point(instruction).is_some()
    }

    /// Checks that this CPU translates the way this crate relies on.
    ///
    /// # Errors
    /// [`UnsupportedCpu`] names what to change.
    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu>;

    /// Checks that `attributes` make ordinary memory on this CPU, the same that it is at `mapped`, where the physical map
    /// has a frame of the arena's. Where nothing is walked, as in a process, they do.
    ///
    /// # Errors
    /// [`MemoryTypeError`] says what they make instead.
    fn check_memory_type(
        layout: &ArenaLayout,
        attributes: EntryAttributes,
        mapped: NonNull<u8>,
    ) -> Result<(), MemoryTypeError> {
        let _ = (layout, attributes, mapped);
        Ok(())
    }

    /// The table where this CPU begins to translate `address`; `None` where nothing is walked.
    fn loaded_root(address: VirtAddr) -> Option<Root> {
        let _ = address;
        None
    }

    /// Where this CPU's walk for `address` ends now, without an access; `None` where nothing is walked. By itself it follows
    /// the tables from [`loaded_root`](Self::loaded_root) through `map`.
    ///
    /// # Safety
    /// `map` keeps its contract ([`PhysMap`]): it reaches the tables that are loaded.
    ///
    /// ```compile_fail,E0133
    /// use kernel_arena::arch::{Arch, Native};
    /// use kernel_arena::{VirtAddr, platform::PhysMap};
    ///
    /// fn follows_what_anybody_says_is_memory(map: &impl PhysMap) {
    ///     let _ = Native::probe(VirtAddr::new(0), map);
    /// }
    /// ```
    unsafe fn probe(address: VirtAddr, map: &impl PhysMap) -> Option<WalkEnd> {
        // SAFETY: as the caller promises.
        Self::loaded_root(address).map(|root| unsafe { walk::end_of::<Self>(root, address, map) })
    }

    /// Whether this CPU's walk, where the physical map says that `frame` is, ends at that frame: a map at a wrong offset shows
    /// other memory as the tables, and there the walk ends elsewhere. `true` where nothing is walked.
    ///
    /// # Safety
    /// The map is one from frames to memory that can be read, that of any frame which words of such memory may name: whether it
    /// is that of the frames is what is asked, and a wrong one is followed to tables that are none. Where it leads to an address
    /// at which nothing is mapped, the kernel takes a fault in place of the answer.
    unsafe fn has_where_mapped(frame: Frame, map: &impl PhysMap) -> bool {
        let _ = (frame, map);
        true
    }
}
