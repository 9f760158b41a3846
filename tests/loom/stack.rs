//! The stack of numbers on which everything else rests, alone.
//!
//! Guards: a number is on top for one who takes it, though it may have gone and come back since he looked (the tag);
//! who takes it sees all that was done before it was put there (Release, Acquire; a pop does not break the chain).
//!
//! No bound on preemptions but where it is stated.

use std::sync::Arc;

use kernel_arena::sync::AtomicU32;

use crate::explore::{UNBOUNDED, explore_without_arena, preemptions};
use crate::race::{race, race_of_three};
use crate::tagged_stack::{Links, TaggedStack};
use crate::watched::Watched;

/// A few numbers, each with a link and something that whoever has it may change.
struct Numbers {
    links: [AtomicU32; 3],
    owned: [Watched; 3],
    stack: TaggedStack<16>,
}

impl Links for Numbers {
    fn link(&self, index: u32) -> Option<&AtomicU32> {
        self.links.get(index as usize)
    }
}

impl Numbers {
    /// All but the last are on the stack, the lowest on top.
    fn new() -> Arc<Self> {
        let numbers = Self {
            links: std::array::from_fn(|_| AtomicU32::new(0)),
            owned: std::array::from_fn(|_| Watched::new(false)),
            stack: TaggedStack::new(),
        };
        numbers.push(1);
        numbers.push(0);
        Arc::new(numbers)
    }

    fn push(&self, number: u32) {
        self.owned[number as usize].set(false);
        self.stack.push(number, self);
    }

    fn pop(&self) -> Option<u32> {
        self.stack.pop(self).inspect(|number| self.own(*number))
    }

    fn own(&self, number: u32) {
        assert!(!self.owned[number as usize].get(), "two have the same number");
        self.owned[number as usize].set(true);
    }

    /// What is on it, top first.
    fn drain(&self) -> Vec<u32> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

fn sorted(numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_number_that_comes_back_between_the_look_and_the_pop_is_another_top() {
    explore_without_arena("pop against pop, pop, push", UNBOUNDED, 2, |first| {
        let numbers = Numbers::new();
        let swap = |numbers: &Numbers| {
            let (one, two) = (numbers.pop(), numbers.pop());
            one.into_iter().for_each(|number| numbers.push(number));
            two
        };
        let (kept, taken) = race(first, &numbers, swap, Numbers::pop);
        assert_eq!(sorted(kept.into_iter().chain(taken).chain(numbers.drain())), [0, 1]);
    });
}

#[test]
fn pushes_and_pops_lose_nothing() {
    explore_without_arena("push against pop against pop", preemptions(3), 3, |first| {
        let numbers = Numbers::new();
        let push = |numbers: &Numbers| numbers.push(2);
        let ((), one, two) = race_of_three(first, &numbers, push, Numbers::pop, Numbers::pop);
        assert_eq!(sorted(one.into_iter().chain(two).chain(numbers.drain())), [0, 1, 2]);
    });
}

#[test]
fn a_pop_after_a_pop_still_sees_the_push() {
    explore_without_arena("two pushes against two pops", preemptions(3), 2, |first| {
        let numbers = Numbers::new();
        let both = |numbers: &Numbers| {
            let taken = numbers.pop();
            numbers.push(2);
            taken.into_iter().for_each(|number| numbers.push(number));
        };
        let ((), taken) = race(first, &numbers, both, |numbers| [numbers.pop(), numbers.pop()]);
        assert_eq!(sorted(taken.into_iter().flatten().chain(numbers.drain())), [0, 1, 2]);
    });
}

#[test]
fn a_number_that_was_seen_is_taken_exactly_if_nothing_happened() {
    explore_without_arena("pop of what was seen against pop and push", UNBOUNDED, 2, |first| {
        let numbers = Numbers::new();
        let come_back = |numbers: &Numbers| {
            let number = numbers.pop();
            number.into_iter().for_each(|number| numbers.push(number));
            number.is_some()
        };
        let exactly = |numbers: &Numbers| {
            let (top, number) = numbers.stack.peek()?;
            let taken = numbers.stack.pop_exactly(top, number, numbers);
            taken.then(|| numbers.own(number)).map(|()| number)
        };
        let (_, taken) = race(first, &numbers, come_back, exactly);
        assert_eq!(sorted(taken.into_iter().chain(numbers.drain())), [0, 1]);
    });
}
