//! A kernel as those are that adopt the library: edition 2018, dependencies of its own, nothing of this project's set-up.
//!
//! It never runs: what it is for is that all of this is compiled, for the machine, and linked.
#![no_std]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::heap::ArenaHeap;
use kernel_arena::kit::OneCpu;
use kernel_arena::platform::{
    EntryAttributes, FixedOffset, FlushScope, Frame, FrameSource, NodeId, Platform, Shootdown, UpperSlots,
};
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{
    Access, AddressRange, AddressWidth, AllocRequest, Arena, ArenaLayout, Fault, FaultOutcome, InstructionAddr, KernelAddr,
    MetadataWord, Owner, PageCount,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// All that is lent.
pub struct Machine {
    next: AtomicU64,
    map: FixedOffset,
    entries: [AtomicU64; 5],
}

impl FrameSource for Machine {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        Frame::new(self.next.fetch_add(4096, Ordering::Relaxed))
    }
    unsafe fn free(&self, _frame: Frame) {}
}

impl Shootdown for Machine {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

impl UpperSlots for Machine {
    fn window_base(&self) -> KernelAddr {
        LAYOUT.base()
    }
    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        [&self.entries[0], &self.entries[1], &self.entries[2], &self.entries[3]]
    }
    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.entries[4]
    }
}

unsafe impl Platform for Machine {
    type Frames = Self;
    type PhysMap = FixedOffset;
    type Shootdown = Self;
    type Cpus = OneCpu;
    type Upper = Self;
    fn frames(&self) -> &Self {
        self
    }
    fn phys_map(&self) -> &FixedOffset {
        &self.map
    }
    fn shootdown(&self) -> &Self {
        self
    }
    fn cpus(&self) -> &OneCpu {
        &OneCpu
    }
    fn upper(&self) -> &Self {
        self
    }
}

const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_ff90_0000_0000, AddressWidth::BITS_48, 64).private();

/// What a kernel has as its `#[global_allocator]`.
pub static HEAP: ArenaHeap<Machine> = ArenaHeap::new();

/// Uses what there is to use.
pub fn run(metadata: &'static mut [MaybeUninit<MetadataWord>], place: &'static mut MaybeUninit<Arena<Machine>>) -> bool {
    // Where a kernel's own random numbers lose what makes them build without `std`, this does not compile.
    let start = SmallRng::seed_from_u64(1).gen_range(256..512) * 4096;
    let machine = Machine {
        next: AtomicU64::new(start),
        map: unsafe { FixedOffset::new(0xffff_ff80_0000_0000, EntryAttributes::default()) },
        entries: Default::default(),
    };
    let arena = match Arena::new(machine, LAYOUT, metadata) {
        Ok(arena) => &*place.write(arena),
        Err(_) => return false,
    };
    let pages = match arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Kernel)) {
        Ok(pages) => pages,
        Err(_) => return false,
    };
    let address = LAYOUT.to_kernel(pages.to_ptr());
    let fault = Fault { address, access: Access::Read, instruction: InstructionAddr::new(0) };
    let spurious = arena.handle_kernel_fault(&fault) == FaultOutcome::Spurious;
    let slab = match Slab::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast) {
        Ok(slab) => slab,
        Err(_) => return false,
    };
    let object = slab.alloc_checked(Layout::new::<[u64; 6]>()).ok();
    let freed = object.map_or(false, |object| slab.free_checked(Some(object)).is_ok());
    let heap = HEAP.start(arena).is_ok();
    spurious && freed && heap && HEAP.try_alloc(Layout::new::<u64>()).is_ok()
}
