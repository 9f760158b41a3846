//! The arena of this kernel, and its heap: all that taking kernel-arena in takes.

use kernel_arena::arch::aarch64::{BroadcastShootdown, normal_memory};
use kernel_arena::heap::ArenaHeap;
use kernel_arena::kit::aarch64::recover;
use kernel_arena::kit::{ArenaCell, FreshFrames, MetadataCell, OneCpu, Parts, RecyclingFrames, Window};
use kernel_arena::platform::{FixedOffset, Frame};
use kernel_arena::{AddressWidth, Arena, ArenaLayout, Registry};

use crate::kernel::BootFrames;

/// 16 MiB at 64 GiB, where nothing else is; TTBR0 translates 39 bits.
const LAYOUT: ArenaLayout = ArenaLayout::fixed(0x10_0000_0000, AddressWidth::BITS_48, 4096).private();

impl FreshFrames for BootFrames {
    fn next_frame(&mut self) -> Option<Frame> {
        Frame::new(self.allocate()?)
    }
}

type Frames = RecyclingFrames<BootFrames>;
/// What this kernel lends.
pub type MyPlatform = Parts<&'static Frames, FixedOffset, BroadcastShootdown, OneCpu, Window>;

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
/// Physical memory is mapped where it is, and `frames` are nobody else's.
pub unsafe fn init(frames: BootFrames) -> &'static Arena<MyPlatform> {
    let attributes = normal_memory().expect("no normal memory in MAIR_EL1");
    // SAFETY: all RAM is mapped where it is, as such memory.
    let map = unsafe { FixedOffset::new(0, attributes) };
    // SAFETY: they are RAM, and nobody else's.
    unsafe { FRAMES.fill(frames, map) };
    // SAFETY: TTBR0_EL1's is the only root, nobody else edits it now, and these addresses are nobody else's.
    let window = unsafe { Window::link(&LAYOUT, &FRAMES, &map) }.expect("no window");
    // SAFETY: one CPU, which masks interrupts in handlers; nothing that the arena uses lies in its window.
    let platform = unsafe { Parts::new(&FRAMES, map, BroadcastShootdown::default(), OneCpu, window) };
    let metadata = METADATA.take().expect("no second call");
    let arena = ARENA.put(Arena::new(platform, LAYOUT, metadata).expect("no arena")).expect("no second call");
    let _for_ever = ARENAS.register_static(arena).expect("no room");
    HEAP.start_waiting(arena).expect("no heap");
    arena
}

/// For the handler of synchronous exceptions: whether to return, to the saved ELR.
pub fn recovers(elr: &mut u64) -> bool {
    recover(&ARENAS, elr)
}
