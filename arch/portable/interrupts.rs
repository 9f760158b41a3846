//! Interrupts where there are none: in a process. On a bare machine whose processor the crate does not know there may be
//! some, and nobody can mask them: there interrupts count as masked, which names no place.

/// Whether interrupts can be masked here at all.
pub(crate) const CAN_MASK: bool = cfg!(any(unix, windows));

/// Whether interrupts may come, as far as can be told.
#[inline]
pub(crate) fn enabled() -> bool {
    CAN_MASK
}

/// Masks what there is.
#[inline]
pub(crate) fn mask() -> u64 {
    0
}

/// Has all as it was.
#[inline]
pub(crate) fn restore(_flags: u64) {}
