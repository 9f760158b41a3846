//! A program view that comes and goes, against whatever takes a translation away, and the program's faults.
//!
//! Guards I1, I2 and I5 in both views: a page that is freed or healed is forgotten wherever it was linked, and whoever does not
//! find the view in the list finds that it was linked later, or flushed before. And that a program is refused for nobody's
//! passing state.
//!
//! No bound on preemptions where two CPUs are at work, three where three are.

use std::sync::Arc;

use kernel_arena::views::{FaultPolicy, ProgramAccess, ProgramFault, ProgramFaultOutcome, View, ViewId, ViewRights};
use kernel_arena::{AllocError, AllocRequest, Context, InstructionAddr, Owner, PageCount, ProgramAddr, SlotState};

use crate::explore::{UNBOUNDED, explore, preemptions, preemptions_if_long};
use crate::frames::Memory;
use crate::machine::{Missing, Reached, VIEW_BASE, on_cpu};
use crate::platform::Lent;
use crate::race::{race, race_of_three};
use crate::world::{ModelArena, at, own_as, page, retire, start_with_view, wild_load};

const OLD: u64 = 5;
const NEW: u64 = 9;

fn attach(arena: &ModelArena, policy: FaultPolicy) -> View<Lent> {
    let lent = arena.platform().lent_view();
    arena.attach_view(lent, ViewRights::ReadWrite, policy).expect("there is room")
}

/// When it returns, nobody reaches anything there.
fn detach(arena: &ModelArena, view: View<Lent>) {
    arena.detach_view(view).expect("its own");
    assert_eq!(arena.platform().load_in_view(page(1)), Err(Missing));
    arena.platform().assert_the_view_is_forgotten();
}

fn alloc(arena: &ModelArena, context: Context) -> Result<(), AllocError> {
    let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at(1)).in_context(context);
    arena.alloc_pages(request).map(drop)
}

fn free(arena: &ModelArena) {
    arena.free_pages(at(1), PageCount::ONE, Owner::Program).expect("freed once");
}

/// The page is the program's, and new.
fn own(arena: &ModelArena) {
    own_as(arena, Owner::Program, page(1), NEW);
}

/// An arena whose only page is allocated and holds [`OLD`].
fn with_old_page(memory: &Arc<Memory>) -> Arc<ModelArena> {
    let arena = start_with_view(memory);
    alloc(&arena, Context::MayWait).expect("an empty arena");
    assert_eq!(arena.platform().store(page(1), OLD), Ok(Reached::Page(OLD)));
    arena
}

/// The page can be had, and is shown in the view, which then goes.
fn settle(arena: Arc<ModelArena>, view: View<Lent>) {
    if !matches!(arena.page_state(page(1)), Some(SlotState::Mapped(..))) {
        alloc(&arena, Context::MayWait).expect("the page is lost");
        own(&arena);
    }
    assert!(matches!(arena.platform().load_in_view(page(1)), Ok(0 | NEW)));
    detach(&arena, view);
    retire(arena);
}

#[test]
fn a_page_that_is_freed_while_a_view_is_attached_is_not_reached_there() {
    explore("attach against free", UNBOUNDED, 2, |memory, first| {
        let arena = with_old_page(memory);
        let look = |arena: &ModelArena| {
            let view = attach(arena, FaultPolicy::Segv);
            let seen = arena.platform().load_in_view(page(1));
            assert!(matches!(seen, Err(Missing) | Ok(OLD)), "{seen:?}");
            view
        };
        let (view, ()) = race(first, &arena, look, free);
        settle(arena, view);
    });
}

#[test]
fn a_page_that_is_freed_and_allocated_while_a_view_is_attached_is_never_two_pages() {
    explore("attach against free and alloc", UNBOUNDED, 2, |memory, first| {
        let arena = with_old_page(memory);
        let look = |arena: &ModelArena| {
            let view = attach(arena, FaultPolicy::Segv);
            let seen = arena.platform().load_in_view(page(1));
            assert!(matches!(seen, Err(Missing) | Ok(OLD | 0 | NEW)), "{seen:?}");
            view
        };
        let (view, ()) = race(first, &arena, look, |arena| {
            free(arena);
            alloc(arena, Context::Any).expect("nobody else wants it");
            own(arena);
        });
        settle(arena, view);
    });
}

#[test]
fn a_page_that_is_freed_while_a_view_is_detached_is_not_reached_there() {
    explore("detach against free against the program", preemptions_if_long(2, 3), 3, |memory, first| {
        let arena = with_old_page(memory);
        let view = attach(&arena, FaultPolicy::Segv);
        let ((), (), seen) = race_of_three(
            first,
            &arena,
            |arena| detach(arena, view),
            free,
            |arena| arena.platform().load_in_view(page(1)),
        );
        assert!(matches!(seen, Err(Missing) | Ok(OLD)), "{seen:?}");
        arena.platform().assert_the_view_is_forgotten();
        retire(arena);
    });
}

#[test]
fn a_page_that_is_healed_while_a_view_is_attached_is_forgotten_there() {
    explore("attach against healing", UNBOUNDED, 2, |memory, first| {
        let arena = start_with_view(memory);
        assert_eq!(wild_load(&arena, page(1)), Some(Reached::Scratch));
        let look = |arena: &ModelArena| {
            let view = attach(arena, FaultPolicy::Segv);
            let seen = arena.platform().load_in_view(page(1));
            assert!(matches!(seen, Err(Missing) | Ok(0 | NEW)), "scratch is nobody's to read: {seen:?}");
            view
        };
        let (view, ()) = race(first, &arena, look, |arena| {
            arena.reclaim();
            alloc(arena, Context::Any).expect("healed");
            own(arena);
        });
        settle(arena, view);
    });
}

/// S1 on a word that says vacated: the fault flushes it first in each view that could have shown what was there.
#[test]
fn a_fault_on_a_page_that_was_vacated_finds_the_view_that_showed_it() {
    explore("attach against free against a wild load", preemptions(3), 3, |memory, first| {
        let arena = with_old_page(memory);
        let (view, (), _) = race_of_three(
            first,
            &arena,
            |arena| {
                let view = attach(arena, FaultPolicy::Segv);
                let _seen = arena.platform().load_in_view(page(1));
                view
            },
            free,
            |arena| wild_load(arena, page(1)),
        );
        arena.reclaim();
        settle(arena, view);
    });
}

fn program_fault(arena: &ModelArena, view: ViewId) -> ProgramFaultOutcome {
    let address = ProgramAddr::new(VIEW_BASE + 0x1000);
    let fault = ProgramFault { address, access: ProgramAccess::Write, instruction: InstructionAddr::new(0x40) };
    arena.handle_program_fault(view, &fault)
}

#[test]
fn a_lazy_fault_on_a_page_that_is_being_freed_waits_or_gets_a_new_one() {
    explore("a program's fault against free", UNBOUNDED, 2, |memory, first| {
        let arena = with_old_page(memory);
        let view = attach(&arena, FaultPolicy::Lazy);
        assert_eq!(on_cpu(0, || arena.platform().load_in_view(page(1))), Ok(OLD));
        let id = view.id();
        let ((), outcome) = race(first, &arena, free, move |arena| {
            let outcome = program_fault(arena, id);
            if outcome == ProgramFaultOutcome::PageGiven {
                own(arena);
            }
            outcome
        });
        assert!(matches!(outcome, ProgramFaultOutcome::PageGiven | ProgramFaultOutcome::Retry), "{outcome:?}");
        settle(arena, view);
    });
}

#[test]
fn of_a_lazy_fault_and_an_allocation_one_has_the_page() {
    for context in [Context::MayWait, Context::Any] {
        explore(&format!("a program's fault against alloc, {context:?}"), UNBOUNDED, 2, move |memory, first| {
            let arena = start_with_view(memory);
            let view = attach(&arena, FaultPolicy::Lazy);
            let id = view.id();
            let alloc = move |arena: &ModelArena| alloc(arena, context).map(|()| own(arena));
            let (allocated, outcome) = race(first, &arena, alloc, move |arena| {
                let outcome = program_fault(arena, id);
                if outcome == ProgramFaultOutcome::PageGiven {
                    own(arena);
                }
                outcome
            });
            match outcome {
                ProgramFaultOutcome::PageGiven => {
                    assert!(matches!(allocated, Err(AllocError::Busy(_) | AllocError::Taken { .. })), "{allocated:?}")
                }
                ProgramFaultOutcome::Retry => assert_eq!(allocated, Ok(())),
                other => panic!("{other:?}"),
            }
            settle(arena, view);
        });
    }
}
