//! The registry: a fault that enters against a removal, and the entry's next arena.
//!
//! Guards: once `remove` has returned `Ok`, no fault is inside the arena, none gets in, and what those before did is
//! visible (entered with Acquire, left with Release, closed with Acquire); whoever finds the entry open finds the arena
//! that is in it now; an arena that stays is found whatever goes and comes beside it; a registration opens no other
//! registry's entry. The machine of an arena that was removed is *buried*: loom reports every look at it that is not ordered
//! before.
//!
//! No bound on preemptions but where it is stated, and in the fast tests three.

use std::sync::Arc;

use kernel_arena::{FaultOutcome, Registration, Registry, RemoveError};

use crate::explore::{UNBOUNDED, bounded_unless_long, explore, preemptions};
use crate::machine::{BASE, Machine, Small};
use crate::race::{race, race_of_three};
use crate::world::{ModelArena, build, fault_at, layout_at, page, retire, start};

type Arenas<const N: usize = 1> = Registry<Machine, N, Small>;

/// Of two entries, this window is looked for by the same hint as [`BASE`]'s.
const ELSEWHERE: u64 = BASE + (10 << 32);

/// Asks until no fault is inside any more.
fn remove<const N: usize>(registry: &Arenas<N>, mut registration: Registration) {
    while let Err(error) = registry.remove(registration) {
        let RemoveError::Busy { registration: again, .. } = error else { panic!("{error}") };
        registration = again;
        loom::thread::yield_now();
    }
}

fn register<const N: usize>(registry: &Arenas<N>, arena: &ModelArena) -> Registration {
    loop {
        // SAFETY: each model removes the arena before it lets go of it.
        if let Ok(registration) = unsafe { registry.register(arena) } {
            return registration;
        }
        loom::thread::yield_now();
    }
}

#[test]
fn no_fault_is_inside_an_arena_that_was_removed() {
    explore("fault against removal", UNBOUNDED, 2, |memory, first| {
        let registry = Arc::new(Arenas::<1>::new());
        let arena = start::<Small>(memory, 1, 1);
        let registration = register(&registry, &arena);
        let faults = Arc::clone(&registry);
        let end = move |arena: &ModelArena| {
            remove(&registry, registration);
            // As its owner does who is about to destroy it: everything is visible, and nobody comes any more.
            arena.platform().bury();
            assert_eq!(arena.validate(), Ok(()));
            arena.stats().violations
        };
        let fault = move |arena: &ModelArena| faults.handle_kernel_fault(&fault_at(arena, page(1)));
        let (violations, outcome) = race(first, &arena, end, fault);
        let expected = if violations == 1 { FaultOutcome::Recovered } else { FaultOutcome::NotOurs };
        assert_eq!(outcome, expected);
        retire(arena);
    });
}

#[test]
fn a_fault_finds_the_arena_that_is_registered_now() {
    let second = crate::frames::Memory::new();
    explore("fault against removal and another registration", bounded_unless_long(3), 2, move |memory, first| {
        let registry = Arc::new(Arenas::<1>::new());
        let (old, new) = (start::<Small>(memory, 1, 1), start::<Small>(&second, 1, 1));
        let registration = register(&registry, &old);
        let faults = Arc::clone(&registry);
        let (change, was) = (Arc::clone(&registry), Arc::clone(&old));
        let change = move |new: &ModelArena| {
            remove(&change, registration);
            was.platform().bury();
            // At the same addresses, in the same entry.
            register(&change, new)
        };
        let fault = move |new: &ModelArena| faults.handle_kernel_fault(&fault_at(new, page(1)));
        let (registration, outcome) = race(first, &new, change, fault);
        let recovered = u64::from(outcome == FaultOutcome::Recovered);
        assert_eq!(old.stats().violations + new.stats().violations, recovered);
        remove(&registry, registration);
        retire(old);
        retire(new);
    });
}

/// Two are registered; one goes, and another takes its place and its hint, which is the hint of the one that stays, too.
#[test]
fn who_stays_is_found_whatever_goes_and_comes_beside_it() {
    let (second, third) = (crate::frames::Memory::new(), crate::frames::Memory::new());
    let name = "faults in two arenas against removal and another registration";
    explore(name, bounded_unless_long(3), 2, move |memory, first| {
        let registry = Arc::new(Arenas::<2>::new());
        let (old, new) = (start::<Small>(memory, 1, 1), start::<Small>(&second, 1, 1));
        let stays = build::<Small>(&third, layout_at(ELSEWHERE, 1, 1));
        let (registration, other) = (register(&registry, &old), register(&registry, &stays));
        let (change, faults) = (Arc::clone(&registry), Arc::clone(&registry));
        let (was, beside) = (Arc::clone(&old), Arc::clone(&stays));
        let change = move |new: &ModelArena| {
            remove(&change, registration);
            was.platform().bury();
            register(&change, new)
        };
        let fault = move |new: &ModelArena| {
            let first = faults.handle_kernel_fault(&fault_at(new, page(1)));
            (first, faults.handle_kernel_fault(&fault_at(&beside, page(1))))
        };
        let (registration, (outcome, found)) = race(first, &new, change, fault);
        assert_eq!((found, stays.stats().violations), (FaultOutcome::Recovered, 1), "it was there all the time");
        let recovered = u64::from(outcome == FaultOutcome::Recovered);
        assert_eq!(old.stats().violations + new.stats().violations, recovered);
        assert_ne!(registry.handle_kernel_fault(&fault_at(&new, page(1))), FaultOutcome::NotOurs);
        remove(&registry, registration);
        remove(&registry, other);
        for arena in [old, new, stays] {
            retire(arena);
        }
    });
}

#[test]
fn an_entry_is_handed_over_from_one_cpu_to_another() {
    let second = crate::frames::Memory::new();
    explore("registration after another CPU's removal", UNBOUNDED, 2, move |memory, first| {
        let registry = Arc::new(Arenas::<1>::new());
        let (brief, lasting) = (start::<Small>(memory, 1, 1), start::<Small>(&second, 1, 1));
        let theirs = Arc::clone(&registry);
        let other = Arc::clone(&brief);
        let come_and_go = move |_: &ModelArena| {
            let registration = register(&theirs, &other);
            remove(&theirs, registration);
            other.platform().bury();
        };
        let come_and_stay = move |arena: &ModelArena| {
            let registration = register(&registry, arena);
            assert_eq!(registry.handle_kernel_fault(&fault_at(arena, page(1))), FaultOutcome::Recovered);
            assert_eq!(arena.stats().violations, 1, "the fault went to another arena");
            remove(&registry, registration);
        };
        race(first, &lasting, come_and_stay, come_and_go);
        retire(brief);
        retire(lasting);
    });
}

#[test]
fn a_registration_of_another_registry_closes_nothing() {
    explore("removal from the wrong registry against a fault and a removal", preemptions(3), 3, |memory, first| {
        // Twice the same arena, at the same place of two registries.
        let (here, elsewhere) = (Arc::new(Arenas::<1>::new()), Arc::new(Arenas::<1>::new()));
        let arena = start::<Small>(memory, 1, 1);
        let (ours, theirs) = (register(&here, &arena), register(&elsewhere, &arena));
        let (wrong, right, faults) = (Arc::clone(&here), Arc::clone(&here), here);
        let remove_wrongly = move |_: &ModelArena| match wrong.remove(theirs) {
            Err(RemoveError::NotHere(registration)) => registration,
            other => panic!("the wrong registry answers {other:?}"),
        };
        let fault = move |arena: &ModelArena| faults.handle_kernel_fault(&fault_at(arena, page(1)));
        let remove_rightly = move |_: &ModelArena| remove(&right, ours);
        let (theirs, outcome, ()) = race_of_three(first, &arena, remove_wrongly, fault, remove_rightly);
        let recovered = u64::from(outcome == FaultOutcome::Recovered);
        assert_eq!(arena.stats().violations, recovered);
        // Where it belongs, it is still in force.
        assert_ne!(elsewhere.handle_kernel_fault(&fault_at(&arena, page(1))), FaultOutcome::NotOurs);
        remove(&elsewhere, theirs);
        retire(arena);
    });
}
