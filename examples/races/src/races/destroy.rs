//! An arena is removed and destroyed while other CPUs fault in it: nobody uses it afterwards.
//!
//! The arena's own memory and the metadata it had are filled with poison when it is gone, and frames that it gave back with another,
//! while the other CPUs still go for its window: a fault handler that still used the arena would stumble over the poison or
//! change it, and a CPU that still had a translation would write into those frames.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::platform::Frame;
use kernel_arena::{AllocRequest, Arena, ArenaLayout, Owner, PAGE_SIZE};
use spin::Mutex;
use support::PHYSICAL_MAP;

use super::registry::remove;
use super::{Told, races};
use crate::bench::{KernelArena, Metadata, layout, metadata};
use crate::check::{Checked, Failure, equal, holds};
use crate::fault::REGISTRY;
use crate::platform::RacePlatform;
use crate::play::Phase::{All, One};
use crate::play::{Player, pause};
use crate::site::{REGION, Site, pages, read_in, violation_of, write_in};

races! {
    an_arena_is_destroyed_under_faults_and_never_used_again in 64 pages,
}

/// Pages of the arena that is destroyed.
const PAGES: u32 = 512;
/// How often that happens in a round.
const TIMES: u32 = 4;
/// How many of the frames that came back are watched.
const WATCHED: usize = 12;

const POISON: u64 = 0xdead_a4e4_dead_a4e4;
const WATCH: u64 = 0x7777_f4a3_7777_f4a3;
/// What wild writes leave.
const WILD: u64 = 0xbad;

/// What an arena is made of, while there is none.
struct Parts {
    platform: RacePlatform,
    layout: ArenaLayout,
    metadata: Metadata,
    place: Box<MaybeUninit<KernelArena>>,
}

/// Fills memory that holds no value with poison.
fn poison<T>(memory: &mut [MaybeUninit<T>]) {
    for word in words(memory) {
        word.write(POISON);
    }
}

/// Whether the poison is still whole.
fn is_poisoned<T>(memory: &mut [MaybeUninit<T>]) -> bool {
    words(memory).iter().all(|word| {
        // SAFETY: `poison` has written all words of it, and nobody may have written since.
        unsafe { core::ptr::from_ref(word).cast::<u64>().read_volatile() == POISON }
    })
}

/// Memory that holds no value, as words.
fn words<T>(memory: &mut [MaybeUninit<T>]) -> &mut [MaybeUninit<u64>] {
    const { assert!(align_of::<T>().is_multiple_of(8) && size_of::<T>().is_multiple_of(8)) };
    let count = size_of_val(memory) / size_of::<u64>();
    let first = memory.as_mut_ptr().cast::<MaybeUninit<u64>>();
    // SAFETY: the same memory, aligned for words, of the same size, and any content will do for both types.
    unsafe { core::slice::from_raw_parts_mut(first, count) }
}

fn an_arena_is_destroyed_under_faults_and_never_used_again(site: &Site) -> Told {
    let frames = site.machine.frames().free_count();
    let platform = RacePlatform::lend(site.machine).ok_or_else(|| Failure::new("all windows are lent"))?;
    let base = platform.window().base();
    let layout = layout(site.machine, &platform, PAGES)?;
    let mut parts = Parts { platform, layout, metadata: metadata(&layout), place: Box::new_uninit() };
    poison(parts.metadata);
    poison(core::slice::from_mut(&mut *parts.place));
    let parts = Mutex::new(Some(parts));

    let (over, busy, declined) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let prepare = |_: &mut Player<'_>| {
        over.store(false, Ordering::Relaxed);
        Ok(())
    };
    let race = |player: &mut Player<'_>| {
        if player.has_turn() {
            let done = (0..TIMES).try_for_each(|_| {
                let taken = parts.lock().take().ok_or_else(|| Failure::new("an earlier turn has failed"))?;
                *parts.lock() = Some(live_and_die(site, taken, &busy)?);
                Ok(())
            });
            over.store(true, Ordering::Release);
            return done;
        }
        let own = 8 * u64::from(player.number);
        while !over.load(Ordering::Acquire) {
            let offset = if player.random.one_in(4) {
                u64::from(2 + player.random.below(2000)) * REGION
            } else {
                u64::from(16 + player.random.below(PAGES)) * PAGE_SIZE
            };
            let address = kernel_arena::KernelAddr::new(base.value() + offset + own);
            let done = if player.random.one_in(2) { write_in(address, WILD) } else { read_in(address).is_some() };
            if !done {
                declined.fetch_add(1, Ordering::Relaxed);
                pause(2);
            }
        }
        Ok(())
    };
    let look = |_: &mut Player<'_>| equal("frames between rounds", site.machine.frames().free_count(), frames);
    let met = || busy.load(Ordering::Relaxed) > 0;
    let rounds = site.play((3, 40), &met, &[One(&prepare), All(&race), One(&look)])?;
    if let Some(parts) = parts.into_inner() {
        // SAFETY: `metadata` leaked it, and the last arena that had it is gone.
        drop(unsafe { Box::from_raw(parts.metadata) });
    }
    let [busy, declined] = [busy, declined].map(AtomicU64::into_inner);
    let lives = rounds * TIMES;
    Ok(format!("{rounds} rounds, {lives} arenas, {busy} times busy, {declined} accesses to what was gone given up"))
}

/// An arena's whole life.
fn live_and_die(site: &Site, parts: Parts, busy: &AtomicU64) -> Result<Parts, Failure> {
    let Parts { platform, layout, metadata, mut place } = parts;
    holds("nobody has touched the arena since it was destroyed", is_poisoned(core::slice::from_mut(&mut *place)))?;
    holds("nobody has touched its metadata", is_poisoned(metadata))?;
    let arena: &KernelArena = place.write(Arena::new(platform, layout, metadata)?);
    // Nobody's fault is recovered yet, so nothing is in the way.
    let some = arena.alloc_pages(AllocRequest::new(pages(20), Owner::Kernel))?;
    arena.free_pages(some.to_ptr(), pages(5), Owner::Kernel)?;
    // SAFETY: the arena stays in its place until `remove` below has returned `Ok`; if it does not, the place is leaked.
    let registration = unsafe { REGISTRY.register(arena) }?;
    wait_for_faults(arena);
    match remove(registration) {
        Ok(times) => busy.fetch_add(times, Ordering::Relaxed),
        Err(failure) => {
            Box::leak(place);
            return Err(failure);
        }
    };
    while violation_of(arena).is_some() {}
    site.other.add(&arena.stats());
    // SAFETY: the place was written above, and is not read again as an arena.
    let arena = unsafe { place.assume_init_read() };
    let destroyed = arena.destroy().expect("no view is attached");
    equal("pages that were left to it", destroyed.pages, 15)?;
    poison(core::slice::from_mut(&mut *place));
    poison(destroyed.metadata);
    watch(site)?;
    holds("nobody has touched the arena after it was destroyed", is_poisoned(core::slice::from_mut(&mut *place)))?;
    Ok(Parts { platform: destroyed.platform, layout, metadata: destroyed.metadata, place })
}

/// Waits until others have faulted in it, but not for ever.
fn wait_for_faults(arena: &KernelArena) {
    let enough = |_: &u32| arena.stats().violations > 20;
    (0..100).take_while(|turn| !enough(turn)).for_each(|_| pause(20));
}

/// Takes frames that were the arena's, and looks whether somebody else writes there.
fn watch(site: &Site) -> Checked {
    let frames = site.machine.frames();
    let watched: Vec<Frame> = (0..WATCHED).filter_map(|_| frames.alloc()).collect();
    let word = |frame: &Frame, number: usize| {
        let address = usize::try_from(PHYSICAL_MAP + frame.address()).expect("a usize has 64 bits");
        core::ptr::with_exposed_provenance_mut::<u64>(address).wrapping_add(number)
    };
    for (frame, number) in watched.iter().flat_map(|frame| (0..512).map(move |number| (frame, number))) {
        // SAFETY: the frame was taken above, and the kernel's map has it.
        unsafe { word(frame, number).write_volatile(WATCH) };
    }
    pause(200);
    let is_whole =
        watched.iter().flat_map(|frame| (0..512).map(move |number| (frame, number))).all(|(frame, number)| {
            // SAFETY: as above.
            unsafe { word(frame, number).read_volatile() == WATCH }
        });
    watched.into_iter().for_each(|frame| frames.free(frame));
    holds("nobody writes to frames that were the arena's", is_whole)
}
