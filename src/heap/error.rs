//! What a heap refuses.

use core::fmt;

use crate::arena::AllocError;
use crate::slab::SlabError;

/// Why a heap was not initialised.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitError {
    /// It is already, or somebody is doing it at this moment.
    AlreadyInitialised,
    /// Programs may see the source's memory, and a heap hands out references: make the arena
    /// [private](crate::ArenaLayout::private), or use a [`Slab`](crate::slab::Slab).
    SharedMemory,
    /// No slab allocator could be made.
    Slab(SlabError),
}

/// A heap was not initialised: why, and what was lent for it.
pub struct InitRefused<S, M> {
    /// What is wrong.
    pub error: InitError,
    /// The page source, untouched.
    pub source: S,
    /// The metadata source; every page went back.
    pub metadata: M,
}

/// Why there is no memory. Nothing was taken, but for bookkeeping pages that stay for the next try.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapError {
    /// The heap has no memory yet: call [`Heap::init`](super::Heap::init) first.
    NotInitialised,
    /// The slab allocator below refuses: there is no object of that size, no page for bookkeeping, or no byte was asked for.
    Slab(SlabError),
    /// There is no run of pages of that size or alignment.
    Pages(AllocError),
    /// More than 4 GiB, or aligned to more, were asked for.
    TooLarge,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInitialised => f.write_str("the heap is initialised already"),
            Self::SharedMemory => f.write_str("programs may see this memory: a heap wants a private arena"),
            Self::Slab(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for HeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("the heap is not initialised yet"),
            Self::Slab(error) => error.fmt(f),
            Self::Pages(error) => error.fmt(f),
            Self::TooLarge => f.write_str("more than 4 GiB, or an alignment to more, were asked for"),
        }
    }
}

impl<S, M> From<InitRefused<S, M>> for InitError {
    fn from(refused: InitRefused<S, M>) -> Self {
        refused.error
    }
}

impl<S, M> fmt::Debug for InitRefused<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitRefused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S, M> fmt::Display for InitRefused<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for InitError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Slab(error) => Some(error),
            _ => None,
        }
    }
}

impl core::error::Error for HeapError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Slab(error) => Some(error),
            Self::Pages(error) => Some(error),
            _ => None,
        }
    }
}

impl<S, M> core::error::Error for InitRefused<S, M> {}
