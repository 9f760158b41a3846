//! Why a view was not attached, or not detached.

use core::fmt;

use super::{View, ViewBaseError};

/// Why a view was not attached. Nothing was changed.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// The arena is [private](crate::ArenaLayout::private): no program ever sees it.
    Private,
    /// No view can start there.
    Base(ViewBaseError),
    /// An entry that was lent is not vacant: this view is attached already, or something else is mapped there. Choose another base.
    EntryInUse,
    /// As many views are attached as there can be: detach one, or create the arena with
    /// [room for more](crate::ArenaLayout::with_views).
    NoRoom,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "the arena is private: no program ever sees it",
            Self::Base(error) => return error.fmt(f),
            Self::EntryInUse => {
                "an entry that was lent is not vacant: attached already, or something else is mapped there"
            }
            Self::NoRoom => "no more views can be attached: detach one, or create the arena `with_views` for more",
        })
    }
}

impl core::error::Error for AttachError {}

/// No view was attached: why, and what was lent for it.
///
/// The error alone is had by `?`, where the caller returns an [`AttachError`] and what was lent needs no giving back; a
/// [`ProgramWindow`](crate::kit::ProgramWindow) does.
pub struct AttachRefused<V> {
    /// What is wrong.
    pub error: AttachError,
    /// What was lent, as it was.
    pub entries: V,
}

impl<V> From<AttachRefused<V>> for AttachError {
    fn from(refused: AttachRefused<V>) -> Self {
        refused.error
    }
}

impl<V> fmt::Debug for AttachRefused<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachRefused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<V> fmt::Display for AttachRefused<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<V> core::error::Error for AttachRefused<V> {}

/// The view is another arena's: it was attached there, and is detached there. Nothing was changed.
pub struct DetachRefused<V>(pub View<V>);

impl<V> fmt::Debug for DetachRefused<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DetachRefused").field(&self.0).finish()
    }
}

impl<V> fmt::Display for DetachRefused<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the view is another arena's: detach it there")
    }
}

impl<V> core::error::Error for DetachRefused<V> {}
