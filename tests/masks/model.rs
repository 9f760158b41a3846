//! Every operation against sets (T169), and against the words that are none of a mask's ids.

use std::collections::BTreeSet;

use kernel_arena::masks::{MaskSpan, SharedMask, words};
use proptest::prelude::*;

use super::{START, at, cpu, header, ids, list, machine};
use crate::machine::Format;

const IDS: u32 = 300;
/// Words that are looked at behind each header.
const ROOM: u32 = 8;
const SECOND: u32 = START + 0x1000 - 32;

type Set = BTreeSet<u32>;

/// A mask with random words, ids or not.
#[derive(Clone, Debug)]
struct Given {
    base: u32,
    nr: u32,
    words: [u64; ROOM as usize],
}

fn given() -> impl Strategy<Value = Given> {
    let edge = prop_oneof![Just(0), Just(1), Just(63), Just(64), Just(65), Just(128), 0..IDS];
    let bits = prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), (0..64u32).prop_map(|bit| 1 << bit)];
    (edge, any::<u32>(), prop::array::uniform8(bits)).prop_map(|(base, nr, words)| {
        let most = IDS - base;
        // All, none, some.
        let nr = match nr % 8 {
            0 => 0,
            1 | 2 => most,
            _ => nr % (most + 1),
        };
        Given { base, nr, words }
    })
}

impl Given {
    fn has(&self, id: u32) -> bool {
        (self.base..self.base + self.nr).contains(&id)
    }

    /// The ids that are set.
    fn set(&self) -> Set {
        let is_set = |id: &u32| self.words[(id / 64 - self.base / 64) as usize] >> (id % 64) & 1 == 1;
        (self.base..self.base + self.nr).filter(is_set).collect()
    }

    /// The words, were these the ids that are set.
    fn with(&self, set: &Set) -> [u64; ROOM as usize] {
        let mut words = self.words;
        for id in self.base..self.base + self.nr {
            let (word, bit) = (&mut words[(id / 64 - self.base / 64) as usize], 1 << (id % 64));
            *word = if set.contains(&id) { *word | bit } else { *word & !bit };
        }
        words
    }
}

/// Each change, on masks that lie across a page and beside each other.
fn changes<F: Format>(ours: &Given, theirs: &Given, id: u32) {
    let m = machine::<F>();
    let memory = m.memory(0);
    let reset = || {
        for (offset, given) in [(START, ours), (SECOND, theirs)] {
            let needed = u32::try_from(words(given.nr)).unwrap();
            header(&memory, offset, [given.base, given.nr, needed]);
            memory.try_copy_out(at(offset + 16), &given.words).unwrap();
        }
    };
    let now = |offset| {
        let mut words = [0u64; ROOM as usize];
        memory.try_copy_in(at(offset + 16), &mut words).unwrap();
        words
    };
    reset();
    let all = ids(IDS);
    let mask = SharedMask::snapshot(&memory, START.into(), all).unwrap();
    let other = SharedMask::snapshot(&memory, SECOND.into(), all).unwrap();
    assert_eq!(mask.span(), MaskSpan::new(ours.base, ours.nr, all).unwrap());
    let (set, others) = (ours.set(), theirs.set());

    // What is asked.
    assert_eq!(list(&mask), set.iter().copied().collect::<Vec<_>>());
    assert_eq!(mask.weight(), Ok(u32::try_from(set.len()).unwrap()));
    assert_eq!(mask.is_empty(), Ok(set.is_empty()));
    assert_eq!(mask.test(cpu(id)), Ok(set.contains(&id)));
    assert_eq!(mask.next_set(cpu(id)), Ok(set.range(id..).next().map(|id| cpu(*id))));
    assert_eq!(mask.is_subset(&other), Ok(set.is_subset(&others)));
    assert_eq!(mask.intersects(&other), Ok(!set.is_disjoint(&others)));
    assert_eq!((now(START), now(SECOND)), (ours.words, theirs.words), "asking changes nothing");

    // What is changed: only ids that both have.
    let combined = |to: fn(bool, bool) -> bool| -> Set {
        let both = |id: &u32| ours.has(*id) && theirs.has(*id);
        let ids = ours.base..ours.base + ours.nr;
        ids.filter(|id| if both(id) { to(set.contains(id), others.contains(id)) } else { set.contains(id) }).collect()
    };
    mask.or(&other).unwrap();
    assert_eq!(now(START), ours.with(&combined(|ours, theirs| ours | theirs)), "or");
    reset();
    mask.and(&other).unwrap();
    assert_eq!(now(START), ours.with(&combined(|ours, theirs| ours & theirs)), "and");
    reset();
    mask.and_not(&other).unwrap();
    assert_eq!(now(START), ours.with(&combined(|ours, theirs| ours & !theirs)), "and not");
    reset();
    mask.copy(&other).unwrap();
    assert_eq!(now(START), ours.with(&combined(|_, theirs| theirs)), "copy");
    reset();
    let with = |id: u32| set.iter().copied().chain(ours.has(id).then_some(id)).collect::<Set>();
    assert_eq!(mask.set(cpu(id)), Ok(set.contains(&id)));
    assert_eq!(now(START), ours.with(&with(id)), "set");
    reset();
    assert_eq!(mask.clear(cpu(id)), Ok(set.contains(&id)));
    assert_eq!(now(START), ours.with(&set.iter().copied().filter(|other| *other != id).collect()), "clear");
    assert_eq!(now(SECOND), theirs.words, "the operand is as it was");
    m.finish();
}

fn operations_do_what_sets_do<F: Format>() {
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let id = prop_oneof![0..IDS, Just(0), Just(63), Just(64), Just(IDS), Just(8191), Just(65535)];
    proptest!(config, |(ours in given(), theirs in given(), id in id)| changes::<F>(&ours, &theirs, id));
}
each_format!(operations_do_what_sets_do);

/// A mask and itself: as a set and itself.
fn a_mask_goes_with_itself<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    header(&memory, START, [3, 140, 4]);
    memory.try_copy_out(at(START + 16), &[0x8421u64, u64::MAX, 0b1011]).unwrap();
    let mask = SharedMask::snapshot(&memory, START.into(), ids(IDS)).unwrap();
    let before = list(&mask);
    assert_eq!((mask.is_subset(&mask), mask.intersects(&mask)), (Ok(true), Ok(true)));
    for change in [SharedMask::or, SharedMask::and, SharedMask::copy] {
        change(&mask, &mask).unwrap();
        assert_eq!(list(&mask), before);
    }
    mask.and_not(&mask).unwrap();
    assert_eq!((list(&mask), mask.is_empty()), (vec![], Ok(true)));
    assert_eq!((mask.is_subset(&mask), mask.intersects(&mask)), (Ok(true), Ok(false)));
    m.finish();
}
each_format!(a_mask_goes_with_itself);
