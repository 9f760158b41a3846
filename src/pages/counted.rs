//! How many bits of maps are set, or more: 0 says that none is.
//!
//! A bit is *counted, then set*, and counted off again if somebody had set it already; it is *cleared, then counted off*. The
//! bit is set with Acquire and Release and cleared with Acquire: whoever clears it has seen it counted, and so has whoever
//! finds it set. In the count's own order, then, each bit is counted before it is counted off.
//!
//! Who comes after the setting of a bit, as happens-before goes, reads the count as it was left by that or later, and as long
//! as the bit is set it is counted there. So the count itself can be relaxed.

use crate::sync::{AtomicU64, Ordering};

/// The count. It is at rest the number of bits that are set.
#[derive(Debug)]
pub(crate) struct AtLeast(AtomicU64);

impl AtLeast {
    pub(crate) fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether no bit is set: not one whose setting comes before this.
    #[inline(always)]
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Sets at most so many bits, which `set` does, and says how many were clear.
    #[inline]
    pub(crate) fn set(&self, most: u32, set: impl FnOnce() -> u32) {
        self.0.fetch_add(u64::from(most), Ordering::Relaxed);
        let set = set();
        if set != most {
            self.0.fetch_sub(u64::from(most - set), Ordering::Relaxed);
        }
    }

    /// Clears bits, which `clear` does, and says how many were set.
    pub(crate) fn clear(&self, clear: impl FnOnce() -> u32) {
        let cleared = clear();
        if cleared != 0 {
            self.0.fetch_sub(u64::from(cleared), Ordering::Relaxed);
        }
    }
}
