//! Flushing this CPU's TLB: what a shootdown runs on each CPU.
//!
//! `invlpg` forgets a page, and all walk caches, under the PCID that is loaded, and no other (Intel SDM vol. 3, 5.10.4.1).
//! The kernel view is in every address space, so where CR4.PCIDE is on, other PCIDs may remember the page too: then all of them
//! are made to forget everything.

use crate::addr::{AddressRange, VirtAddr};
use crate::platform::{FlushScope, Shootdown};

/// Above this many pages, forgetting everything is cheaper than page by page.
pub const FLUSH_ALL_ABOVE_PAGES: u64 = 64;

/// What flushing some ranges takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushPlan {
    /// `invlpg` for each page.
    EachPage,
    /// Everything under the PCID that is loaded: write CR3.
    Everything,
    /// Everything under every PCID.
    EveryContext,
}

impl FlushPlan {
    /// The least that flushes `ranges` for good, with or without CR4.PCIDE.
    pub fn of(ranges: &[AddressRange], scope: FlushScope, pcid_enabled: Pcid) -> Self {
        let pages: u64 = ranges.iter().map(|range| range.page_count()).sum();
        match (pcid_enabled, scope) {
            (Pcid::Enabled, _) => Self::EveryContext,
            (Pcid::Disabled, FlushScope::Leaves) if pages <= FLUSH_ALL_ABOVE_PAGES => Self::EachPage,
            (Pcid::Disabled, _) => Self::Everything,
        }
    }
}

/// Whether process-context identifiers tag this CPU's TLB entries (CR4.PCIDE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pcid {
    /// One context at a time: writing CR3 forgets all that is not global.
    Disabled,
    /// Several contexts are remembered at once.
    Enabled,
}

/// The shootdown of a machine with one CPU: flushes here, and there is nowhere else.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalShootdown;

impl Shootdown for LocalShootdown {
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope) {
        flush_local(ranges, scope);
    }
}

/// Forgets this CPU's translations of `ranges`, under every PCID: what the handler of a shootdown interrupt calls.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub fn flush_local(ranges: &[AddressRange], scope: FlushScope) {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    let pcid = if Cr4::read().contains(Cr4Flags::PCID) { Pcid::Enabled } else { Pcid::Disabled };
    match FlushPlan::of(ranges, scope, pcid) {
        FlushPlan::EachPage => {
            for range in ranges {
                for page in range.pages() {
                    flush_page(page);
                }
            }
        }
        FlushPlan::Everything => reload_cr3(),
        FlushPlan::EveryContext => flush_every_context(),
    }
}

/// Forgets everything under the PCID that is loaded by writing CR3's own value, bit for bit: a type that knows it may not know
/// LAM's bits or an encryption bit. Without CR4.PCIDE bit 63 is zero. Interrupts are masked: a thread that is preempted between
/// the two instructions may go on with another root loaded, which it borrows, and would load the first again, whose table may
/// be gone.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
fn reload_cr3() {
    x86_64::instructions::interrupts::without_interrupts(|| {
        // SAFETY: the value that is there, for nobody changes it in between; no `nomem`, so no access moves across.
        unsafe { core::arch::asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
    });
}

/// Forgets everything under every PCID by changing CR4.PGE and changing it back, which every processor with PCIDs can (Intel
/// SDM vol. 3, 5.10.4.1); INVPCID came later than they did. Interrupts are masked, for a handler might change CR4 in between.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
fn flush_every_context() {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    x86_64::instructions::interrupts::without_interrupts(|| {
        let before = Cr4::read();
        // SAFETY: whether translations may be global has no meaning for those that are cached no more; it is put back at once.
        unsafe { Cr4::write(before ^ Cr4Flags::PAGE_GLOBAL) };
        // SAFETY: the value that was there.
        unsafe { Cr4::write(before) };
    });
}

/// Forgets this CPU's translation of one page, under the PCID that is loaded.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub fn flush_page(address: VirtAddr) {
    // Not through the `x86_64` crate's address type, which has 48 bits: the page may be another one with 57.
    // SAFETY: forgetting a translation is always right; no `nomem`, so no access moves across.
    unsafe { core::arch::asm!("invlpg [{}]", in(reg) address.value(), options(nostack, preserves_flags)) };
}

/// Forgets nothing: this is a process or another processor, whose TLB cannot be flushed.
#[cfg(any(not(target_arch = "x86_64"), unix, windows))]
pub fn flush_local(_ranges: &[AddressRange], _scope: FlushScope) {}

/// Forgets nothing: this is a process or another processor, whose TLB cannot be flushed.
#[cfg(any(not(target_arch = "x86_64"), unix, windows))]
pub fn flush_page(_address: VirtAddr) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invlpg_is_used_only_where_it_reaches_everything() {
        let few = [AddressRange::new(VirtAddr::new(0x1000), 0x2000)];
        let many = [AddressRange::new(VirtAddr::new(0), 65 << 12)];
        assert_eq!(FlushPlan::of(&few, FlushScope::Leaves, Pcid::Disabled), FlushPlan::EachPage);
        assert_eq!(FlushPlan::of(&many, FlushScope::Leaves, Pcid::Disabled), FlushPlan::Everything);
        assert_eq!(FlushPlan::of(&few, FlushScope::Tables, Pcid::Disabled), FlushPlan::Everything);
        assert_eq!(FlushPlan::of(&few, FlushScope::Leaves, Pcid::Enabled), FlushPlan::EveryContext);
    }
}
