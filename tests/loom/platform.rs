//! What the machine lends to an arena.

use std::ptr::NonNull;
use std::sync::Arc;

use kernel_arena::platform::{
    CpuCount, CpuIdentity, CpuLevel, EntryAttributes, FlushScope, Frame, FrameSource, NodeId, PhysMap, Shootdown,
    UpperSlots, ViewEntries,
};
use kernel_arena::sync::AtomicU64;
use kernel_arena::{AddressRange, KernelAddr, Platform, ProgramAddr};

use crate::machine::{CPUS, Machine, VIEW_BASE};

impl FrameSource for Machine {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        self.take_frame()
    }

    unsafe fn free(&self, frame: Frame) {
        self.give_back_frame(frame);
    }
}

impl PhysMap for Machine {
    fn frame_to_ptr(&self, frame: Frame) -> NonNull<u8> {
        self.bytes(frame)
    }

    fn attributes(&self) -> EntryAttributes {
        EntryAttributes::default()
    }
}

impl Shootdown for Machine {
    fn shootdown(&self, ranges: &[AddressRange], _scope: FlushScope) {
        self.flush(ranges);
    }
}

impl CpuIdentity for Machine {
    fn current(&self) -> Option<CpuLevel> {
        Some(self.current_level())
    }

    fn count(&self) -> CpuCount {
        CpuCount::new(CPUS.into()).expect("a few CPUs")
    }
}

impl UpperSlots for Machine {
    fn window_base(&self) -> KernelAddr {
        KernelAddr::new(self.base())
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [a, b, c, d, _] = self.upper();
        [a, b, c, d]
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.upper()[4]
    }
}

/// The entries that the machine walks for a program.
pub(crate) struct Lent(Arc<[AtomicU64; 4]>);

// SAFETY: the machine's walker reads them for its only program view, and shootdowns reach what it remembers of that.
unsafe impl ViewEntries for Lent {
    fn view_base(&self) -> ProgramAddr {
        ProgramAddr::new(VIEW_BASE)
    }

    unsafe fn view_entries(&self) -> [&AtomicU64; 4] {
        self.0.each_ref()
    }
}

impl Machine {
    /// What an arena is lent for the program view.
    pub(crate) fn lent_view(&self) -> Lent {
        Lent(self.view())
    }
}

macro_rules! platform {
    ($lender:ty) => {
        // SAFETY: each part above keeps its contract: frames are distinct and lie in memory that outlives the arena, a
        // shootdown has cleared every TLB when it returns, each loom thread is one CPU, and nobody else writes the lent
        // entries.
        unsafe impl Platform for $lender {
            type Frames = Machine;
            type PhysMap = Machine;
            type Shootdown = Machine;
            type Cpus = Machine;
            type Upper = Machine;

            fn frames(&self) -> &Machine {
                self
            }
            fn phys_map(&self) -> &Machine {
                self
            }
            fn shootdown(&self) -> &Machine {
                self
            }
            fn cpus(&self) -> &Machine {
                self
            }
            fn upper(&self) -> &Machine {
                self
            }
        }
    };
}

platform!(Machine);
// A machine that is there before and after its arena.
platform!(&'static Machine);
