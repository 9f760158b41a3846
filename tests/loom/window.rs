//! The runner's accesses of a window, against whoever takes the page away, gives it anew, scratches or heals it.
//!
//! Guards: an access of a program reaches the page that is there, or that was there until the flush, or it stops; never what
//! another page has got in the same frame (I5). It stops without a trace: nothing is scratched, nothing recorded. What scratch
//! holds is seen by an access that comes at the same time as the scratching or healing alone; one that comes after stops.
//!
//! The window is that of `kernel-arena-bpf`, on the typed access of the library, and this on the machine's CPUs. No bound on
//! preemptions where two CPUs are at work, three where three are.

use std::sync::Arc;

use kernel_arena::access::Width;
use kernel_arena::{AllocRequest, Context, Owner, PageCount, SlotState};

use crate::accessor::{SCRATCH, memory};
use crate::explore::{UNBOUNDED, explore, preemptions, preemptions_if_long};
use crate::frames::Memory;
use crate::machine::{Reached, Small, on_cpu};
use crate::race::{race, race_of_three};
use crate::runner::Window;
use crate::world::{ModelArena, at, own_as, page, retire, start, wild_load};

/// The page that comes and goes, and one beside it in the same table.
const PAGE: u32 = 2;
const BESIDE: u32 = 3;
const OLD: u64 = 5;
const NEW: u64 = 9;
/// What the program stores.
const STORED: u64 = 7;

/// A load of a program.
fn load(arena: &ModelArena, number: u32) -> Option<u64> {
    Window::load(&memory(arena), at(number).offset(), Width::Eight)
}

/// A store of a program.
fn store(arena: &ModelArena, number: u32, value: u64) -> Option<()> {
    Window::store(&memory(arena), at(number).offset(), Width::Eight, value)
}

fn alloc(arena: &ModelArena, number: u32, context: Context) {
    let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at(number)).in_context(context);
    arena.alloc_pages(request).expect("nobody else wants it");
}

fn free(arena: &ModelArena) {
    arena.free_pages(at(PAGE), PageCount::ONE, Owner::Program).expect("freed once");
}

/// An arena of two pages, the first of which holds [`OLD`] in the frame that CPU 1 will take next when it is free; CPU 0 knows it
/// already.
fn with_old_page(memory: &Arc<Memory>) -> Arc<ModelArena> {
    let arena = start::<Small>(memory, PAGE, 2);
    on_cpu(1, || alloc(&arena, PAGE, Context::MayWait));
    assert_eq!(store(&arena, PAGE, OLD), Some(()));
    assert_eq!(on_cpu(0, || load(&arena, PAGE)), Some(OLD));
    arena
}

/// Whoever comes after all others stops where there is no page, and nothing was ever recorded.
fn assert_gone_without_a_trace(arena: &ModelArena) {
    assert_eq!((load(arena, PAGE), store(arena, PAGE, STORED)), (None, None));
    let state = arena.page_state(page(PAGE)).expect("in the extent");
    assert!(matches!(state, SlotState::Vacant | SlotState::Vacated(_)), "{state:?}");
    assert_eq!(arena.stats().violations, 0, "an access that stops was recorded");
}

#[test]
fn an_access_reaches_the_page_until_the_flush_and_then_stops() {
    explore("a program's accesses against free", UNBOUNDED, 2, |memory, first| {
        let arena = with_old_page(memory);
        let access = |arena: &ModelArena| (load(arena, PAGE), store(arena, PAGE, STORED), load(arena, PAGE));
        let (seen, ()) = race(first, &arena, access, free);
        let (before, stored, after) = seen;
        assert!(matches!(before, Some(OLD) | None), "{seen:?}");
        assert!(before.is_some() || stored.is_none(), "gone, and there again: {seen:?}");
        assert!(matches!((stored, after), (Some(()), Some(STORED) | None) | (None, None)), "{seen:?}");
        assert_gone_without_a_trace(&arena);
        retire(arena);
    });
}

#[test]
fn what_another_page_has_in_the_same_frame_is_never_reached() {
    explore("a program's accesses against free, and alloc elsewhere", preemptions(3), 2, |memory, first| {
        let arena = with_old_page(memory);
        let access = |arena: &ModelArena| (load(arena, PAGE), store(arena, PAGE, STORED));
        let (seen, ()) = race(first, &arena, access, |arena| {
            free(arena);
            alloc(arena, BESIDE, Context::Any);
            own_as(arena, Owner::Program, page(BESIDE), NEW);
        });
        assert!(matches!(seen, (Some(OLD) | None, _)), "{seen:?}");
        assert_eq!(load(&arena, BESIDE), Some(NEW), "a program's store went into another page");
        assert_gone_without_a_trace(&arena);
        retire(arena);
    });
}

#[test]
fn a_page_that_is_given_anew_is_the_old_one_none_or_the_new_one() {
    explore("a program's loads against free and alloc", preemptions(3), 2, |memory, first| {
        let arena = with_old_page(memory);
        let access = |arena: &ModelArena| [load(arena, PAGE), load(arena, PAGE)];
        let (seen, ()) = race(first, &arena, access, |arena| {
            free(arena);
            alloc(arena, PAGE, Context::Any);
            own_as(arena, Owner::Program, page(PAGE), NEW);
        });
        let turn = |seen| match seen {
            Some(OLD) => 0,
            None => 1,
            Some(0 | NEW) => 2,
            other => panic!("{other:?}"),
        };
        assert!(turn(seen[0]) <= turn(seen[1]), "the old page came back: {seen:?}");
        assert_eq!(load(&arena, PAGE), Some(NEW));
        assert_eq!(arena.stats().violations, 0);
        retire(arena);
    });
}

/// The fault may find the page that was given after the access had missed it: it looks once, or the next look would find it
/// freed, and scratch it.
#[test]
fn an_access_that_missed_a_page_which_came_and_went_leaves_nothing() {
    explore("a program's accesses against alloc and free", preemptions(3), 2, |memory, first| {
        let arena = start::<Small>(memory, PAGE, 1);
        let access = |arena: &ModelArena| (load(arena, PAGE), store(arena, PAGE, STORED));
        let (seen, ()) = race(first, &arena, access, |arena| {
            alloc(arena, PAGE, Context::Any);
            free(arena);
        });
        assert!(matches!(seen, (Some(0) | None, _)), "{seen:?}");
        assert_gone_without_a_trace(&arena);
        retire(arena);
    });
}

#[test]
fn scratch_is_seen_at_the_time_of_the_scratching_alone() {
    explore("a program's load against free against a wild load", preemptions_if_long(2, 3), 3, |memory, first| {
        let arena = with_old_page(memory);
        let after = |arena: &ModelArena| {
            let reached = wild_load(arena, page(PAGE));
            // This CPU scratched the page, or found it scratched or there; if it holds scratch, an access stops.
            (reached, load(arena, PAGE))
        };
        let (seen, (), (reached, stopped)) = race_of_three(first, &arena, |arena| load(arena, PAGE), free, after);
        assert!(matches!(seen, Some(OLD | SCRATCH) | None), "{seen:?}");
        if reached == Some(Reached::Scratch) {
            assert_eq!(stopped, None, "who scratched the page sees what scratch holds");
        }
        assert_eq!(load(&arena, PAGE), None);
        arena.reclaim();
        retire(arena);
    });
}

#[test]
fn a_page_that_was_healed_is_reached_when_it_is_given() {
    explore("a program's load against healing and alloc", preemptions(3), 2, |memory, first| {
        let arena = start::<Small>(memory, PAGE, 1);
        assert_eq!(wild_load(&arena, page(PAGE)), Some(Reached::Scratch));
        assert_eq!(load(&arena, PAGE), None);
        let (seen, ()) = race(
            first,
            &arena,
            |arena| load(arena, PAGE),
            |arena| {
                arena.reclaim();
                alloc(arena, PAGE, Context::Any);
                own_as(arena, Owner::Program, page(PAGE), NEW);
                assert_eq!(load(arena, PAGE), Some(NEW));
            },
        );
        assert!(matches!(seen, None | Some(SCRATCH | 0 | NEW)), "{seen:?}");
        assert_eq!(load(&arena, PAGE), Some(NEW));
        retire(arena);
    });
}

#[test]
fn scratch_that_a_deferred_free_leaves_is_never_read_though_another_free_lost() {
    explore("a load after a deferred free against another free", preemptions(3), 2, |memory, first| {
        let arena = start::<Small>(memory, PAGE, 1);
        assert_eq!(arena.reserve_pages(at(PAGE), PageCount::ONE, Owner::Program), Ok(()));
        assert_eq!(on_cpu(1, || wild_load(&arena, page(PAGE))), Some(Reached::Scratch));
        let (_lost, (won, seen)) = race(
            first,
            &arena,
            |arena: &ModelArena| arena.free_pages(at(PAGE), PageCount::ONE, Owner::Program),
            |arena: &ModelArena| {
                let won = arena.free_pages_deferred(at(PAGE), PageCount::ONE, Owner::Program).is_ok();
                (won, load(arena, PAGE))
            },
        );
        assert!(!won || seen.is_none(), "scratch was seen: {seen:?}");
        retire(arena);
    });
}
