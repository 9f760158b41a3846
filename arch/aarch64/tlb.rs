//! The TLBI operand, the ready-made shootdown, and the barriers around table updates.

use crate::addr::{AddressRange, VirtAddr};
use crate::platform::{FlushScope, Shootdown};

/// Above this many pages, forgetting everything is cheaper than page by page.
pub const FLUSH_ALL_ABOVE_PAGES: u64 = 512;

/// The operand of `tlbi vaae1is` and the other forms for the page at `address`: bits 43:0 are the page number. Bits
/// 47:44 are the TTL field, a hint at the level of the entry (FEAT_TTL, Arm ARM D8.15.5), and 63:48 are an ASID or
/// reserved: the plain `address >> 12` of an upper-half address fills both with ones, and a CPU that believes the wrong
/// hint flushes nothing.
///
/// ```
/// use kernel_arena::{VirtAddr, arch::aarch64::tlb::tlbi_operand};
/// assert_eq!(tlbi_operand(VirtAddr::new(0xffff_ff80_0000_1000)), 0x0fff_f800_0001);
/// ```
pub const fn tlbi_operand(address: VirtAddr) -> u64 {
    address.value() >> 12 & ((1 << 44) - 1)
}

/// The instructions of a broadcast flush, so that a test machine can stand in for the processor.
///
/// All three reach every CPU of the inner-shareable domain.
pub trait TlbInstructions {
    /// `dsb ishst`: descriptor writes made before are visible to all walkers.
    fn wait_for_table_writes(&self);
    /// `tlbi vaae1is`: forget the page with this operand, at all levels, under all ASIDs.
    fn invalidate_page(&self, operand: u64);
    /// `tlbi vmalle1is`: forget everything.
    fn invalidate_everything(&self);
    /// `dsb ish; isb`: all that has ended, on every CPU.
    fn wait_for_invalidation(&self);
}

/// The ready-made shootdown: TLBI broadcast by the hardware, so no other CPU has to answer, and it works in any context.
///
/// The sequence is the Arm ARM's for a shared table (D8.16.1): the change, `dsb ishst`, TLBI, `dsb ish`, `isb`. The `vaae1is`
/// form forgets entries of all levels, so it serves for a change of tables too.
#[derive(Clone, Copy, Debug, Default)]
pub struct BroadcastShootdown<I = Processor> {
    instructions: I,
}

impl<I: TlbInstructions> BroadcastShootdown<I> {
    /// A shootdown that runs these instructions.
    pub const fn new(instructions: I) -> Self {
        Self { instructions }
    }
}

impl<I: TlbInstructions> Shootdown for BroadcastShootdown<I> {
    fn shootdown(&self, ranges: &[AddressRange], _scope: FlushScope) {
        self.instructions.wait_for_table_writes();
        let pages: u64 = ranges.iter().map(|range| range.page_count()).sum();
        if pages > FLUSH_ALL_ABOVE_PAGES {
            self.instructions.invalidate_everything();
        } else {
            for page in ranges.iter().flat_map(|range| range.pages()) {
                self.instructions.invalidate_page(tlbi_operand(page));
            }
        }
        self.instructions.wait_for_invalidation();
    }
}

/// The processor's own instructions. On another processor, or in a process, there is no TLB to flush, and they do nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processor;

#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
mod processor {
    use aarch64_cpu::asm::barrier::{ISH, ISHST, NSH, NSHST, SY, dsb, isb};

    use super::{Processor, TlbInstructions, VirtAddr, tlbi_operand};

    impl TlbInstructions for Processor {
        fn wait_for_table_writes(&self) {
            dsb(ISHST);
        }

        fn invalidate_page(&self, operand: u64) {
            // SAFETY: forgetting translations is always right; no `nomem`, so no access moves across.
            unsafe { core::arch::asm!("tlbi vaae1is, {}", in(reg) operand, options(nostack, preserves_flags)) };
        }

        fn invalidate_everything(&self) {
            // SAFETY: as above.
            unsafe { core::arch::asm!("tlbi vmalle1is", options(nostack, preserves_flags)) };
        }

        fn wait_for_invalidation(&self) {
            dsb(ISH);
            isb(SY);
        }
    }

    pub(in super::super) fn publish() {
        dsb(ISHST);
    }

    pub(in super::super) fn publish_and_sync() {
        dsb(ISHST);
        isb(SY);
    }

    /// `dsb ish`, not `ishst`: what was seen was a load.
    pub(in super::super) fn observe() {
        dsb(ISH);
        isb(SY);
    }

    /// Forgets this CPU's translations of one page, under every ASID, and nobody else's.
    pub fn flush_local_page(address: VirtAddr) {
        dsb(NSHST);
        // SAFETY: forgetting translations is always right.
        unsafe {
            core::arch::asm!("tlbi vaae1, {}", in(reg) tlbi_operand(address), options(nostack, preserves_flags));
        }
        dsb(NSH);
        isb(SY);
    }
}

#[cfg(any(not(target_arch = "aarch64"), unix, windows))]
mod processor {
    use super::{Processor, TlbInstructions, VirtAddr};

    impl TlbInstructions for Processor {
        fn wait_for_table_writes(&self) {}
        fn invalidate_page(&self, _operand: u64) {}
        fn invalidate_everything(&self) {}
        fn wait_for_invalidation(&self) {}
    }

    pub(in super::super) fn publish() {}
    pub(in super::super) fn publish_and_sync() {}
    pub(in super::super) fn observe() {}
    /// Forgets nothing: this is a process or another processor, whose TLB cannot be flushed.
    pub fn flush_local_page(_address: VirtAddr) {}
}

pub use processor::flush_local_page;
pub(super) use processor::{observe, publish, publish_and_sync};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operand_leaves_ttl_and_asid_fields_clear() {
        for address in [0, 0x1000, 0x0000_7fff_ffff_f000, 0xffff_ff80_0000_0000, 0xffff_ffff_ffff_f000] {
            let operand = tlbi_operand(VirtAddr::new(address));
            assert_eq!(operand >> 44, 0, "{address:#x}");
            assert_eq!(operand << 12, address & 0x00ff_ffff_ffff_f000);
        }
    }
}
