//! Names in an object: what its author, or whoever has changed its bytes, wrote into a table of strings.
//!
//! They are bytes until somebody prints them, and are printed so that none can move a cursor or end a line of a kernel's log.

use core::fmt;

/// A name that an object gives: of a section, a symbol, a file. Any bytes but 0, at most 1024.
///
/// Printed, whatever is not a visible character of ASCII is escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'o>(&'o [u8]);

impl<'o> Name<'o> {
    /// What is longer is no name: looking for the end of one must not cost more than a name does.
    const LONGEST: usize = 1024;

    /// What has no name, or none that can be read.
    pub(super) const NONE: Self = Self(&[]);

    /// The string that starts at an offset of a table of strings.
    pub(super) fn at(table: &'o [u8], offset: u32) -> Self {
        let from = usize::try_from(offset).ok().and_then(|offset| table.get(offset..)).unwrap_or_default();
        let end = from.iter().take(Self::LONGEST + 1).position(|byte| *byte == 0);
        end.and_then(|end| from.get(..end)).map_or(Self::NONE, Self)
    }

    /// Its bytes.
    pub const fn bytes(self) -> &'o [u8] {
        self.0
    }

    /// The same as text, if it is some.
    pub fn text(self) -> Option<&'o str> {
        core::str::from_utf8(self.0).ok()
    }

    /// Whether it is this one.
    pub fn is(self, name: &str) -> bool {
        self.0 == name.as_bytes()
    }

    /// The same without blanks around it.
    pub(super) fn trimmed(self) -> Self {
        Self(self.0.trim_ascii())
    }

    /// Whether there is none.
    pub const fn is_none(self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() { f.write_str("(without a name)") } else { self.0.escape_ascii().fmt(f) }
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
