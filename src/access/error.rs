//! Why an access was not made, or not to its end.

use core::fmt;

use crate::addr::KernelAddr;

/// There is no page, or only the scratch page: nothing was accessed there, nothing was installed, and no violation recorded.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first byte of the access that has no page. (Its page may have come there since.)
    pub address: KernelAddr,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no page at {}: whoever gave the pointer is wrong, or has freed it", self.address)
    }
}

/// More was asked for than there is between a pointer and the end of the window with its upper guard (or, of an
/// [`ArenaSlice`](super::ArenaSlice), of the window). Nothing was accessed.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeavesWindow {
    /// Where the access starts, from the window's start.
    pub offset: u32,
    /// How many bytes it has; `u64::MAX` if there are more.
    pub bytes: u64,
}

impl fmt::Display for LeavesWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, bytes } = self;
        write!(f, "{bytes} bytes from offset {offset:#x} on leave the window: refuse a length that is so large")
    }
}

/// The address of an atomic is no multiple of its size. Nothing was accessed.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misaligned {
    /// Where it would be, from the window's start.
    pub offset: u32,
    /// What that must be a multiple of.
    pub alignment: u32,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, alignment } = self;
        write!(f, "offset {offset:#x} of an atomic is not a multiple of {alignment}: refuse the pointer")
    }
}

/// The arena is private: its pages may be borrowed by whoever has allocated them, so nobody else may write there.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateArena;

impl fmt::Display for PrivateArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the arena is private: access what was allocated there by references, as any memory of the kernel's",
        )
    }
}

/// Why a copy that stops at a hole did not come to its end.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryCopyError {
    /// More was asked for than there is. Nothing was copied.
    LeavesWindow(LeavesWindow),
    /// It came to a hole.
    Hole {
        /// Where.
        hole: Hole,
        /// How many bytes lie before it: they were copied.
        copied: usize,
    },
}

impl fmt::Display for TryCopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeavesWindow(error) => error.fmt(f),
            Self::Hole { hole, copied } => write!(f, "{hole} ({copied} bytes before it were copied)"),
        }
    }
}

impl From<LeavesWindow> for TryCopyError {
    fn from(error: LeavesWindow) -> Self {
        Self::LeavesWindow(error)
    }
}

/// Why a snapshot gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError<E> {
    /// There is nothing to read.
    Hole(Hole),
    /// What was read is not valid.
    Invalid(E),
}

impl<E: fmt::Display> fmt::Display for SnapshotError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole(hole) => hole.fmt(f),
            Self::Invalid(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Hole {}
impl core::error::Error for LeavesWindow {}
impl core::error::Error for Misaligned {}
impl core::error::Error for PrivateArena {}
impl core::error::Error for TryCopyError {}
impl<E: core::error::Error> core::error::Error for SnapshotError<E> {}
