//! What this kernel lends to an arena: the library's `Platform`, put together from parts that
//! the rest of this crate has.
//!
//! The shootdown of x86_64 is the one in `x86_64/shootdown.rs`, by interrupt; that of aarch64 is the
//! library's own broadcast. A CPU's interrupt level is the number of fault handlers that run on it.

use kernel_arena::Platform;
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, EntryAttributes, FixedOffset};

use crate::arch::{self, LEAF_ATTRIBUTES, PHYSICAL_MAP, Shootdown};
use crate::cpus::{self, cpu_id};
use crate::fault::fault_level;
use crate::frames::FrameStack;
use crate::window::Window;

/// All that the kernel lends to one arena. There are as many as there are windows.
#[derive(Debug)]
pub struct KernelPlatform {
    frames: &'static FrameStack,
    map: FixedOffset,
    shootdown: Shootdown,
    cpu: ThisCpu,
    window: Window,
}

impl KernelPlatform {
    pub(crate) fn new(frames: &'static FrameStack, window: Window) -> Self {
        let attributes = EntryAttributes { leaf: LEAF_ATTRIBUTES, table: 0 };
        Self {
            frames,
            // SAFETY: the page tables map all RAM at this offset, in the upper half and so never
            // at 0, with these attributes.
            map: unsafe { FixedOffset::new(PHYSICAL_MAP, attributes) },
            shootdown: arch::SHOOTDOWN,
            cpu: ThisCpu,
            window,
        }
    }

    /// The window that an arena on this platform has.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }
}

// SAFETY: part by part,
// - frames: the stack hands out each frame once, and no other part of the kernel uses their RAM; it
//   takes no lock; taking a frame acquires what putting it back released;
// - map: see `new`;
// - shootdown: `x86_64/shootdown.rs` argues for its own contract, which is this one; what it asks for
//   is given: nothing preempts, and whoever spins with interrupts masked does it by `relax`. On
//   aarch64 the hardware broadcasts;
// - CPU: see `ThisCpu`;
// - upper entries: `Window` exists once for each, the kernel's roots never change, and nothing
//   else writes there.
unsafe impl Platform for KernelPlatform {
    type Frames = FrameStack;
    type PhysMap = FixedOffset;
    type Shootdown = Shootdown;
    type Cpus = ThisCpu;
    type Upper = Window;

    fn frames(&self) -> &FrameStack {
        self.frames
    }

    fn phys_map(&self) -> &FixedOffset {
        &self.map
    }

    fn shootdown(&self) -> &Shootdown {
        &self.shootdown
    }

    fn cpus(&self) -> &ThisCpu {
        &self.cpu
    }

    fn upper(&self) -> &Window {
        &self.window
    }
}

/// The CPU that runs.
///
/// Nothing preempts, and the interrupts of `x86_64/interrupts.rs` call no arena: the only code that comes
/// between and does is a fault handler or the kernel's interrupt handler, and those have levels of their own.
#[derive(Clone, Copy, Debug)]
pub struct ThisCpu;

impl CpuIdentity for ThisCpu {
    fn current(&self) -> Option<CpuLevel> {
        let level = u8::try_from(fault_level()).ok()?;
        Some(CpuLevel { cpu: cpu_id(), level })
    }

    fn cpu(&self) -> Option<CpuId> {
        Some(cpu_id())
    }

    fn count(&self) -> CpuCount {
        CpuCount::new(cpus::count()).unwrap_or(CpuCount::ONE)
    }
}
