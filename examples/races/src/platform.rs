//! What the kernel lends to the arenas of the races: its usual parts, but a shootdown that hesitates.
//!
//! What is true only after a shootdown must not be done before. As shootdowns go, the time in which that would show is short, and
//! nobody might be there to see it; so this one often waits a little before it begins, as a slow machine's would.

use kernel_arena::platform::{FixedOffset, FlushScope, Shootdown};
use kernel_arena::{AddressRange, Platform};
use support::{FrameStack, KernelPlatform, Machine, ThisCpu, Window, ticks};

use crate::play::pause;

/// The longest that a shootdown hesitates, in microseconds.
const LONGEST_US: u64 = 40;

/// A shootdown that hesitates.
#[derive(Debug)]
pub(crate) struct Hesitant(KernelPlatform);

impl Shootdown for Hesitant {
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope) {
        // The clock's low bits are as good as random here.
        let random = ticks();
        if random & 0b110 == 0 {
            pause(u32::try_from((random >> 3) % LONGEST_US).unwrap_or(0));
        }
        self.0.shootdown().shootdown(ranges, scope);
    }
}

/// All that the kernel lends to one arena.
#[derive(Debug)]
pub(crate) struct RacePlatform {
    shootdown: Hesitant,
}

impl RacePlatform {
    /// One with a window that is not lent yet; none if all are.
    pub(crate) fn lend(machine: &Machine) -> Option<Self> {
        machine.platform().map(|platform| Self { shootdown: Hesitant(platform) })
    }

    /// The window that an arena on this platform has.
    pub(crate) fn window(&self) -> &Window {
        self.shootdown.0.window()
    }
}

// SAFETY: all parts are the kernel's, which vouches for them; a shootdown that begins later is one still.
unsafe impl Platform for RacePlatform {
    type Frames = FrameStack;
    type PhysMap = FixedOffset;
    type Shootdown = Hesitant;
    type Cpus = ThisCpu;
    type Upper = Window;

    fn frames(&self) -> &FrameStack {
        self.shootdown.0.frames()
    }

    fn phys_map(&self) -> &FixedOffset {
        self.shootdown.0.phys_map()
    }

    fn shootdown(&self) -> &Hesitant {
        &self.shootdown
    }

    fn cpus(&self) -> &ThisCpu {
        self.shootdown.0.cpus()
    }

    fn upper(&self) -> &Window {
        self.shootdown.0.upper()
    }
}
