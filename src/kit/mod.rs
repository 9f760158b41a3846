//! What a kernel would otherwise write itself: the glue between it and an arena, in parts, each usable alone.
//!
//! Nothing below this module knows it; a kernel with better parts of its own uses those. `docs/PORTING.md` in the repository
//! shows a whole port for each architecture, and `examples/minimal` boots them.
//!
//! | | |
//! |---|---|
//! | [`Parts`] | a [`Platform`](crate::Platform) made of five parts, with the whole contract in one place |
//! | [`Window`] | lent entries that link themselves below the root that is loaded |
//! | [`ProgramWindow`] | the entries of a program's view, below its root |
//! | [`FrameFns`] | frames from two functions |
//! | `RecyclingFrames` (feature `frames`) | frames from an allocator that cannot take them back |
//! | [`OneCpu`], [`Masking`], [`Unnamed`] | how the running CPU is named, and held |
//! | [`MetadataCell`], [`ArenaCell`] | statics without `static mut`: what an arena is lent, and the arena |
//! | [`x86_64::recover`], [`aarch64::recover`] | the first line of a fault handler |
//!
//! # Examples
//! All of it on x86_64, in a kernel that has all physical memory at an offset and one CPU, heap included:
//! ```no_run
//! use kernel_arena::arch::x86_64::tlb::LocalShootdown;
//! use kernel_arena::heap::ArenaHeap;
//! use kernel_arena::kit::{ArenaCell, FrameFns, MetadataCell, OneCpu, Parts, Window};
//! use kernel_arena::platform::{EntryAttributes, FixedOffset};
//! use kernel_arena::{AddressWidth, Arena, ArenaLayout, Registry};
//! # fn alloc_frame() -> Option<u64> { None }
//! # fn free_frame(_: u64) {}
//!
//! type Kernel = Parts<FrameFns, FixedOffset, LocalShootdown, OneCpu, Window>;
//! const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 4096).private();
//! static METADATA: MetadataCell<{ LAYOUT.metadata_words() }> = MetadataCell::new();
//! static ARENA: ArenaCell<Kernel> = ArenaCell::new();
//! static ARENAS: Registry<Kernel, 1> = Registry::new();
//! static HEAP: ArenaHeap<Kernel> = ArenaHeap::new(); // in a kernel: #[global_allocator]
//!
//! fn init(physical_memory_offset: u64) {
//!     let frames = FrameFns::new(alloc_frame, free_frame);
//!     // SAFETY: all frames are mapped there, as ordinary memory.
//!     let map = unsafe { FixedOffset::new(physical_memory_offset, EntryAttributes::default()) };
//!     // SAFETY: the kernel uses these addresses for nothing else, and nobody edits its tables now; the map reaches them.
//!     let window = unsafe { Window::link(&LAYOUT, &frames, &map) }.expect("the window is not linked");
//!     // SAFETY: one CPU; this is the only arena over this window; nothing that it uses lies in it.
//!     let platform = unsafe { Parts::new(frames, map, LocalShootdown, OneCpu, window) };
//!     let arena = Arena::new(platform, LAYOUT, METADATA.take().unwrap()).expect("no arena");
//!     let arena = ARENA.put(arena).expect("there is one already");
//!     let _for_ever = ARENAS.register_static(arena).unwrap();
//!     HEAP.start_waiting(arena).unwrap();
//! }
//!
//! /// The page-fault handler begins so: whether it returns, to the saved instruction pointer.
//! fn is_recovered(error_code: u64, instruction_pointer: &mut u64) -> bool {
//!     kernel_arena::kit::x86_64::recover(&ARENAS, error_code, instruction_pointer)
//! }
//! ```

pub mod aarch64;
mod cells;
mod frames;
mod identity;
mod parts;
#[cfg(feature = "frames")]
mod recycling;
mod window;
pub mod x86_64;

#[cfg(feature = "frames")]
pub use crate::platform::FreshFrames;
pub use cells::{ArenaCell, MetadataCell};
pub use frames::FrameFns;
pub use identity::{Masking, OneCpu, Unnamed};
pub use parts::Parts;
#[cfg(feature = "frames")]
pub use recycling::{FrameRange, FreshFn, RecyclingFrames};
pub use window::{LinkError, ProgramWindow, UnlinkError, UnlinkRefused, Window};
