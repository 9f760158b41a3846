//! Where the stubs lie, and where their faults go on: an exception table of three rows, compared and not searched.

use crate::fault::InstructionAddr;

/// Where the stubs of a processor lie, and what becomes of a fault in each part of them. Addresses, in ascending order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StubMap {
    /// The first instruction of the accesses of a word.
    pub(crate) words: u64,
    /// That of the copy by larger steps, which falls back to the next.
    pub(crate) copy: u64,
    /// That of the copy by bytes, which ends at the byte where the hole is.
    pub(crate) copy_bytes: u64,
    /// What follows the last.
    pub(crate) end: u64,
    /// The way out of the accesses of a word, which says that there was no page.
    pub(crate) word_stopped: u64,
    /// The way out of the copies, which says how much is left.
    pub(crate) copy_stopped: u64,
}

impl StubMap {
    /// Where a `try_` access continues that found no page; `None` for all instructions but those of the stubs. Two compares
    /// for those.
    #[inline]
    pub(crate) fn resume_point(&self, instruction: InstructionAddr) -> Option<InstructionAddr> {
        let instruction = instruction.value();
        if instruction.wrapping_sub(self.words) >= self.end.wrapping_sub(self.words) {
            return None;
        }
        let to = if instruction < self.copy {
            self.word_stopped
        } else if instruction < self.copy_bytes {
            self.copy_bytes
        } else {
            self.copy_stopped
        };
        Some(InstructionAddr::new(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_way_out_and_nothing_beside_has_one() {
        let map = StubMap { words: 100, copy: 200, copy_bytes: 250, end: 270, word_stopped: 280, copy_stopped: 290 };
        let of = |address| map.resume_point(InstructionAddr::new(address)).map(InstructionAddr::value);
        for (address, to) in [(100, 280), (199, 280), (200, 250), (249, 250), (250, 290), (269, 290)] {
            assert_eq!(of(address), Some(to), "{address}");
        }
        for beside in [0, 99, 270, 280, 290, u64::MAX] {
            assert_eq!(of(beside), None, "{beside}");
        }
    }
}
