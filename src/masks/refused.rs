//! Why a program's mask is not taken, or not changed.

use core::fmt;

use super::PlaceError;
use crate::access::Hole;

/// Why a program's pointer was refused as a mask. Nothing was changed.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskError {
    /// The pointer is null.
    Null,
    /// No mask can be there.
    Place(PlaceError),
    /// There is no header to read.
    Hole(Hole),
    /// The first id is not below the number of ids.
    Base {
        /// What the header says.
        base: u32,
    },
    /// There are fewer ids from the base on.
    Count {
        /// What the header says.
        base: u32,
        /// What the header says.
        nr: u32,
    },
    /// The mask has room for fewer words than its ids may need.
    Room {
        /// What the header says.
        alloc_words: u32,
        /// [`words`](crate::masks::words) of its ids.
        needed: u64,
    },
}

impl fmt::Display for MaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("the pointer to a mask is null: refuse it"),
            Self::Place(error) => error.fmt(f),
            Self::Hole(hole) => hole.fmt(f),
            Self::Base { base } => write!(f, "a mask begins with id {base}, which there is not: refuse it"),
            Self::Count { base, nr } => {
                write!(f, "there are no {nr} ids from id {base} on, as a mask says: refuse it")
            }
            Self::Room { alloc_words, needed } => {
                write!(f, "a mask has {alloc_words} words where its ids may need {needed}: refuse it")
            }
        }
    }
}

impl From<PlaceError> for MaskError {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

impl From<Hole> for MaskError {
    fn from(hole: Hole) -> Self {
        Self::Hole(hole)
    }
}

impl core::error::Error for MaskError {}

/// Why a mask was not changed, or not to its end: words before that one were.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// There is no page (any more).
    Hole(Hole),
    /// Others changed a word each time that it was tried. Try again, or take it for what it may be: a program that keeps the
    /// kernel from it.
    Contended,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole(hole) => hole.fmt(f),
            Self::Contended => f.write_str("others changed a word of a mask each time that it was tried: try again"),
        }
    }
}

impl From<Hole> for ChangeError {
    fn from(hole: Hole) -> Self {
        Self::Hole(hole)
    }
}

impl core::error::Error for ChangeError {}
