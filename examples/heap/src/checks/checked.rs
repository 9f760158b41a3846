//! Objects of a program, on an arena that it sees: nothing that it names or writes harms anybody (I7, I11).

use alloc::format;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{ArenaPtr, Misuse, ViolationKind};
use support::{Random, cpu_id, probe_read_u64, probe_write_u64, relax};

use super::{Told, checks};
use crate::bench::{Kind, Site, violations};
use crate::check::{Checked, Failure, Trouble, equal, holds};
use crate::memory::{Books, FIRST_PAGE, KernelArena, Pages};

checks! {
    garbage_of_a_program_is_refused_for_the_right_reason_and_recorded,
    of_two_frees_of_one_object_one_is_refused,
    garbage_from_all_cpus_harms_no_object,
    what_a_program_writes_never_reaches_the_bookkeeping,
}

type ArenaSlab<'a> = Slab<Pages<'a>, Books<'a>>;

/// Lets `body` have a slab on a shared arena of so many pages; all must come back.
fn with_slab(site: &Site, pages: u32, body: impl FnOnce(&KernelArena, &ArenaSlab<'_>) -> Checked) -> Checked {
    site.with_arena(Kind::Shared, pages, |arena| {
        let slab = Slab::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast)?;
        let outcome = body(arena, &slab);
        let left = slab.destroy();
        outcome?;
        equal("objects, and bytes, that are still out", (left.objects, left.bytes), (0, 0))
    })
}

fn layout(size: usize) -> Result<Layout, Failure> {
    Layout::from_size_align(size, 8).map_err(|_| Failure::new("no such layout"))
}

/// A free is refused so, and recorded so.
fn refused(arena: &KernelArena, slab: &ArenaSlab<'_>, at: u32, expected: Misuse) -> Checked {
    equal(&format!("the free at {at:#x}"), slab.free_checked(ArenaPtr::new(at)), Err(expected))?;
    let found = violations(arena).map(|violation| (violation.address.value(), violation.kind, violation.cpu));
    let address = arena.layout().base().value() + u64::from(at);
    equal("what was recorded", found.collect(), alloc::vec![(address, ViolationKind::Object(expected), Some(cpu_id()))])
}

fn garbage_of_a_program_is_refused_for_the_right_reason_and_recorded(site: &Site) -> Told {
    with_slab(site, 512, |arena, slab| {
        let sixty_four = layout(64)?;
        let (object, other) = (slab.alloc_checked(sixty_four)?, slab.alloc_checked(sixty_four)?);
        let kernels = slab.alloc(sixty_four)?;
        let end = FIRST_PAGE + 512;
        for outside in [0, 4096, (FIRST_PAGE << 12) - 8, end << 12, u32::MAX, u32::MAX - 7] {
            refused(arena, slab, outside, Misuse::Outside)?;
        }
        for nobodys in [(end - 1) << 12, (end << 12) - 8] {
            refused(arena, slab, nobodys, Misuse::NoObjects)?;
        }
        for inside in [1, 4, 8, 32, 63] {
            refused(arena, slab, object.offset() + inside, Misuse::NotAtStart)?;
        }
        refused(arena, slab, kernels.offset(), Misuse::NotLive)?;
        equal("a right free", slab.free_checked(Some(object)), Ok(()))?;
        refused(arena, slab, object.offset(), Misuse::NotLive)?;
        equal("the other's free", slab.free_checked(Some(other)), Ok(()))?;
        // SAFETY: it came from there with this layout, and was not freed: that was refused.
        unsafe { slab.free(kernels, sixty_four) };
        equal("misuses that were counted", slab.stats().misuses, 6 + 2 + 5 + 1 + 1)
    })?;
    super::nothing()
}

/// All CPUs free the same object at once, again and again.
fn of_two_frees_of_one_object_one_is_refused(site: &Site) -> Told {
    let rounds = site.of((600, 4000));
    with_slab(site, 512, |arena, slab| {
        let (object, round, freed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
        let ready = AtomicU32::new(0);
        let trouble = Trouble::new();
        site.on_all(|player| {
            for number in 1..=rounds {
                if player.number == 0 {
                    while ready.load(Ordering::Acquire) + 1 < site.cpus * number {
                        relax();
                    }
                    match slab.alloc_checked(layout(48)?) {
                        Ok(new) => object.store(new.offset(), Ordering::Relaxed),
                        Err(error) => trouble.note(error.into()),
                    }
                    violations(arena).for_each(drop);
                    round.store(number, Ordering::Release);
                } else {
                    ready.fetch_add(1, Ordering::Release);
                    while round.load(Ordering::Acquire) < number {
                        relax();
                    }
                }
                match slab.free_checked(ArenaPtr::new(object.load(Ordering::Relaxed))) {
                    Ok(()) => _ = freed.fetch_add(1, Ordering::Relaxed),
                    Err(Misuse::NotLive) => {}
                    Err(other) => trouble.note(other.into()),
                }
                if player.number == 0 {
                    ready.fetch_add(1, Ordering::Release);
                }
            }
            Ok(())
        })?;
        trouble.take()?;
        equal("frees that were right", freed.into_inner(), rounds.into())?;
        equal("frees that were refused", slab.stats().misuses, u64::from(rounds) * u64::from(site.cpus - 1))
    })?;
    Ok(format!("{rounds} objects, freed by each of {} CPUs", site.cpus))
}

/// A word of an object.
fn address(arena: &KernelArena, object: ArenaPtr, word: u32) -> u64 {
    arena.layout().base().value() + u64::from(object.offset()) + 8 * u64::from(word)
}

fn garbage_from_all_cpus_harms_no_object(site: &Site) -> Told {
    let (tries, hits) = (AtomicU64::new(0), AtomicU64::new(0));
    with_slab(site, 1024, |arena, slab| {
        site.on_all(|player| {
            let random = &mut player.random;
            let mut held: Vec<(ArenaPtr, u32)> = Vec::with_capacity(64);
            for _ in 0..site.of((4000, 30_000)) {
                match random.below(8) {
                    0..=2 if held.len() < 64 => {
                        // Kernel objects: a program's free of one is always refused.
                        let object = slab.alloc(layout(64)?)?;
                        let mark = random.below(u32::MAX);
                        write(arena, object, mark)?;
                        held.push((object, mark));
                    }
                    3 if !held.is_empty() => {
                        let (object, mark) = held.swap_remove(random.index(held.len()));
                        read(arena, object, mark)?;
                        // SAFETY: it came from there with this layout, and no program's free was granted.
                        unsafe { slab.free(object, layout(64)?) };
                    }
                    4 => {
                        // A program's own: whoever guesses its address may free it.
                        let object = slab.alloc_checked(layout(64)?)?;
                        let is_free = slab.free_checked(Some(object)).is_err();
                        hits.fetch_add(u64::from(is_free), Ordering::Relaxed);
                        tries.fetch_add(u64::from(is_free), Ordering::Relaxed);
                    }
                    _ => {
                        let at = match random.below(4) {
                            0 => random.below(u32::MAX),
                            1 => (FIRST_PAGE << 12) + random.below(1024 << 12),
                            2 => (FIRST_PAGE << 12) + random.below(1024 << 6) * 64,
                            _ => held.get(random.below(64) as usize).map_or(1, |(object, _)| object.offset()),
                        };
                        let refused = slab.free_checked(ArenaPtr::new(at)).is_err();
                        tries.fetch_add(u64::from(refused), Ordering::Relaxed);
                        hits.fetch_sub(u64::from(!refused), Ordering::Relaxed);
                    }
                }
                if random.one_in(64) {
                    violations(arena).for_each(drop);
                }
            }
            for (object, mark) in held {
                read(arena, object, mark)?;
                // SAFETY: as above.
                unsafe { slab.free(object, layout(64)?) };
            }
            Ok(())
        })?;
        violations(arena).for_each(drop);
        let stats = arena.stats();
        equal("misuses that were counted", slab.stats().misuses, tries.load(Ordering::Relaxed))?;
        equal("misuses that were recorded or lost", stats.violations, tries.load(Ordering::Relaxed))?;
        equal("guessed frees that were granted, less owners' that found nothing", hits.load(Ordering::Relaxed), 0)
    })?;
    Ok(format!("{} frees refused", tries.into_inner()))
}

/// Fills an object of 64 bytes.
fn write(arena: &KernelArena, object: ArenaPtr, mark: u32) -> Checked {
    // SAFETY: the object is ours; nothing that Rust knows of is in the window.
    holds(
        "an object is written",
        (0..8).all(|word| unsafe {
            probe_write_u64(address(arena, object, word), u64::from(mark) << 8 | u64::from(word))
        }),
    )
}

/// Checks what was filled in.
fn read(arena: &KernelArena, object: ArenaPtr, mark: u32) -> Checked {
    // SAFETY: as above.
    let word = |word| unsafe { probe_read_u64(address(arena, object, word)) };
    holds(
        "an object keeps what was written",
        (0..8).all(|number| word(number) == Some(u64::from(mark) << 8 | u64::from(number))),
    )
}

/// It overwrites all that it sees, all the time, and the allocator goes on as if nothing were.
fn what_a_program_writes_never_reaches_the_bookkeeping(site: &Site) -> Told {
    with_slab(site, 256, |arena, slab| {
        let extent = arena.layout().extent();
        let scribble = |random: &mut Random| {
            for page in extent.pages() {
                let at = address(arena, page.to_ptr().expect("not page 0"), random.below(512));
                if arena.page_state(page).is_some_and(|state| matches!(state, kernel_arena::SlotState::Mapped(..))) {
                    // SAFETY: nothing that Rust knows of is in the window. The page may be going: then it is a wild
                    // access.
                    let _ = unsafe { probe_write_u64(at, random.bits()) };
                }
            }
        };
        for round in 0..site.of((20, 100)) {
            let mut random = Random::new(round.into());
            let mut objects = Vec::new();
            for size in [8_u32, 24, 64, 200, 1000, 4096, 10_000] {
                for _ in 0..20 {
                    objects.push((slab.alloc_checked(layout(size as usize)?)?, size));
                }
                scribble(&mut random);
            }
            let mut starts: Vec<(u32, u32)> =
                objects.iter().map(|(object, size)| (object.offset(), object.offset() + size)).collect();
            starts.sort_unstable();
            holds("no two objects overlap", starts.windows(2).all(|pair| pair[0].1 <= pair[1].0))?;
            while !objects.is_empty() {
                let (object, _) = objects.swap_remove(random.index(objects.len()));
                equal("a free", slab.free_checked(Some(object)), Ok(()))?;
                if random.one_in(16) {
                    scribble(&mut random);
                }
            }
            equal("bytes that are live", slab.stats().live_bytes, 0)?;
        }
        slab.reclaim();
        equal("bytes held when all is reclaimed", slab.stats().held_bytes, 0)?;
        equal("misuses", slab.stats().misuses, 0)
    })?;
    super::nothing()
}
