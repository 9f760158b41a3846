//! What the kernel lends to the arenas here: its usual parts, but a CPU identity that can be made to forget which CPU
//! it is.

use core::sync::atomic::{AtomicBool, Ordering};

use kernel_arena::Platform;
use kernel_arena::platform::{CpuCount, CpuIdentity, CpuLevel, FixedOffset};
use support::{FrameStack, KernelPlatform, MAX_CPUS, Machine, Shootdown, ThisCpu, Window, cpu_id};

/// Which CPUs are nameless at the moment. Relaxed: each concerns its own CPU alone.
static NAMELESS: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Does something while nobody can tell which CPU this is, those who interrupt it included.
pub(crate) fn nameless<R>(action: impl FnOnce() -> R) -> R {
    let nameless = &NAMELESS[usize::from(cpu_id().number())];
    nameless.store(true, Ordering::Relaxed);
    let result = action();
    nameless.store(false, Ordering::Relaxed);
    result
}

/// The CPU that runs, unless it is nameless.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity;

impl CpuIdentity for Identity {
    fn current(&self) -> Option<CpuLevel> {
        let is_nameless = NAMELESS[usize::from(cpu_id().number())].load(Ordering::Relaxed);
        if is_nameless { None } else { ThisCpu.current() }
    }

    fn count(&self) -> CpuCount {
        ThisCpu.count()
    }
}

/// All that the kernel lends to one arena.
#[derive(Debug)]
pub(crate) struct HeapPlatform {
    kernel: KernelPlatform,
    cpus: Identity,
}

impl HeapPlatform {
    /// One with a window that is not lent yet; none if all are.
    pub(crate) fn lend(machine: &Machine) -> Option<Self> {
        machine.platform().map(|kernel| Self { kernel, cpus: Identity })
    }

    /// The window that an arena on this platform has.
    pub(crate) fn window(&self) -> &Window {
        self.kernel.window()
    }
}

// SAFETY: all parts are the kernel's, which vouches for them; a CPU that is not named breaks no promise.
unsafe impl Platform for HeapPlatform {
    type Frames = FrameStack;
    type PhysMap = FixedOffset;
    type Shootdown = Shootdown;
    type Cpus = Identity;
    type Upper = Window;

    fn frames(&self) -> &FrameStack {
        self.kernel.frames()
    }

    fn phys_map(&self) -> &FixedOffset {
        self.kernel.phys_map()
    }

    fn shootdown(&self) -> &Shootdown {
        self.kernel.shootdown()
    }

    fn cpus(&self) -> &Identity {
        &self.cpus
    }

    fn upper(&self) -> &Window {
        self.kernel.upper()
    }
}
