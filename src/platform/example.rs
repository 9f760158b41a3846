// A platform for one CPU. A piece of the process's memory stands for the physical memory, mapped at its own address, so
// that the examples of this crate run where they are tested.
use std::sync::Mutex;

// CPU 0, at level 0 where interrupts are enabled. For kernels that do not preempt threads in kernel mode, and whose handlers
// keep interrupts masked; they may allocate. `kit` has others.
pub use kernel_arena::kit::OneCpu;
use kernel_arena::platform::*;
use kernel_arena::sync::AtomicU64;
use kernel_arena::{AddressRange, AddressWidth, ArenaLayout, KernelAddr};

/// Sixteen pages of a window.
pub const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 16);

/// A list of free frames: your kernel has a frame allocator.
pub struct Frames(Mutex<Vec<Frame>>);

impl FrameSource for Frames {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        self.0.lock().unwrap().pop()
    }
    unsafe fn free(&self, frame: Frame) {
        self.0.lock().unwrap().push(frame);
    }
}

pub struct Flush;

impl Shootdown for Flush {
    fn shootdown(&self, ranges: &[AddressRange], _scope: FlushScope) {
        for _page in ranges.iter().flat_map(|range| range.pages()) { /* invlpg */ }
    }
}

/// In a kernel: references into its page tables.
pub struct Upper([AtomicU64; 5]);

impl UpperSlots for Upper {
    fn window_base(&self) -> KernelAddr {
        LAYOUT.base()
    }
    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        [&self.0[0], &self.0[1], &self.0[2], &self.0[3]]
    }
    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.0[4]
    }
}

pub struct MyKernel {
    frames: Frames,
    map: FixedOffset,
    cpu: OneCpu,
    upper: Upper,
}

// SAFETY: an example; a kernel argues here, contract by contract.
unsafe impl Platform for MyKernel {
    type Frames = Frames;
    type PhysMap = FixedOffset;
    type Shootdown = Flush;
    type Cpus = OneCpu;
    type Upper = Upper;
    fn frames(&self) -> &Frames {
        &self.frames
    }
    fn phys_map(&self) -> &FixedOffset {
        &self.map
    }
    fn shootdown(&self) -> &Flush {
        &Flush
    }
    fn cpus(&self) -> &OneCpu {
        &self.cpu
    }
    fn upper(&self) -> &Upper {
        &self.upper
    }
}

impl MyKernel {
    pub fn boot() -> Self {
        let memory = vec![[0u8; 4096]; 129].leak().as_mut_ptr().expose_provenance().next_multiple_of(4096);
        let frames = (0..128).filter_map(|number| Frame::new(memory as u64 + number * 4096)).collect();
        Self {
            frames: Frames(Mutex::new(frames)),
            // SAFETY: each frame is memory at its own address, and no other attributes are wanted.
            map: unsafe { FixedOffset::new(0, EntryAttributes::default()) },
            cpu: OneCpu,
            upper: Upper([const { AtomicU64::new(0) }; 5]),
        }
    }
}
