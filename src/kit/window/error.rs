//! Why a window was not linked.

use core::fmt;

use crate::addr::VirtAddr;
use crate::arch::UnsupportedCpu;
use crate::views::ViewBaseError;

/// Why a window was not linked. Nothing was changed.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// Nothing is known to be loaded: this is a process.
    NotWalked,
    /// This CPU is not set up as an arena needs it.
    UnsupportedCpu(UnsupportedCpu),
    /// The physical map has the root table at this address, the processor does not: is the map's offset right?
    WrongMap {
        /// The address.
        address: VirtAddr,
    },
    /// The root's tables do not reach this address: it needs more bits than they translate.
    OutOfReach {
        /// The address.
        address: VirtAddr,
    },
    /// The source has too few frames for the tables that are missing, at most five.
    OutOfFrames,
    /// A large page (a block) is on the way: choose another base.
    LargePage {
        /// An address that it covers, in the window or its guard.
        address: VirtAddr,
    },
    /// The entry for this address is in use: choose a base where nothing is mapped, in 4 GiB and 2 MiB above. The windows of two
    /// arenas are at least 8 GiB apart.
    InUse {
        /// The address.
        address: VirtAddr,
    },
    /// The other root has a table of its own for this address: copy the entries before it gets one, or choose a base whose
    /// 512 GiB nothing else uses.
    OtherTable {
        /// The address.
        address: VirtAddr,
    },
    /// A table on the way forbids user mode what is below it: choose a base for programs, or allow it there.
    ClosedToPrograms {
        /// The address.
        address: VirtAddr,
    },
    /// No program view can start there.
    ViewBase(ViewBaseError),
    /// The first root has no entry for this address yet: create the arena first, for it writes the root's own entries.
    NothingToCopy {
        /// The address.
        address: VirtAddr,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedCpu(cpu) => cpu.fmt(f),
            Self::ViewBase(base) => base.fmt(f),
            Self::ClosedToPrograms { address } => {
                write!(f, "a table on the way to {address:?} forbids user mode what is below: choose another base")
            }
            Self::NotWalked => f.write_str(
                "no page tables of this format are known to be loaded: name the root, with `Window::link_below`",
            ),
            Self::WrongMap { address } => {
                write!(f, "the root table is not mapped at {address:?}: give the physical map the right offset")
            }
            Self::OutOfReach { address } => {
                write!(f, "the root's tables do not reach {address:?}: choose another base")
            }
            Self::OutOfFrames => f.write_str("too few frames for the tables above the window: give the source five"),
            Self::LargePage { address } => write!(f, "a large page covers {address:?}: choose another base"),
            Self::InUse { address } => write!(f, "something is mapped at {address:?}: choose another base"),
            Self::NothingToCopy { address } => {
                write!(f, "there is no entry for {address:?} yet: create the arena first")
            }
            Self::OtherTable { address } => {
                write!(f, "the other root has a table of its own for {address:?}: copy the entries before it gets one")
            }
        }
    }
}

impl core::error::Error for LinkError {}
