//! The platform that the machine lends to an arena: handles to the hardware.

use std::ptr::NonNull;
use std::rc::Rc;

use kernel_arena::platform::{
    CpuCount, CpuId, CpuIdentity, CpuLevel, EntryAttributes, Frame, FrameSource, NodeId, PhysMap, ReversibleMap,
    UpperSlots,
};
use kernel_arena::sync::{AtomicU64, Ordering};
use kernel_arena::{KernelAddr, Platform};

use super::flush::MachineShootdown;
use super::format::Format;
use super::hardware::Hardware;
use super::hooks::Point;
use super::rule;

/// What an arena on the machine is given.
pub(crate) struct Host<F: Format> {
    port: Port,
    shootdown: MachineShootdown<F>,
    upper: Rc<Upper>,
}

/// Frames, physical map and CPU identity.
pub(crate) struct Port(Rc<Hardware>);

/// The five lent entries, and the address that the first translates.
pub(crate) struct Upper(pub(super) [AtomicU64; 5], KernelAddr);

impl Upper {
    pub(super) fn new(base: KernelAddr) -> Self {
        Self(Default::default(), base)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|entry| entry.load(Ordering::Relaxed) == 0)
    }
}

impl<F: Format> Host<F> {
    pub(super) fn new(hardware: &Rc<Hardware>, upper: Rc<Upper>) -> Self {
        Self { port: Port(Rc::clone(hardware)), shootdown: MachineShootdown::new(Rc::clone(hardware)), upper }
    }
}

// SAFETY: a frame is handed out once until it comes back, and its pointer is that of its own 4096 bytes, which live as long
// as the hardware, which each part of the platform keeps alive; the entries are the arena's alone; shootdowns and identity
// are the machine's, whose CPUs are simulated, and translate nothing but by its own walker and TLBs.
unsafe impl<F: Format> Platform for Host<F> {
    type Frames = Port;
    type PhysMap = Port;
    type Shootdown = MachineShootdown<F>;
    type Cpus = Port;
    type Upper = Upper;

    fn frames(&self) -> &Port {
        &self.port
    }

    fn phys_map(&self) -> &Port {
        &self.port
    }

    fn shootdown(&self) -> &MachineShootdown<F> {
        &self.shootdown
    }

    fn cpus(&self) -> &Port {
        &self.port
    }

    fn upper(&self) -> &Upper {
        &self.upper
    }
}

impl FrameSource for Port {
    fn alloc(&self, node: Option<NodeId>) -> Option<Frame> {
        self.0.control(Point::FrameAlloc);
        rule(!self.0.in_handler.get(), || "I4: the fault path takes a frame".into());
        self.0.memory.alloc(node)
    }

    unsafe fn free(&self, frame: Frame) {
        self.0.control(Point::FrameFree);
        rule(!self.0.in_handler.get(), || "I4: the fault path frees a frame".into());
        self.0.check_free(frame);
        self.0.memory.free(frame);
    }
}

impl PhysMap for Port {
    fn frame_to_ptr(&self, frame: Frame) -> NonNull<u8> {
        self.0.control(Point::PhysMap);
        self.0.watch.note(frame);
        rule(self.0.memory.is_taken(frame.address()), || format!("{frame:?} is free, and its pointer is asked for"));
        self.0.memory.pointer(frame.address())
    }

    fn attributes(&self) -> EntryAttributes {
        self.0.rules.attributes
    }
}

impl ReversibleMap for Port {
    fn ptr_to_frame(&self, pointer: NonNull<u8>) -> Frame {
        Frame::new(self.0.memory.address_of(pointer)).expect("frames are aligned")
    }
}

impl CpuIdentity for Port {
    fn current(&self) -> Option<CpuLevel> {
        self.0.control(Point::CpuIdentity);
        self.0.identity()
    }

    fn cpu(&self) -> Option<CpuId> {
        self.0.control(Point::CpuIdentity);
        self.0.cpu()
    }

    fn count(&self) -> CpuCount {
        self.0.cpu_count()
    }
}

impl UpperSlots for Upper {
    fn window_base(&self) -> KernelAddr {
        self.1
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        [&self.0[0], &self.0[1], &self.0[2], &self.0[3]]
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.0[4]
    }
}
