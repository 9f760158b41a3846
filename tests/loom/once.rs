//! A value that is written once: by whoever has the right, while others come for it, or for the right.
//!
//! Guards: who gets the value sees all that was done to it before it was written; one has the right at a time, and who has it
//! after another gave it up, or took the value out, sees what that one left. The value is a *watched* flag, true from its
//! making on, and beside it is one that whoever has the right may change.
//!
//! No bound on preemptions.

use std::sync::Arc;

use crate::explore::{UNBOUNDED, explore_without_arena};
use crate::race::{race, race_of_three};
use crate::watched::Watched;
use crate::written_once::Once;

struct Place {
    once: Once<Arc<Watched>>,
    /// What belongs to whoever has the right: true while somebody works on it.
    built: Watched,
}

impl Place {
    fn empty() -> Arc<Self> {
        Arc::new(Self { once: Once::new(), built: Watched::new(false) })
    }

    /// Works on what belongs to the right.
    fn build(&self) {
        assert!(!self.built.get(), "two have the right");
        self.built.set(true);
        self.built.set(false);
    }

    /// Gets the right, and then writes.
    fn write(&self) -> bool {
        let begun = self.once.begin();
        if begun {
            self.build();
            self.once.set(made());
        }
        begun
    }

    /// Gets the right, and gives it up.
    fn write_in_vain(&self) -> bool {
        let begun = self.once.begin();
        if begun {
            self.build();
            self.once.give_up();
        }
        begun
    }

    /// Whether the value is there; then it is whole.
    fn is_there(&self) -> bool {
        let value = self.once.get();
        value.is_none_or(|value| value.get()) && value.is_some()
    }
}

/// A value that was worked on before it is written.
fn made() -> Arc<Watched> {
    let value = Arc::new(Watched::new(false));
    value.set(true);
    value
}

#[test]
fn who_gets_the_value_finds_it_whole() {
    explore_without_arena("write against two who get", UNBOUNDED, 3, |first| {
        let place = Place::empty();
        let get = |place: &Place| {
            if place.once.get().is_some() {
                assert!(place.is_there(), "it was there, and is not whole");
            }
        };
        let (written, (), ()) = race_of_three(first, &place, Place::write, get, get);
        assert!(written && place.is_there());
    });
}

#[test]
fn of_two_who_write_one_does_and_the_other_has_its_value_back() {
    explore_without_arena("put against put", UNBOUNDED, 2, |first| {
        let place = Place::empty();
        // Of a put that is refused the value is still its owner's.
        let put = |place: &Place| match place.once.put(made()) {
            Ok(value) => value.get(),
            Err(value) => {
                value.set(false);
                false
            }
        };
        let (ours, theirs) = race(first, &place, put, put);
        assert!(ours != theirs && place.is_there());
    });
}

#[test]
fn what_who_gave_up_left_is_seen_by_the_next() {
    explore_without_arena("writing in vain against writing and getting", UNBOUNDED, 3, |first| {
        let place = Place::empty();
        let get = |place: &Place| place.is_there();
        let (tried, written, _) = race_of_three(first, &place, Place::write_in_vain, Place::write, get);
        assert!(tried || written);
        assert_eq!(place.is_there(), written);
        assert!(written || place.write(), "the right was lost");
    });
}

#[test]
fn a_value_that_was_taken_out_is_followed_by_another() {
    explore_without_arena("take against write", UNBOUNDED, 2, |first| {
        let place = Place::empty();
        assert!(place.write());
        let take = |place: &Place| {
            // SAFETY: the only reference to it is this one; the other side writes.
            let value = unsafe { place.once.take() }.expect("it is there");
            assert!(value.get());
            value.set(false);
        };
        let ((), written) = race(first, &place, take, Place::write);
        assert_eq!(place.is_there(), written);
        assert!(written || place.write(), "the right was lost");
    });
}
