//! Atomic read-modify-write instructions on missing pages (T54).
//!
//! On x86_64 such an instruction is one access, a write. aarch64's exclusive pair begins with a load, and that is what
//! faults; by the time of the store the page is there. So the record says *read* there, as the processor did.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::ViolationKind;
use support::ARCHITECTURE;

use crate::check::{Checked, equal};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, page};

claims! {
    atomic_arithmetic_on_a_missing_page_is_recovered_and_takes_effect,
    compare_exchange_on_a_missing_page_is_recovered_and_takes_effect,
    compare_exchange_on_a_freed_page_is_recovered,
}

/// As what the processor reports a read-modify-write instruction.
fn kind() -> ViolationKind {
    if ARCHITECTURE == "x86_64" { ViolationKind::Write } else { ViolationKind::Read }
}

/// The word at an offset, as an atomic: what the compiler makes of its methods is no probe.
fn word<'a>(site: &'a Site<'_>, offset: i64) -> Result<&'a AtomicU64, crate::check::Failure> {
    // If the arena did not help with what follows, the kernel would end: that it does is tried elsewhere first.
    site.reads(offset + 0x10_0000, 0, Faults::RECOVERED)?;
    site.violation()?;
    let address = usize::try_from(site.address(offset).value()).expect("a usize has 64 bits");
    let pointer = core::ptr::with_exposed_provenance_mut(address);
    // SAFETY: the word is aligned and in the window, which this claim alone uses; what the kernel finds there, page or
    // scratch page, is memory that lives as long as the arena.
    Ok(unsafe { AtomicU64::from_ptr(pointer) })
}

fn recorded(site: &Site<'_>, offset: i64) -> Checked {
    let violation = site.violation()?;
    equal("address", violation.address, site.address(offset))?;
    equal("kind", violation.kind, kind())?;
    site.no_violation()
}

fn atomic_arithmetic_on_a_missing_page_is_recovered_and_takes_effect(site: &Site<'_>) -> Checked {
    let operations: [fn(&AtomicU64) -> u64; 5] = [
        |word| word.fetch_add(5, Ordering::SeqCst),
        |word| word.fetch_sub(5u64.wrapping_neg(), Ordering::SeqCst),
        |word| word.swap(5, Ordering::SeqCst),
        // Their result is not used: else they would be loops, which begin with a load.
        |word| {
            word.fetch_or(5, Ordering::SeqCst);
            0
        },
        |word| {
            word.fetch_xor(5, Ordering::SeqCst);
            0
        },
    ];
    for (number, operation) in (100..).zip(operations) {
        let offset = page(number) + 0x40;
        let word = word(site, offset)?;
        site.expect("what was there", |_| operation(word), 0, Faults::RECOVERED)?;
        recorded(site, offset)?;
        site.reads(offset, 5, Faults::NONE)?;
        site.arena.reclaim();
    }
    Ok(())
}

fn compare_exchange_on_a_missing_page_is_recovered_and_takes_effect(site: &Site<'_>) -> Checked {
    let offset = page(100) + 0x40;
    let word = word(site, offset)?;
    let exchange = |old, new| word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
    site.expect("the right value", |_| exchange(0, 7), Ok(0), Faults::RECOVERED)?;
    recorded(site, offset)?;
    site.expect("the wrong value", |_| exchange(0, 8), Err(7), Faults::NONE)?;
    site.reads(offset, 7, Faults::NONE)?;
    site.no_violation()
}

fn compare_exchange_on_a_freed_page_is_recovered(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 1)?;
    let offset = page(100) + 0x44;
    word(site, page(100))?;
    let address = usize::try_from(site.address(offset).value()).expect("a usize has 64 bits");
    // SAFETY: the word is aligned and in the window, which this claim alone uses; there is always memory behind it, the
    // page's or the scratch page's.
    let word = unsafe { AtomicU32::from_ptr(core::ptr::with_exposed_provenance_mut(address)) };
    word.store(9, Ordering::Relaxed);
    site.free(100, 1)?;
    let exchange = || word.compare_exchange(9, 1, Ordering::SeqCst, Ordering::SeqCst);
    site.expect("what the page held is gone", |_| exchange(), Err(0), Faults::RECOVERED)?;
    recorded(site, offset)
}
