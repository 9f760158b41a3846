//! The word of a heap's early region, alone.
//!
//! Guards: of two who take, each has bytes of its own; who takes bytes sees all that was done with them before they were
//! given back (Release, Acquire), by whoever had them, though others gave back and took in between (the chain of exchanges);
//! the last block is given back though others came and went; when none is out, all bytes are free again.

use std::sync::Arc;

use crate::bump::{Bump, Span};
use crate::explore::{explore_without_arena, preemptions};
use crate::race::{race, race_of_three};
use crate::watched::Watched;

/// A region of a few bytes, each with something that whoever has it may change.
struct Region {
    bump: Bump,
    owned: [Watched; 4],
}

impl Region {
    fn new() -> Arc<Self> {
        Arc::new(Self { bump: Bump::new(), owned: std::array::from_fn(|_| Watched::new(false)) })
    }

    fn take(&self, bytes: u32) -> Option<Span> {
        let place = |used: u32| (used + bytes <= 4).then(|| Span { start: used, end: used + bytes });
        self.bump.take(place).inspect(|block| self.own(block.start, block.end))
    }

    fn own(&self, start: u32, end: u32) {
        for byte in &self.owned[start as usize..end as usize] {
            assert!(!byte.get(), "two have the same byte");
            byte.set(true);
        }
    }

    fn disown(&self, start: u32, end: u32) {
        self.owned[start as usize..end as usize].iter().for_each(|byte| byte.set(false));
    }

    fn give_back(&self, block: Span) {
        self.disown(block.start, block.end);
        self.bump.give_back(block);
    }

    /// A block that grows by a byte if it is the last.
    fn grow(&self, block: Span) -> Span {
        let more = Span { end: block.end + 1, ..block };
        if block.end < 4 && self.bump.resize(block, more.end) {
            self.own(block.end, more.end);
            return more;
        }
        block
    }

    /// A block that becomes a byte smaller, if it is the last: then its byte is anybody's at once.
    fn shrink(&self, block: Span) -> Span {
        let less = Span { end: block.end - 1, ..block };
        self.disown(less.end, block.end);
        if self.bump.resize(block, less.end) {
            return less;
        }
        self.own(less.end, block.end);
        block
    }

    fn is_empty(&self) -> bool {
        let now = self.bump.now();
        now.bytes == 0 && now.blocks == 0
    }
}

#[test]
fn blocks_that_come_and_go_have_bytes_of_their_own() {
    explore_without_arena("take and give back against the same", preemptions(4), 2, |first| {
        let region = Region::new();
        let visit = |region: &Region| {
            for bytes in [2, 1] {
                // No room is left where the other's block keeps what this one gave back.
                region.take(bytes).into_iter().for_each(|block| region.give_back(block));
            }
        };
        race(first, &region, visit, visit);
        assert!(region.is_empty());
    });
}

#[test]
fn blocks_that_are_kept_are_not_given_to_another() {
    explore_without_arena("two blocks against one that grows", preemptions(3), 2, |first| {
        let region = Region::new();
        let two = |region: &Region| {
            let (one, two) = (region.take(1), region.take(1));
            one.into_iter().for_each(|block| region.give_back(block));
            two
        };
        let grows = |region: &Region| region.take(1).map(|block| region.shrink(region.grow(block)));
        let (two, one) = race(first, &region, two, grows);
        two.into_iter().chain(one).for_each(|block| region.give_back(block));
        assert!(region.is_empty());
    });
}

#[test]
fn who_takes_after_two_that_gave_back_sees_what_both_did() {
    explore_without_arena("give back against give back against take", preemptions(2), 3, |first| {
        let region = Region::new();
        let (one, two) = (region.take(1).expect("room"), region.take(1).expect("room"));
        let give_one = move |region: &Region| region.give_back(one);
        let give_two = move |region: &Region| region.give_back(two);
        let ((), (), block) = race_of_three(first, &region, give_one, give_two, |region| region.take(4));
        block.into_iter().for_each(|block| region.give_back(block));
        assert!(region.is_empty());
    });
}
