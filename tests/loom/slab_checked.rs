//! Checked frees: of what was handed out once, and with nothing but its address.
//!
//! Guards: the live bit is the right to free, so of several frees one is right; it is set with Release and cleared with
//! Acquire, so a free that only guessed comes after all that the allocator did to the object. Guards, too, that whoever
//! has cleared it finds the object's slab in the map, however often the page was another's before.

use kernel_arena::slab::Mode;
use kernel_arena::{ArenaPtr, Misuse};

use crate::explore::{UNBOUNDED, explore_without_arena, preemptions};
use crate::race::{race, race_of_three};
use crate::slab::{Cpus, LARGE, ModelSlab, SMALL, drain, finish, lists_are_complete, start};

fn free(slab: &ModelSlab, object: ArenaPtr) -> u32 {
    match slab.free_checked(Some(object)) {
        Ok(()) => 1,
        Err(misuse) => {
            assert!(matches!(misuse, Misuse::NotLive | Misuse::NoObjects | Misuse::NotAtStart));
            0
        }
    }
}

#[test]
fn of_two_frees_of_one_object_one_is_right() {
    explore_without_arena("two checked frees", UNBOUNDED, 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let object = slab.alloc_checked(LARGE).expect("a page");
        let free = move |slab: &ModelSlab| free(slab, object);
        let (ours, theirs) = race(first, &slab, free, free);
        assert_eq!(ours + theirs, 1);
        lists_are_complete(&slab);
        finish(slab);
    });
}

#[test]
fn a_guessed_free_comes_after_the_allocation() {
    explore_without_arena("guessed free against first alloc", preemptions(3), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let guess = |slab: &ModelSlab| {
            let freed = free(slab, ArenaPtr::new(4096).unwrap());
            // The page goes back, if nothing is out: that must come after its zeroing.
            slab.drain();
            freed
        };
        let (object, freed) = race(first, &slab, |slab| slab.alloc_checked(LARGE), guess);
        let object = object.expect("a page");
        assert_eq!(freed + free(&slab, object), 1);
        lists_are_complete(&slab);
        finish(slab);
    });
}

#[test]
fn a_guessed_free_finds_no_header_before_it_is_built() {
    explore_without_arena("guessed free against a new header", preemptions(2), 2, |first| {
        // The third slab's header is the first of a page, and its map's leaf is there already.
        let slab = start(3, Mode::Fast, Cpus::Unnamed);
        let objects = [(); 4].map(|()| slab.alloc(LARGE).expect("pages"));
        let guess = |slab: &ModelSlab| free(slab, ArenaPtr::new(3 * 4096).unwrap());
        let (object, freed) = race(first, &slab, |slab| slab.alloc(LARGE).expect("a page"), guess);
        assert_eq!(freed, 0, "nobody took it to be freed so");
        for object in objects.into_iter().chain([object]) {
            // SAFETY: allocated above, with that layout.
            unsafe { slab.free(object, LARGE) };
        }
        finish(slab);
    });
}

#[test]
fn a_guessed_free_of_a_page_that_changes_its_class_frees_what_is_there() {
    explore_without_arena("guessed free against reuse of the page", preemptions(2), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let large = slab.alloc_checked(LARGE).expect("a page");
        let reuse = move |slab: &ModelSlab| {
            let freed = free(slab, large);
            slab.drain();
            let small = slab.alloc_checked(SMALL).ok();
            (freed, small)
        };
        let ((freed, small), guessed) = race(first, &slab, reuse, move |slab| free(slab, large));
        let allocated = 1 + u32::from(small.is_some());
        let rest = small.map_or(0, |small| free(&slab, small));
        assert_eq!(freed + guessed + rest, allocated);
        lists_are_complete(&slab);
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}

#[test]
fn two_allocations_share_the_leaf_that_one_of_them_builds() {
    explore_without_arena("two build a leaf of live bits", preemptions(3), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let object = slab.alloc(LARGE).expect("a page");
        // SAFETY: allocated above.
        unsafe { slab.free(object, LARGE) };
        let take = |slab: &ModelSlab| slab.alloc_checked(LARGE).expect("two objects");
        let (one, two) = race(first, &slab, take, take);
        assert_eq!((free(&slab, one), free(&slab, two)), (1, 1));
        finish(slab);
    });
}

#[test]
fn of_three_frees_of_two_lives_two_are_right() {
    explore_without_arena("free and alloc against two guesses", preemptions(2), 3, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let object = slab.alloc_checked(LARGE).expect("a page");
        let again = move |slab: &ModelSlab| (free(slab, object), slab.alloc_checked(LARGE).expect("two objects"));
        let guess = move |slab: &ModelSlab| free(slab, object);
        let ((freed, again), one, two) = race_of_three(first, &slab, again, guess, guess);
        assert_eq!(freed + one + two + free(&slab, again), 2);
        lists_are_complete(&slab);
        finish(slab);
    });
}
