//! Asking the walker where an address leads, without an access: `at s1e1r` and PAR_EL1.

use crate::addr::VirtAddr;
use crate::arch::WalkEnd;
use crate::platform::Frame;

/// PAR_EL1 after a translation (Arm ARM D24.2.158).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Translation(u64);

/// F: the translation failed.
const FAILED: u64 = 1 << 0;

impl Translation {
    #[cfg(test)]
    pub(super) const fn from_par(par: u64) -> Self {
        Self(par)
    }

    /// Where the walk ended.
    pub(super) const fn end(self) -> WalkEnd {
        // FST, bits 6:1, as the fault status of a data abort.
        let status = (self.0 >> 1 & 0x3f) as u8;
        match status {
            _ if self.0 & FAILED == 0 => WalkEnd::Mapped,
            // Translation faults of levels 0 to 3, whose entries cover 512 GiB, 1 GiB, 2 MiB, 4 KiB.
            0b000100..=0b000111 => WalkEnd::Missing { shift: 39 - 9 * (status & 0b11) as u32 },
            _ => WalkEnd::Other(status),
        }
    }

    /// The frame, bits 47:12; `None` if the translation failed.
    pub(super) fn frame(self) -> Option<Frame> {
        (self.0 & FAILED == 0).then(|| Frame::from_entry(self.0 & 0x0000_ffff_ffff_f000))
    }

    /// The memory type, as MAIR_EL1 encodes it, and the shareability; `None` if the translation failed.
    pub(super) const fn memory(self) -> Option<(u8, u8)> {
        if self.0 & FAILED != 0 { None } else { Some(((self.0 >> 56) as u8, (self.0 >> 7 & 0b11) as u8)) }
    }
}

/// Asks this CPU. An interrupt handler between the two instructions that asks, too, and does not put PAR_EL1 back, is
/// kept away.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub(super) fn translate(address: VirtAddr) -> Option<Translation> {
    let par: u64;
    // SAFETY: the translation of an address has no effect but on PAR_EL1 and TLBs; PAR_EL1, which what was interrupted may
    // be about to read, and DAIF are put back as they were. No `nomem`: entries that were written before are to be seen.
    unsafe {
        core::arch::asm!(
            "mrs {daif}, daif",
            "msr daifset, #0b1111",
            "mrs {before}, par_el1",
            "at s1e1r, {address}",
            "isb",
            "mrs {par}, par_el1",
            "msr par_el1, {before}",
            "msr daif, {daif}",
            address = in(reg) address.value(),
            daif = out(reg) _,
            before = out(reg) _,
            par = out(reg) par,
            options(nostack, preserves_flags),
        );
    }
    Some(Translation(par))
}

/// A process cannot ask.
#[cfg(any(not(target_arch = "aarch64"), unix, windows))]
pub(super) fn translate(_address: VirtAddr) -> Option<Translation> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_memory_types_are_told() {
        for level in 0..4 {
            let missing = WalkEnd::Missing { shift: 39 - 9 * level };
            assert_eq!(Translation(1 | (0b000100 | u64::from(level)) << 1).end(), missing);
        }
        let permission = Translation(1 | 0b001111 << 1);
        assert_eq!((permission.end(), permission.memory()), (WalkEnd::Other(0b001111), None));
        let normal = Translation(0xff << 56 | 0x4020_0000 | 0b11 << 7);
        assert_eq!((normal.end(), normal.memory()), (WalkEnd::Mapped, Some((0xff, 0b11))));
        assert_eq!((normal.frame(), permission.frame()), (Frame::new(0x4020_0000), None));
    }
}
