//! The only places where the allocator touches the memory that it hands out: byte by byte or word by word, volatile,
//! never through a reference, for a program may write there at the same time (I10).

use super::Slab;
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Fills bytes of an object that is in our hands: words where it can.
    pub(super) fn fill(&self, offset: u32, bytes: usize, value: u8) {
        let start = self.base.wrapping_add(offset as usize);
        let mut done = 0;
        while done < bytes {
            let at = start.wrapping_add(done);
            if bytes - done >= 8 && at.addr() % 8 == 0 {
                // SAFETY: the object is in our hands, aligned to 8 there, and its memory is good for 8 bytes more.
                unsafe { at.cast::<u64>().write_volatile(u64::from_ne_bytes([value; 8])) };
                done += 8;
            } else {
                // SAFETY: the object is in our hands, and its memory is good for a byte more.
                unsafe { at.write_volatile(value) };
                done += 1;
            }
        }
    }

    /// Whether all of these bytes of an object that is in our hands have this value.
    pub(super) fn is_filled(&self, offset: u32, bytes: usize, value: u8) -> bool {
        let start = self.base.wrapping_add(offset as usize);
        // SAFETY: the object is in our hands; its memory is initialised or, at worst, whatever somebody wrote too far.
        (0..bytes).all(|byte| unsafe { start.wrapping_add(byte).read_volatile() } == value)
    }
}
