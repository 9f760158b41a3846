//! Why a group is not made, not enabled, or not disabled.

use core::fmt;

use crate::pool::PoolError;

/// What a set of programs has that a group must not.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersError {
    /// None of the programs has an arena: give it to one of them.
    NoArena,
    /// A program has another arena than one before it. What counts is the arena itself, not where or how large it is.
    MultipleArenas {
        /// The slot of the program.
        slot: usize,
    },
    /// The arena is private: no program may ever see it.
    Private,
}

impl fmt::Display for MembersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArena => f.write_str("no program of the group has an arena"),
            Self::MultipleArenas { slot } => {
                write!(f, "the program in slot {slot} has another arena than one before it: a group has one")
            }
            Self::Private => f.write_str("the group's arena is private: programs need a shared one"),
        }
    }
}

impl core::error::Error for MembersError {}

/// A group was not registered. Nothing is held.
pub struct MembersRefused<T> {
    /// Why.
    pub error: MembersError,
    /// The programs, as they were.
    pub members: T,
}

// Not derived: it need not be known how to print a program.
impl<T> fmt::Debug for MembersRefused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MembersRefused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for MembersRefused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> core::error::Error for MembersRefused<T> {}

/// Why a group was not enabled. It is as it was, and nothing is taken.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnableError<E> {
    /// It is enabled, or ejected and not yet disabled.
    NotAtRest,
    /// Somebody else is just enabling or disabling it, or was just refused as a caller: try again.
    Busy,
    /// There is no memory for the CPU masks.
    Masks(PoolError),
    /// `init` refused.
    Init(E),
}

impl<E: fmt::Display> fmt::Display for EnableError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAtRest => f.write_str("the group is enabled already: disable it first"),
            Self::Busy => f.write_str("somebody else is enabling or disabling the group: try again"),
            Self::Masks(error) => write!(f, "no memory for the CPU masks: {error}"),
            Self::Init(error) => write!(f, "init refused: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for EnableError<E> {}

/// Why a group was not disabled. An enabled one lets no callers in any more.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisableError {
    /// It is not enabled.
    NotEnabled,
    /// Callers are inside, or somebody else is just disabling it, or enabling it (then it may be enabled next): call again.
    Busy {
        /// How many callers; 0 if it is about somebody else.
        callers: u64,
    },
}

impl fmt::Display for DisableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnabled => f.write_str("the group is not enabled"),
            Self::Busy { callers } => write!(f, "{callers} callers are inside the group: disable it again"),
        }
    }
}

impl core::error::Error for DisableError {}
