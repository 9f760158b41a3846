//! Faults in a row: one that has a reason is never declined.
//!
//! Guards the clause of `docs/MODEL.md` that a third fault at one address is declined only if no translation was taken away
//! in between: whoever finds a word in a slot (Acquire) finds the batch counted that made room for it.
//!
//! The row starts with two faults that found the page mapped. The third is raised by a walk that finds the page freed, and
//! handled when it may be allocated again. The walk is Relaxed, so that nothing but the handler's own look at the slot orders
//! the count after it. No bound on preemptions; two where there are three CPUs: one
//! for each of the places, after the free's exchange and after the other fault's, where the third fault must look.

use kernel_arena::sync::Ordering;
use kernel_arena::{Context, FaultOutcome, Owner, PageCount};

use crate::machine::{Small, on_cpu};
use crate::race::{race, race_of_three};
use crate::world::{ModelArena, UNBOUNDED, explore, fault_at, one_page, page, preemptions, retire, start};

/// Handles the third fault in a row on CPU 1, if a walk finds the page missing.
fn third_fault(arena: &ModelArena) {
    if arena.platform().walk(page(1), Ordering::Relaxed).is_none() {
        let outcome = arena.handle_kernel_fault(&fault_at(arena, page(1)));
        assert_ne!(outcome, FaultOutcome::NotOurs, "a fault with a reason was declined");
    }
}

/// Two faults on CPU 1 that found the page there.
fn two_faults(arena: &ModelArena) {
    for _ in 0..2 {
        let outcome = on_cpu(1, || arena.handle_kernel_fault(&fault_at(arena, page(1))));
        assert_eq!(outcome, FaultOutcome::Spurious);
    }
}

#[test]
fn a_fault_that_a_freed_page_explains_is_never_declined() {
    explore("third fault in a row against free and alloc", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let pages = arena.alloc_pages(one_page(Context::MayWait)).expect("an empty arena");
        two_faults(&arena);
        let free_and_alloc = move |arena: &ModelArena| {
            arena.free_pages(pages.to_ptr(), PageCount::ONE, Owner::Kernel).expect("freed once");
            arena.alloc_pages(one_page(Context::MayWait)).expect("one fault does not keep it from a page");
        };
        race(first, &arena, free_and_alloc, third_fault);
        retire(arena);
    });
}

#[test]
fn a_fault_that_a_freed_page_explains_is_not_declined_for_scratch_that_came_since() {
    explore("third fault in a row against free and another fault", preemptions(2), 3, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let pages = arena.alloc_pages(one_page(Context::MayWait)).expect("an empty arena");
        two_faults(&arena);
        let free = move |arena: &ModelArena| arena.free_pages(pages.to_ptr(), PageCount::ONE, Owner::Kernel);
        let fault = |arena: &ModelArena| arena.handle_kernel_fault(&fault_at(arena, page(1)));
        let (freed, (), outcome) = race_of_three(first, &arena, free, third_fault, fault);
        assert_eq!(freed, Ok(()));
        assert_ne!(outcome, FaultOutcome::NotOurs);
        retire(arena);
    });
}
