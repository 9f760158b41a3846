//! A 4 GiB window of memory that a kernel shares, by plain 32-bit pointers, with the sandboxed programs it hosts, and
//! that no wild access can turn into a kernel crash.
//!
//! An [`Arena`] owns the page tables of one 4 GiB-aligned window. Pages are allocated, freed and reserved in it without
//! a lock; a kernel access to an address in it that has no page is recovered by [`Arena::handle_kernel_fault`], which
//! puts the arena's scratch page there, records a [`Violation`] and lets the instruction run again. [`Registry`] finds
//! the arena of a faulting address where a kernel has several.
//!
//! On pages stand allocators that take no lock and mask no interrupt: [`slab`] for objects in size classes, [`pool`]
//! for blocks of any size, and `heap`, a `GlobalAlloc` on private memory. Where they get their pages is said in
//! [`source`], how they stay whole in `docs/HEAP.md` (O1, O2, …).
//!
//! What the kernel lends (frames, a physical map, TLB shootdown, the CPU's name, five page-table entries) is described
//! by [`platform`]; the page-table formats are in [`arch`]. The states of a page and the rules that hold among many
//! CPUs are in `docs/MODEL.md`, numbered; comments cite them as I1, I2, … and S1, S2, …
//!
//! # Features
//!
//! None is on by default.
//! - `allocator-api2`: a heap is an `Allocator`, too, of the version that `hashbrown` uses.
//! - `defmt`, `log`: creation, destruction and drained violations are logged; with `defmt` value types are `Format`.
//! - `std`: [`hosted`](https://docs.rs/kernel-arena/latest/kernel_arena/hosted), the allocators for programs of a unix
//!   host.
//! - `x86_64-frames`: the adapter `arch::x86_64::frames` for frame allocators of the `x86_64` crate (brings in `spin`).
//!
//! The crate needs no `alloc`, no nightly compiler and no lock.

#![cfg_attr(not(any(test, kernel_arena_loom)), no_std)]

#[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
extern crate std;

pub mod arch;
#[cfg(not(kernel_arena_loom))]
pub mod heap;
#[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
pub mod hosted;
pub mod platform;
pub mod pool;
pub mod slab;
pub mod source;
pub mod sync;

mod addr;
mod arena;
mod fault;
mod layout;
mod metadata;
mod misuse;
mod pages;
mod programs;
mod registry;
mod report;
mod slot;
mod stack;
mod store;
mod tables;
mod violations;

pub use addr::{
    AddressRange, ArenaPtr, GUARD_SIZE, KernelAddr, OutsideWindow, PAGE_SHIFT, PAGE_SIZE, PageCount, PageIndex,
    PageRange, ProgramAddr, ProgramBase, VirtAddr, WINDOW_PAGES, WINDOW_SIZE,
};
pub use arena::{
    AllocError, AllocRequest, Arena, Context, CreateError, CreateRefused, Destroyed, FreeError, Placement, Reclaimable,
    Reclaimed, ReserveError, Stats, ValidateError,
};
pub use fault::{Access, Fault, FaultOutcome, InstructionAddr};
pub use layout::{AddressWidth, ArenaLayout, LayoutError, Sharing};
pub use misuse::Misuse;
pub use platform::Platform;
pub use programs::{ProgramId, ProgramScope};
pub use registry::{RegisterError, Registration, Registry, RemoveError};
pub use slot::{Owner, SlotState, Tag};
pub use violations::{VIOLATION_CAPACITY, Violation, ViolationKind};

/// A word of the metadata that the kernel lends to an arena.
pub type MetadataWord = sync::AtomicU64;

const _: () = assert!(usize::BITS == 64, "kernel-arena is for 64-bit machines");

/// The example in the README is compiled with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A table of 2^9 entries fills its frame:
/// ```
/// use kernel_arena::arch::portable::Portable;
/// use kernel_arena::platform::*;
/// use kernel_arena::{AddressRange, Arena, KernelAddr, sync::AtomicU64};
/// struct Lent;
/// impl FrameSource for Lent {
///     fn alloc(&self, _: Option<NodeId>) -> Option<Frame> { None }
///     unsafe fn free(&self, _: Frame) {}
/// }
/// impl PhysMap for Lent {
///     fn frame_to_ptr(&self, _: Frame) -> core::ptr::NonNull<u8> { todo!() }
///     fn attributes(&self) -> EntryAttributes { EntryAttributes::default() }
/// }
/// impl Shootdown for Lent {
///     fn shootdown(&self, _: &[AddressRange], _: FlushScope) {}
/// }
/// impl CpuIdentity for Lent {
///     fn current(&self) -> Option<CpuLevel> { None }
///     fn count(&self) -> CpuCount { CpuCount::ONE }
/// }
/// impl UpperSlots for Lent {
///     fn window_base(&self) -> KernelAddr { KernelAddr::new(0) }
///     unsafe fn window_entries(&self) -> [&AtomicU64; 4] { todo!() }
///     unsafe fn guard_entry(&self) -> &AtomicU64 { todo!() }
/// }
/// unsafe impl Platform for Lent {
///     type Frames = Self;
///     type PhysMap = Self;
///     type Shootdown = Self;
///     type Cpus = Self;
///     type Upper = Self;
///     fn frames(&self) -> &Self { self }
///     fn phys_map(&self) -> &Self { self }
///     fn shootdown(&self) -> &Self { self }
///     fn cpus(&self) -> &Self { self }
///     fn upper(&self) -> &Self { self }
/// }
/// let _: fn(Arena<Lent, Portable<9>>) = |arena| drop(arena.destroy());
/// ```
/// One of 2^10 would be written beyond it, so an arena that has such does not compile:
/// ```compile_fail
/// use kernel_arena::arch::portable::Portable;
/// use kernel_arena::platform::*;
/// use kernel_arena::{AddressRange, Arena, KernelAddr, sync::AtomicU64};
/// struct Lent;
/// impl FrameSource for Lent {
///     fn alloc(&self, _: Option<NodeId>) -> Option<Frame> { None }
///     unsafe fn free(&self, _: Frame) {}
/// }
/// impl PhysMap for Lent {
///     fn frame_to_ptr(&self, _: Frame) -> core::ptr::NonNull<u8> { todo!() }
///     fn attributes(&self) -> EntryAttributes { EntryAttributes::default() }
/// }
/// impl Shootdown for Lent {
///     fn shootdown(&self, _: &[AddressRange], _: FlushScope) {}
/// }
/// impl CpuIdentity for Lent {
///     fn current(&self) -> Option<CpuLevel> { None }
///     fn count(&self) -> CpuCount { CpuCount::ONE }
/// }
/// impl UpperSlots for Lent {
///     fn window_base(&self) -> KernelAddr { KernelAddr::new(0) }
///     unsafe fn window_entries(&self) -> [&AtomicU64; 4] { todo!() }
///     unsafe fn guard_entry(&self) -> &AtomicU64 { todo!() }
/// }
/// unsafe impl Platform for Lent {
///     type Frames = Self;
///     type PhysMap = Self;
///     type Shootdown = Self;
///     type Cpus = Self;
///     type Upper = Self;
///     fn frames(&self) -> &Self { self }
///     fn phys_map(&self) -> &Self { self }
///     fn shootdown(&self) -> &Self { self }
///     fn cpus(&self) -> &Self { self }
///     fn upper(&self) -> &Self { self }
/// }
/// let _: fn(Arena<Lent, Portable<10>>) = |arena| drop(arena.destroy());
/// ```
#[cfg(doctest)]
struct TablesFitTheirFrames;
