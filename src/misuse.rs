//! What allocators refuse: frees of what was not there to be freed, and signs of writes where none should be.

use core::fmt;

/// What was wrong with an object that somebody gave back, and so why it was refused.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misuse {
    /// The address is not one where this allocator may have objects.
    Outside,
    /// No object of this allocator's lies on that page.
    NoObjects,
    /// The address lies inside an object (or between two), not at its start.
    NotAtStart,
    /// There is an object, but nobody has it: freed before, or not handed out to whoever frees it.
    NotLive,
    /// An object starts there, but of another size than was named.
    WrongSize,
    /// The bytes after the object were written to (found by the debug mode when it was freed).
    Overrun,
    /// The object was written to after it was freed (found by the debug mode when it left quarantine).
    WrittenAfterFree,
}

impl Misuse {
    const ALL: [Self; 7] = [
        Self::Outside,
        Self::NoObjects,
        Self::NotAtStart,
        Self::NotLive,
        Self::WrongSize,
        Self::Overrun,
        Self::WrittenAfterFree,
    ];

    /// A small number for the record.
    pub(crate) const fn code(self) -> u64 {
        self as u64
    }

    /// What [`code`](Self::code) said.
    pub(crate) fn from_code(code: u64) -> Self {
        Self::ALL.into_iter().find(|misuse| misuse.code() == code).unwrap_or(Self::NoObjects)
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "the address is not one where this allocator may have objects",
            Self::NoObjects => "no object of this allocator's lies on that page",
            Self::NotAtStart => "the address is not the start of an object",
            Self::NotLive => "nobody has that object: it was freed before, or is another's",
            Self::WrongSize => "the object at that address has another size",
            Self::Overrun => "the bytes after the object were written to",
            Self::WrittenAfterFree => "the object was written to after it was freed",
        })
    }
}

impl core::error::Error for Misuse {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_invert() {
        for misuse in Misuse::ALL {
            assert_eq!(Misuse::from_code(misuse.code()), misuse);
        }
    }
}
