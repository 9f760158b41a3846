//! What a kernel's main function is given, and the last steps before it runs, which start
//! the other CPUs.
//!
//! The architecture's start-up code calls [`run`] with the MMU on, the exception handlers in
//! place and nothing else done.

use kernel_arena::platform::CpuId;

use crate::exit::{ExitCode, exit};
use crate::frames::FrameStack;
use crate::platform::KernelPlatform;
use crate::window::Window;
use crate::{arch, cpus, layout};

static FRAMES: FrameStack = FrameStack::new();

/// The machine that a kernel runs on.
#[derive(Debug)]
pub struct Machine {
    command_line: &'static str,
}

impl Machine {
    /// What `-append` gave to the kernel. Empty if that was nothing, or not UTF-8.
    #[must_use]
    pub fn command_line(&self) -> &'static str {
        self.command_line
    }

    /// The frames of memory that nobody uses yet.
    #[must_use]
    pub fn frames(&self) -> &'static FrameStack {
        &FRAMES
    }

    /// How many CPUs there are, the boot CPU included: as many as QEMU was given by `-smp`, up to
    /// [`MAX_CPUS`](crate::MAX_CPUS). They are numbered from 0, which is the boot CPU.
    #[must_use]
    pub fn cpu_count(&self) -> u32 {
        cpus::count()
    }

    /// Runs `job` on all CPUs at once, this one included, and returns when all have ended it. What it
    /// did there is visible here then.
    ///
    /// # Panics
    ///
    /// If this is not the boot CPU at thread level, or is itself in a job. A panic in the job ends
    /// the machine, on whichever CPU.
    pub fn run_on_all(&self, job: impl Fn(CpuId) + Sync) {
        cpus::run_on_all(&job);
    }

    /// All that one arena needs of the kernel, with a window that is not lent yet; none if all
    /// four are.
    #[must_use]
    pub fn platform(&self) -> Option<KernelPlatform> {
        Window::lend().map(|window| KernelPlatform::new(&FRAMES, window))
    }
}

unsafe extern "Rust" {
    /// The kernel's main function; `entry!` defines it.
    safe fn kernel_main(machine: &'static Machine) -> ExitCode;
}

/// Sets up what is the same on all architectures, runs the kernel, and ends the machine.
///
/// # Safety
///
/// Called once, on the boot CPU, with [`layout::FRAMES_BYTES`] of unused RAM at
/// [`layout::FRAMES_OFFSET`].
pub(crate) unsafe fn run(command_line: &'static str) -> ! {
    static MACHINE: spin::Once<Machine> = spin::Once::new();

    FRAMES.fill(arch::RAM_BASE + layout::FRAMES_OFFSET);
    #[cfg(feature = "defmt")]
    arch::channel::open(command_line);
    cpus::start();
    exit(kernel_main(MACHINE.call_once(|| Machine { command_line })))
}
