//! A 4 GiB window of memory that a kernel shares, by plain 32-bit pointers, with the sandboxed programs it hosts, and
//! in which a wild load or store of the kernel to a page that is not there is recovered instead of a crash.
//!
//! An [`Arena`] owns the page tables of one 4 GiB-aligned window. Pages are allocated, freed and reserved in it without
//! a lock; a kernel access to an address in it that has no page is recovered by [`Arena::handle_kernel_fault`], which
//! puts the arena's scratch page there, records a [`Violation`] and lets the instruction run again. [`Registry`] finds
//! the arena of a faulting address where a kernel has several.
//!
//! ```
//! use core::mem::MaybeUninit;
//! use kernel_arena::{
//!     AllocError, AllocRequest, Arena, ArenaLayout, ArenaPtr, CreateError, Fault, FaultOutcome, FreeError, MetadataWord,
//!     Owner, PageCount, Platform,
//! };
//! # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
//!
//! /// From here on the window is there. What the kernel lends, a [`Platform`], is the one thing to write.
//! fn create<P: Platform>(
//!     platform: P,
//!     layout: ArenaLayout,
//!     metadata: &'static mut [MaybeUninit<MetadataWord>],
//! ) -> Result<Arena<P>, CreateError> {
//!     Ok(Arena::new(platform, layout, metadata)?)
//! }
//!
//! /// Two zeroed pages, named by a 32-bit pointer that a program can follow, too.
//! fn give<P: Platform>(arena: &Arena<P>) -> Result<ArenaPtr<[u64; 1024]>, AllocError> {
//!     let two = PageCount::new(2).unwrap();
//!     let pages = arena.alloc_pages(AllocRequest::new(two, Owner::Program))?;
//!     Ok(pages.to_ptr().cast()) // the kernel's own address of it: arena.layout().to_kernel(ptr)
//! }
//!
//! /// No CPU reaches them when this returns. `free_pages_deferred` is for any context: there they go with the next `reclaim`.
//! fn take<P: Platform>(arena: &Arena<P>, ptr: ArenaPtr<[u64; 1024]>) -> Result<(), FreeError> {
//!     arena.free_pages(ptr.cast(), PageCount::new(2).unwrap(), Owner::Program)
//! }
//!
//! /// The page-fault handler calls this first. `Fault` comes from `arch::x86_64::decode_fault(cr2, error_code, rip)` or
//! /// `arch::aarch64::decode_fault(esr, far, elr)`.
//! fn is_recovered<P: Platform>(arena: &Arena<P>, fault: &Fault, saved_instruction_pointer: &mut u64) -> bool {
//!     match arena.handle_kernel_fault(fault) {
//!         FaultOutcome::Recovered | FaultOutcome::Spurious => {} // return to the instruction
//!         FaultOutcome::Resume(at) => *saved_instruction_pointer = at.value(), // return there instead
//!         FaultOutcome::NotOurs => return false, // a kernel bug, as ever
//!     }
//!     true
//! }
//! #
//! # use kernel::{LAYOUT, MyKernel};
//! # let arena = create(MyKernel::boot(), LAYOUT, Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()))).unwrap();
//! # let ptr = give(&arena).unwrap();
//! # let address = arena.layout().to_kernel(ptr);
//! # take(&arena, ptr).unwrap();
//! # let (access, instruction) = (kernel_arena::Access::Read, kernel_arena::InstructionAddr::new(0));
//! # assert!(is_recovered(&arena, &Fault { address, access, instruction }, &mut 0));
//! # let address = kernel_arena::KernelAddr::new(LAYOUT.base().value() - 1);
//! # assert!(!is_recovered(&arena, &Fault { address, access, instruction }, &mut 0));
//! ```
//!
//! How a kernel that is there takes an arena in, and what it looks like when it breaks a rule, is in
//! [*Porting*](documents::porting), line by line for x86_64 and aarch64.
//!
//! What the kernel lends (frames, a physical map, TLB shootdown, the CPU's number, five page-table entries) is described
//! by [`platform`], with a whole example at [`Platform`]; the page-table formats are in [`arch`].
//!
//! On pages stand allocators that take no lock and mask no interrupt: [`slab`] for objects in size classes, [`pool`]
//! for blocks of any size, and [`heap`], a `GlobalAlloc` on private memory. Where they get their pages is said in
//! [`source`].
//!
//! ```
//! use core::alloc::Layout;
//! use kernel_arena::heap::{ArenaHeap, InitError};
//! use kernel_arena::platform::ReversibleMap;
//! use kernel_arena::slab::{Mode, Slab, SlabError};
//! use kernel_arena::source::{ArenaPages, FrameMetadata};
//! use kernel_arena::{Arena, ArenaPtr, Misuse, Platform};
//! # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
//!
//! type Pages<P> = ArenaPages<'static, P>;
//! type Metadata<P> = FrameMetadata<'static, P>;
//!
//! /// In the kernel: `#[global_allocator] static HEAP: ArenaHeap<MyKernel> = ArenaHeap::new();`, and then, once there is an
//! /// arena made with `ArenaLayout::private()`:
//! fn start<P: Platform>(heap: &ArenaHeap<P>, arena: &'static Arena<P>) -> Result<(), InitError>
//! where
//!     P::PhysMap: ReversibleMap,
//! {
//!     heap.start_waiting(arena) // `start`, where handlers allocate that may not wait for other CPUs
//! }
//!
//! /// Objects for programs, on a shared arena.
//! fn objects<P: Platform>(arena: &'static Arena<P>) -> Result<Slab<Pages<P>, Metadata<P>>, SlabError>
//! where
//!     P::PhysMap: ReversibleMap,
//! {
//!     let slab = Slab::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast);
//!     slab.map_err(|refused| refused.error)
//! }
//!
//! /// An object for a program, which passes whatever it likes to the free.
//! fn for_a_program<P: Platform>(slab: &Slab<Pages<P>, Metadata<P>>) -> Result<ArenaPtr, SlabError>
//! where
//!     P::PhysMap: ReversibleMap,
//! {
//!     slab.alloc_checked(Layout::new::<[u64; 6]>())
//! }
//!
//! /// Freed, or refused with the reason, which is recorded.
//! fn from_a_program<P: Platform>(slab: &Slab<Pages<P>, Metadata<P>>, anything: u32) -> Result<(), Misuse>
//! where
//!     P::PhysMap: ReversibleMap,
//! {
//!     slab.free_checked(ArenaPtr::new(anything))
//! }
//! #
//! # use kernel::{LAYOUT, MyKernel};
//! # fn arena(layout: kernel_arena::ArenaLayout) -> &'static Arena<MyKernel> {
//! #     let metadata = Box::leak(Box::new_uninit_slice(layout.metadata_words()));
//! #     Box::leak(Box::new(Arena::new(MyKernel::boot(), layout, metadata).unwrap()))
//! # }
//! # static HEAP: ArenaHeap<MyKernel> = ArenaHeap::new();
//! # start(&HEAP, arena(LAYOUT.private())).unwrap();
//! # HEAP.try_alloc(Layout::new::<u64>()).unwrap();
//! # let arena = arena(LAYOUT);
//! # let slab = objects(arena).unwrap();
//! # let object = for_a_program(&slab).unwrap();
//! # assert_eq!(from_a_program(&slab, 0), Err(Misuse::Outside));
//! # assert_eq!(from_a_program(&slab, object.offset()), Ok(()));
//! ```
//!
//! # The rules
//!
//! The states of a page and the rules that hold among many CPUs are in [*The model*](documents::model), numbered;
//! comments cite them as I1, I2, … and S1, S2, … Those of objects, O1, O2, …, are in [*Objects*](documents::objects),
//! which also says which allocator to use. Where each function may be called, and what to do about each error, is in
//! [*Calls*](documents::calls).
//!
//! # Features
//!
//! None is on by default.
//! - `allocator-api2`: a heap is an `Allocator`, too, of the version that `hashbrown` uses.
//! - `defmt`, `log`: creation, destruction, and violations that are taken out of the record, are logged; with `defmt` value
//!   types are `Format`.
//! - `frames`: `kit::RecyclingFrames`, frames from an allocator that cannot take them back, behind a lock.
//! - `std`: [`hosted`](https://docs.rs/kernel-arena/latest/kernel_arena/hosted), the allocators for programs of a unix
//!   host.
//! - `zerocopy`: [`access`](https://docs.rs/kernel-arena/latest/kernel_arena/access), typed access to what programs share.
//! - `x86_64-frames`: the adapter `arch::x86_64::frames` for frame allocators of the `x86_64` crate, behind a lock.
//! - `_bench`: for this repository's benches alone. What it adds is no part of the API, and any version may change it.
//!
//! The crate needs no `alloc`, no nightly compiler and no lock.
//!
//! # Panics
//! No function panics, whatever numbers it is given, but those that are meant for constants, where the compiler does
//! ([`ArenaLayout::fixed`]). What may panic is what the kernel lends, and, where debug assertions are on, the crate's
//! checks of itself; the fault path has none of these.

#![cfg_attr(not(any(test, kernel_arena_loom)), no_std)]

#[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
extern crate std;

#[cfg(feature = "zerocopy")]
pub mod access;
pub mod arch;
pub mod groups;
#[cfg(not(kernel_arena_loom))]
pub mod heap;
#[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
pub mod hosted;
#[cfg(not(kernel_arena_loom))]
pub mod kit;
pub mod masks;
pub mod platform;
pub mod pool;
pub mod slab;
pub mod source;
pub mod sync;
pub mod views;

mod addr;
mod arena;
mod cpus;
mod fault;
mod layout;
mod metadata;
mod misuse;
#[cfg(not(kernel_arena_loom))]
mod once;
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
#[cfg(feature = "_bench")]
#[doc(hidden)]
pub use arena::bench;
pub use arena::{
    AllocError, AllocRequest, Arena, Context, CreateError, CreateRefused, DestroyRefused, Destroyed, FreeError,
    Placement, Reclaimable, Reclaimed, ReserveError, Stats, ValidateError,
};
pub use fault::{Access, Fault, FaultOutcome, InstructionAddr};
pub use layout::{AddressWidth, ArenaLayout, LayoutError, Sharing};
pub use metadata::MetadataWord;
pub use misuse::Misuse;
pub use platform::Platform;
pub use programs::{ProgramId, ProgramScope};
pub use registry::{RegisterError, Registration, Registry, RemoveError};
pub use slot::{Owner, SlotState, Tag};
pub use violations::{Bytecode, ProgramHole, VIOLATION_CAPACITY, Violation, ViolationKind};

const _: () = assert!(usize::BITS == 64, "kernel-arena is for 64-bit machines");

/// What the repository's documents say, for readers of this documentation.
#[cfg(doc)]
pub mod documents {
    /// [objects]: crate::documents::objects
    #[doc = include_str!("../docs/MODEL.md")]
    pub mod model {}

    /// [model]: crate::documents::model
    /// [model-contexts]: crate::documents::model#contexts
    /// [objects-contexts]: crate::documents::objects#contexts
    /// [sources]: crate::documents::objects#sources
    /// [stack]: crate::documents::objects#stack
    #[doc = include_str!("../docs/CALLS.md")]
    pub mod calls {}

    /// [model]: crate::documents::model
    /// [costs]: https://docs.rs/crate/kernel-arena/latest
    #[doc = include_str!("../docs/HEAP.md")]
    pub mod objects {}

    #[doc = include_str!("../docs/PORTING.md")]
    pub mod porting {}

    #[doc = include_str!("../docs/PROGRAMS.md")]
    pub mod programs {}
}

/// The examples in the README are compiled with the others, where there is all that they use.
#[cfg(all(doctest, feature = "zerocopy"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is that of the chapter on programs.
#[cfg(doctest)]
#[doc = include_str!("../docs/PROGRAMS.md")]
struct Programs;
