//! The arena of this kernel, and its heap: all that taking kernel-arena in takes.

use kernel_arena::arch::x86_64::tlb::LocalShootdown;
use kernel_arena::heap::ArenaHeap;
use kernel_arena::kit::x86_64::recover;
use kernel_arena::kit::{ArenaCell, MetadataCell, OneCpu, Parts, RecyclingFrames, Window};
use kernel_arena::platform::{EntryAttributes, FixedOffset};
use kernel_arena::{AddressWidth, Arena, ArenaLayout, Registry};

use crate::kernel::BootFrames;

/// 16 MiB at addresses that nothing else uses: root entry 288 is this window's.
const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 4096).private();

type Frames = RecyclingFrames<BootFrames>;
/// What this kernel lends.
pub type MyPlatform = Parts<&'static Frames, FixedOffset, LocalShootdown, OneCpu, Window>;

static FRAMES: Frames = RecyclingFrames::new();
static METADATA: MetadataCell<{ LAYOUT.metadata_words() }> = MetadataCell::new();
/// The arena.
pub static ARENA: ArenaCell<MyPlatform> = ArenaCell::new();
static ARENAS: Registry<MyPlatform, 1> = Registry::new();
/// Box, Vec and their like live here.
#[global_allocator]
pub static HEAP: ArenaHeap<MyPlatform> = ArenaHeap::new();

/// Makes the arena and starts the heap, once.
///
/// # Safety
///
/// All RAM is mapped at `offset`, write-back, and `frames` are nobody else's.
pub unsafe fn init(offset: u64, frames: BootFrames) -> &'static Arena<MyPlatform> {
    // SAFETY: all RAM is mapped there, write-back.
    let map = unsafe { FixedOffset::new(offset, EntryAttributes::default()) };
    // SAFETY: they are RAM, and nobody else's.
    unsafe { FRAMES.fill(frames, map) };
    // SAFETY: CR3 is the only root, nobody else edits it now, and these addresses are nobody else's.
    let window = unsafe { Window::link(&LAYOUT, &FRAMES, &map) }.expect("no window");
    // SAFETY: one CPU, whose handlers are interrupt gates; nothing that the arena uses lies in its window.
    let platform = unsafe { Parts::new(&FRAMES, map, LocalShootdown, OneCpu, window) };
    let metadata = METADATA.take().expect("no second call");
    let arena = ARENA.put(Arena::new(platform, LAYOUT, metadata).expect("no arena")).expect("no second call");
    let _for_ever = ARENAS.register_static(arena).expect("no room");
    HEAP.start_waiting(arena).expect("no heap");
    arena
}

/// For the page-fault handler: whether to return, to the saved RIP.
pub fn recovers(error_code: u64, rip: &mut u64) -> bool {
    recover(&ARENAS, error_code, rip)
}
