//! Typed access, by the processor's own instructions: those that stop where there is no page, and those that run over it.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use kernel_arena::access::{Hole, Memory, TryCopyError};
use kernel_arena::{ArenaPtr, SlotState};
use support::KernelPlatform;

use crate::check::{Checked, Failure, equal};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{PAGE, Site, page};

claims! {
    try_access_of_a_missing_page_is_one_fault_and_leaves_nothing,
    plain_access_of_a_missing_page_is_recovered_and_recorded,
    accesses_of_a_page_cause_no_fault,
    try_access_takes_a_page_that_holds_scratch_for_a_hole,
    try_access_takes_a_freed_page_for_a_hole,
    try_access_across_the_end_of_a_page_names_the_next,
    try_copies_stop_at_the_very_byte,
    plain_copies_run_over_every_hole,
    try_atomics_stop_and_others_run_over,
    atomics_give_what_they_should,
}

type M<'a> = Memory<'a, KernelPlatform>;

fn memory<'a>(site: &Site<'a>) -> Result<M<'a>, Failure> {
    site.arena.memory().map_err(|error| Failure::new(alloc::format!("{error}")))
}

/// The pointer to an offset in the window.
fn at<T>(offset: i64) -> ArenaPtr<T> {
    u32::try_from(offset).ok().and_then(ArenaPtr::new).expect("in the window, and not null")
}

fn hole(site: &Site<'_>, offset: i64) -> Hole {
    Hole { address: site.address(offset) }
}

/// Places without a page, of each kind.
fn missing(site: &Site<'_>) -> Result<[i64; 5], Failure> {
    site.reserve(300, 1).map_err(|error| Failure::new(alloc::format!("{error}")))?;
    Ok([page(100) + 8, page(300) + 16, page(2) + 8, 0x8000_0008, 0xffff_fff0])
}

fn try_access_of_a_missing_page_is_one_fault_and_leaves_nothing(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    for offset in missing(site)? {
        let none = hole(site, offset);
        let one = Faults::RECOVERED;
        site.expect("load of 1", |_| memory.try_load::<u8>(at(offset)), Err(none), one)?;
        site.expect("load of 2", |_| memory.try_load::<u16>(at(offset)), Err(none), one)?;
        site.expect("load of 4", |_| memory.try_load::<u32>(at(offset)), Err(none), one)?;
        site.expect("load of 8", |_| memory.try_load::<u64>(at(offset)), Err(none), one)?;
        site.expect("store of 1", |_| memory.try_store(at::<u8>(offset), &1), Err(none), one)?;
        site.expect("store of 2", |_| memory.try_store(at::<u16>(offset), &1), Err(none), one)?;
        site.expect("store of 4", |_| memory.try_store(at::<u32>(offset), &1), Err(none), one)?;
        site.expect("store of 8", |_| memory.try_store(at::<u64>(offset), &1), Err(none), one)?;
    }
    site.no_violation()?;
    let stats = site.arena.stats();
    equal("marks", (stats.tainted_pages, stats.tainted_regions), (0, 0))?;
    equal("its slot", site.state(100), Some(SlotState::Vacant))
}

fn plain_access_of_a_missing_page_is_recovered_and_recorded(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    for offset in missing(site)? {
        site.expect("load", |_| memory.load::<u32>(at(offset)), 0, Faults::RECOVERED)?;
        equal("address", site.violation()?.address, site.address(offset))?;
        site.expect("store", |_| memory.store(at::<u16>(offset), &7), (), Faults::NONE)?;
        site.expect("load again", |_| memory.load::<u16>(at(offset)), 7, Faults::NONE)?;
        site.expect("store back", |_| memory.store(at::<u8>(offset), &0), (), Faults::NONE)?;
        site.no_violation()?;
    }
    equal("its slot", site.state(100), Some(SlotState::Scratch))
}

fn accesses_of_a_page_cause_no_fault(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 2)?;
    let memory = memory(site)?;
    let before = Faults::so_far();
    for offset in [page(100), page(100) + 1, page(100) + 3, page(101) - 4, page(101) - 1] {
        memory.store(at::<u64>(offset), &0x0102_0304_0506_0708);
        equal("8", memory.try_load::<u64>(at(offset)), Ok(0x0102_0304_0506_0708))?;
        equal("stored 4", memory.try_store(at::<u32>(offset), &0xaabb_ccdd), Ok(()))?;
        equal("8 again", memory.load::<u64>(at(offset)), 0x0102_0304_aabb_ccdd)?;
        equal("stored 2", memory.try_store(at::<u16>(offset + 4), &0xeeff), Ok(()))?;
        equal("4", memory.try_load::<u32>(at(offset + 4)), Ok(0x0102_eeff))?;
        equal("stored 1", memory.try_store(at::<u8>(offset), &0x11), Ok(()))?;
        equal("2", memory.load::<u16>(at(offset)), 0xcc11)?;
        equal("1", memory.try_load::<u8>(at(offset)), Ok(0x11))?;
        equal("3", memory.try_load::<[u8; 3]>(at(offset)), Ok([0x11, 0xcc, 0xbb]))?;
    }
    equal("faults", Faults::so_far().since(before), Faults::NONE)
}

fn try_access_takes_a_page_that_holds_scratch_for_a_hole(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    for offset in [page(100), page(2), 0x8000_0000, 0xffff_fff0] {
        let none = hole(site, offset);
        site.writes(offset, 5, Faults::RECOVERED)?;
        site.expect("load", |_| memory.try_load::<u64>(at(offset)), Err(none), Faults::NONE)?;
        site.expect("store", |_| memory.try_store(at::<u64>(offset), &6), Err(none), Faults::NONE)?;
        site.reads(offset, 5, Faults::NONE)?;
        site.violation()?;
        site.arena.reclaim();
        site.expect("healed", |_| memory.try_load::<u64>(at(offset)), Err(none), Faults::RECOVERED)?;
    }
    site.no_violation()
}

fn try_access_takes_a_freed_page_for_a_hole(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    site.alloc_at(100, 1)?;
    memory.store(at::<u64>(page(100)), &7);
    equal("while it is there", memory.try_load::<u64>(at(page(100))), Ok(7))?;
    site.free(100, 1)?;
    let none = Err(hole(site, page(100)));
    site.expect("freed", |_| memory.try_load::<u64>(at(page(100))), none, Faults::RECOVERED)?;
    site.no_violation()
}

fn try_access_across_the_end_of_a_page_names_the_next(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    site.alloc_at(100, 1)?;
    let end = page(101) - 3;
    let next = hole(site, page(101));
    equal("load", memory.try_load::<u64>(at(end)), Err(next))?;
    equal("store", memory.try_store(at::<u64>(end), &1), Err(next))?;
    equal("of 5", memory.try_load::<[u8; 5]>(at(end)), Err(next))?;
    let before = page(100) - 3;
    equal("from nothing into a page", memory.try_load::<u64>(at(before)), Err(hole(site, before)))?;
    // The window ends, and the guard is no page either.
    let last = 0xffff_ffff;
    equal("at the end", memory.try_load::<u64>(at(last)), Err(hole(site, last)))?;
    site.no_violation()
}

fn try_copies_stop_at_the_very_byte(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    site.alloc_at(100, 2)?;
    let mut buffer = alloc::vec![0u8; 4 * 4096];
    for (n, byte) in (0u8..=255).cycle().zip(&mut buffer) {
        *byte = n;
    }
    equal("out", memory.try_copy_out(at(page(100)), &buffer[..8192]), Ok(()))?;
    // From each distance to the end of the second page, by each way that a copy has.
    for distance in (1..40).chain([255, 256, 257, 300, 4095, 4096, 4097, 8192]) {
        for more in [1, 8, 300, 5000] {
            let offset = page(102) - distance;
            let copied = usize::try_from(distance).expect("not negative");
            let stopped = Err(TryCopyError::Hole { hole: hole(site, page(102)), copied });
            let bytes = copied + more;
            let mut into = alloc::vec![0xee_u8; bytes];
            let one = Faults::so_far().taken;
            equal("in", memory.try_copy_in(at(offset), &mut into), stopped)?;
            let (head, tail) = into.split_at(copied);
            equal("what came", head, &buffer[8192 - copied..8192])?;
            equal("what did not", tail.iter().all(|byte| *byte == 0xee), true)?;
            // A fault on the way of larger steps, and then at the very byte.
            equal("faults of a copy", (Faults::so_far().taken - one) <= 2, true)?;
            equal("out", memory.try_copy_out(at(offset), &buffer[8192 - copied..][..bytes]), stopped)?;
        }
    }
    let mut all = alloc::vec![0u8; 8192];
    equal("all of it", memory.try_copy_in(at(page(100)), &mut all), Ok(()))?;
    equal("as it was", all == buffer[..8192], true)?;
    site.no_violation()
}

fn plain_copies_run_over_every_hole(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    site.alloc_at(100, 1)?;
    site.alloc_at(102, 1)?;
    let mut buffer = alloc::vec![1u8; 3 * 4096];
    let copied = memory.copy_out(at(page(100)), &buffer);
    equal("out", copied, Ok(()))?;
    site.violations(1)?;
    buffer.fill(0);
    equal("in", memory.copy_in(at(page(100)), &mut buffer), Ok(()))?;
    equal("with what the scratch page holds", buffer.iter().all(|byte| *byte == 1), true)?;
    site.violations(1)?;
    let past = memory.copy_in(at(0xffff_ffff), &mut alloc::vec![0u8; 0x8002]);
    equal("beyond the guard", past.is_err(), true)?;
    site.violations(1)?;
    equal("up to its end", memory.copy_in(at(0xffff_ffff), &mut alloc::vec![0u8; 0x8001]), Ok(()))?;
    site.violations(1 + 1 + 8)
}

fn try_atomics_stop_and_others_run_over(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    let offset = page(100) + 0x40;
    let none = hole(site, offset);
    let word = memory.atomic::<u64>(at(offset)).map_err(|error| Failure::new(alloc::format!("{error}")))?;
    let one = Faults::RECOVERED;
    site.expect("load", |_| word.try_load(Relaxed), Err(none), one)?;
    site.expect("acquiring load", |_| word.try_load(Acquire), Err(none), one)?;
    site.expect("store", |_| word.try_store(1, Relaxed), Err(none), one)?;
    site.expect("releasing store", |_| word.try_store(1, Release), Err(none), one)?;
    site.expect("ordered store", |_| word.try_store(1, SeqCst), Err(none), one)?;
    site.expect("swap", |_| word.try_swap(1, AcqRel), Err(none), one)?;
    site.expect("add", |_| word.try_fetch_add(1, AcqRel), Err(none), one)?;
    site.expect("sub", |_| word.try_fetch_sub(1, AcqRel), Err(none), one)?;
    site.expect("or", |_| word.try_fetch_or(1, AcqRel), Err(none), one)?;
    site.expect("exchange", |_| word.try_compare_exchange(0, 1, SeqCst, SeqCst), Err(none), one)?;
    site.no_violation()?;
    site.expect("plain", |_| word.fetch_add(3, AcqRel), 0, one)?;
    site.violation()?;
    site.expect("scratch", |_| word.try_fetch_add(1, AcqRel), Err(none), Faults::NONE)?;
    site.reads(offset, 3, Faults::NONE)?;
    equal("misaligned", memory.atomic::<u32>(at(offset + 2)).is_err(), true)?;
    site.no_violation()
}

fn atomics_give_what_they_should(site: &Site<'_>) -> Checked {
    let memory = memory(site)?;
    site.alloc_at(100, 1)?;
    let (wide, narrow) = (at::<u64>(page(100)), at::<u32>(page(101) - 4));
    let failure = |error| Failure::new(alloc::format!("{error}"));
    macro_rules! all {
        ($word:expr, $type:ty) => {{
            let word = $word;
            equal("store", word.try_store(5, Release), Ok(()))?;
            equal("load", (word.load(Acquire), word.try_load(Relaxed)), (5, Ok(5)))?;
            word.store(<$type>::MAX, SeqCst);
            equal("add", (word.fetch_add(3, AcqRel), word.try_fetch_add(1, Relaxed)), (<$type>::MAX, Ok(2)))?;
            equal("sub", (word.fetch_sub(4, AcqRel), word.try_fetch_sub(1, AcqRel)), (3, Ok(<$type>::MAX)))?;
            equal("swap", (word.swap(9, SeqCst), word.try_swap(0b1100, AcqRel)), (<$type>::MAX - 1, Ok(9)))?;
            equal("and", (word.fetch_and(0b0110, AcqRel), word.try_fetch_and(0b0100, AcqRel)), (0b1100, Ok(0b0100)))?;
            equal("or", (word.fetch_or(0b0010, AcqRel), word.try_fetch_or(0b1000, AcqRel)), (0b0100, Ok(0b0110)))?;
            equal("xor", (word.fetch_xor(0b1111, AcqRel), word.try_fetch_xor(0b1, AcqRel)), (0b1110, Ok(0b0001)))?;
            equal("exchange", word.compare_exchange(0, 1 << 31, AcqRel, Acquire), Ok(0))?;
            equal("no exchange", word.compare_exchange(1, 7, AcqRel, Relaxed), Err(1 << 31))?;
            equal("tried", word.try_compare_exchange(1 << 31, 7, AcqRel, Relaxed), Ok(Ok(1 << 31)))?;
            equal("tried in vain", word.try_compare_exchange(1, 8, AcqRel, Relaxed), Ok(Err(7)))?;
            equal("in the end", word.load(SeqCst), 7)?;
        }};
    }
    let before = Faults::so_far();
    all!(memory.atomic(wide).map_err(failure)?, u64);
    all!(memory.atomic(narrow).map_err(failure)?, u32);
    equal("beside it", memory.load::<u32>(at(page(101) - 8)), 0)?;
    equal("faults", Faults::so_far().since(before), Faults::NONE)?;
    let last = PAGE - 8;
    equal("the rest", memory.load::<u64>(at(page(100) + last - 8)), 0)
}
