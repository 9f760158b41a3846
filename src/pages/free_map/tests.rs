//! The map beside a plain one: a `Vec<bool>`.

use proptest::prelude::*;

use super::*;

/// A map, what it holds, and bits that are to be left alone.
struct Beside {
    map: FreeMap<FlatMap>,
    taken: Vec<bool>,
    avoided: Vec<u64>,
}

impl Beside {
    fn new(bits: usize) -> Self {
        let lent: Vec<_> = (0..FlatMap::words_for(bits)).map(|_| AtomicU64::new(0)).collect();
        let map = FreeMap::new(lent.leak(), bits);
        Self { map, taken: vec![false; bits], avoided: vec![0; bits.div_ceil(64)] }
    }

    fn bits(&self) -> u32 {
        u32::try_from(self.taken.len()).unwrap()
    }

    /// What a search is to find, said without cleverness.
    fn lowest(&self, from: u32, wanted: Wanted, avoid: bool) -> Option<u32> {
        let (mut run, mut found) = (0, None);
        for bit in (from..self.bits()).rev() {
            let avoided = avoid && self.avoided[bit as usize / 64] & 1 << (bit % 64) != 0;
            run = if self.taken[bit as usize] || avoided { 0 } else { run + 1 };
            if run >= wanted.count && (bit + wanted.origin) % wanted.align == 0 {
                found = Some(bit);
            }
        }
        found
    }

    fn check(&self, from: u32, wanted: Wanted) -> Result<Option<u32>, TestCaseError> {
        let left = |word: usize| self.avoided.get(word).copied().unwrap_or(0);
        let avoid = |block: u32| Some(core::array::from_fn(|word| left((block * BLOCK_WORDS) as usize + word)));
        prop_assert_eq!(
            self.map.lowest(from, wanted, Some(&avoid)),
            self.lowest(from, wanted, true),
            "{} {:?}",
            from,
            wanted
        );
        let found = self.map.lowest(from, wanted, None);
        prop_assert_eq!(found, self.lowest(from, wanted, false), "{} {:?}", from, wanted);
        Ok(found)
    }

    fn set(&mut self, first: u32, count: u32, taken: bool) {
        self.taken[first as usize..(first + count) as usize].fill(taken);
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Takes all bits of a range that are free, by ones.
    Fill(u32, u32),
    /// Takes every so-many-th bit of a range.
    Comb(u32, u32, u32),
    /// Gives back what is taken of a range, by runs.
    Free(u32, u32),
    /// Finds and takes, from a place on.
    Alloc(u32, u32, u32, u32),
    /// Takes exactly these.
    Claim(u32, u32),
    /// Marks bits to be left alone, or marks them no more.
    Avoid(u32, u64),
}

const BITS: u32 = 5000;

fn act() -> impl Strategy<Value = Act> {
    let length = || prop_oneof![4 => 1u32..20, 2 => 1u32..130, 2 => 500u32..1100, 1 => 1u32..BITS];
    prop_oneof![
        1 => (0..BITS, length()).prop_map(|(first, count)| Act::Fill(first, count)),
        1 => (0..BITS, length(), 2u32..40).prop_map(|(first, count, step)| Act::Comb(first, count, step)),
        4 => (0..BITS, length()).prop_map(|(first, count)| Act::Free(first, count)),
        6 => (prop_oneof![Just(0), 0..BITS], length(), prop_oneof![3 => Just(0u32), 1 => 0u32..11], 0u32..700)
            .prop_map(|(from, count, align, origin)| Act::Alloc(from, count, 1 << align, origin)),
        2 => (0..BITS, length()).prop_map(|(first, count)| Act::Claim(first, count)),
        1 => (0..BITS, any::<(u64, u64)>()).prop_map(|(bit, (a, b))| Act::Avoid(bit, a & b)),
    ]
}

fn perform(beside: &mut Beside, act: Act) -> Result<(), TestCaseError> {
    let end = |first: u32, count: u32| (first + count).min(beside.bits());
    match act {
        Act::Fill(first, count) => {
            let free: Vec<u32> = (first..end(first, count)).filter(|bit| !beside.taken[*bit as usize]).collect();
            for bit in free {
                prop_assert_eq!(beside.map.claim(bit, 1), Ok(()));
                beside.set(bit, 1, true);
            }
        }
        Act::Comb(first, count, step) => {
            for bit in (first..end(first, count)).step_by(step as usize) {
                prop_assert_eq!(beside.map.claim(bit, 1).is_ok(), !beside.taken[bit as usize]);
                beside.set(bit, 1, true);
            }
        }
        Act::Free(first, count) => {
            let (mut bit, end) = (first, end(first, count));
            while bit < end {
                let run = (bit..end).take_while(|bit| beside.taken[*bit as usize]).count();
                let run = u32::try_from(run).unwrap();
                beside.map.unclaim(bit, run);
                beside.set(bit, run, false);
                bit += run + 1;
            }
        }
        Act::Alloc(from, count, align, origin) => {
            let wanted = Wanted { count, align, origin };
            // Asked twice: the second time the first has left bounds.
            beside.check(from, wanted)?;
            if let Some(first) = beside.check(from, wanted)? {
                prop_assert_eq!(beside.map.claim(first, count), Ok(()));
                beside.set(first, count, true);
            }
        }
        Act::Claim(first, count) => {
            let count = end(first, count) - first;
            let range = first as usize..(first + count) as usize;
            let free = beside.taken[range].iter().all(|taken| !taken);
            let claimed = beside.map.claim(first, count);
            prop_assert_eq!(claimed.is_ok(), free);
            if let Err(bit) = claimed {
                prop_assert!(beside.taken[bit as usize] && (first..first + count).contains(&bit));
            } else {
                beside.set(first, count, true);
            }
        }
        Act::Avoid(bit, mask) => beside.avoided[bit as usize / 64] = mask,
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn finds_the_lowest_run_whatever_was_asked_before(
        bits in prop_oneof![Just(BITS), Just(4096), Just(512), 1u32..BITS],
        acts in proptest::collection::vec(act(), 1..60),
    ) {
        let mut beside = Beside::new(bits as usize);
        for act in acts {
            let fits = match act {
                Act::Fill(first, _) | Act::Comb(first, ..) | Act::Free(first, _) | Act::Claim(first, _) => first < bits,
                Act::Alloc(from, ..) => from <= bits,
                Act::Avoid(bit, _) => bit < bits,
            };
            if fits {
                perform(&mut beside, act)?;
            }
        }
        let count = beside.taken.iter().filter(|taken| **taken).count();
        prop_assert_eq!(beside.map.count() as usize, count + bits.next_multiple_of(64) as usize - bits as usize);
        for count in [1, 2, 3, 16, 63, 64, 65, 300, 1000] {
            beside.check(0, Wanted { count, align: 1, origin: 0 })?;
        }
    }
}

/// All lengths around the edges of words and blocks, at every place around them, in a map that is full otherwise.
#[test]
fn a_run_of_any_length_is_found_at_any_place() {
    let beside = Beside::new(4 * BLOCK_BITS as usize);
    let all = 4 * BLOCK_BITS;
    beside.map.claim(0, all).unwrap();
    for length in [1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1023, 1024, 1025, 1500] {
        for place in [0, 1, 62, 63, 64, 65, 500, 511, 512, 513, 548] {
            beside.map.unclaim(place, length);
            for _ in 0..2 {
                let lowest = |count| beside.map.lowest(0, Wanted { count, align: 1, origin: 0 }, None);
                assert_eq!((lowest(length + 1), lowest(length)), (None, Some(place)), "{length} at {place}");
            }
            beside.map.claim(place, length).unwrap();
            assert_eq!(beside.map.lowest(0, Wanted { count: 1, align: 1, origin: 0 }, None), None);
        }
    }
}

/// Words that a search reads, counted by what it asks to avoid.
fn words_read(map: &FreeMap<FlatMap>, count: u32) -> (Option<u32>, u32) {
    let read = core::cell::Cell::new(0);
    let avoid = |_| {
        read.set(read.get() + BLOCK_WORDS);
        None
    };
    let found = map.lowest(0, Wanted { count, align: 1, origin: 0 }, Some(&avoid));
    (found, read.get())
}

/// What a search reads again of what another has looked at: it measures nothing before its patience ends, in pairs.
const REREAD: u32 = 2 * (4 + 1) * BLOCK_WORDS;

#[test]
fn what_was_looked_for_in_vain_is_not_looked_for_again() {
    let bits = 1 << 20;
    let beside = Beside::new(bits as usize);
    let map = &beside.map;
    // Every 32nd bit; then runs of 31 are all there is.
    for bit in (0..bits).step_by(32) {
        map.claim(bit, 1).unwrap();
    }
    let all = bits / 64;
    for count in [40, 64, 65, 4000, 1 << 20] {
        map.unclaim(0, 1);
        map.claim(0, 1).unwrap();
        let first = words_read(map, count);
        assert!(first.0.is_none() && first.1 <= all, "{first:?}");
        let (found, read) = words_read(map, count);
        assert!(found.is_none() && read <= REREAD, "{count}: {read} words");
    }
    // What is given back is found at once.
    map.unclaim(32 * 20_000, 1);
    let (found, read) = words_read(map, 63);
    assert_eq!(found, Some(32 * 19_999 + 1));
    assert!(read <= 2 * REREAD, "{read} words");
}

#[test]
fn a_full_map_is_not_read_at_all_and_one_free_bit_costs_a_block() {
    let bits = 1 << 20;
    let map = Beside::new(bits as usize).map;
    map.claim(0, bits).unwrap();
    words_read(&map, 1);
    for count in [1, 7, 1000] {
        let (found, read) = words_read(&map, count);
        assert!(found.is_none() && read <= REREAD, "{count}: {read} words");
    }
    map.unclaim(987_654, 1);
    let (found, read) = words_read(&map, 1);
    assert_eq!(found, Some(987_654));
    assert!(read <= BLOCK_WORDS, "{read} words");
}

/// A request that finds none of its runs reads each word twice at most, however bounds mislead.
#[test]
fn no_search_reads_a_word_more_than_twice() {
    let bits = 1 << 18;
    let beside = Beside::new(bits as usize);
    let map = &beside.map;
    map.claim(bits - 1, 1).unwrap();
    let mut state = 1u64;
    let mut random = |below: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 33).unwrap() % below
    };
    for turn in 0..300 {
        // Bounds that say more than is there: measured, then claimed.
        let (bit, count) = (random(bits - 1), 1 << random(18));
        let claimed = map.claim(bit, 1);
        let (_, read) = words_read(map, count + 1 + random(count));
        assert!(read <= 2 * bits / 64 + 2 * BLOCK_WORDS, "turn {turn}: {read} words");
        if claimed.is_ok() && turn % 3 == 0 {
            map.unclaim(bit, 1);
        }
    }
}

/// Pages that come and go one at a time where all others are taken.
#[test]
fn the_bit_that_comes_and_goes_in_a_full_block_leaves_its_note_alone() {
    let map = Beside::new(4 * BLOCK_BITS as usize).map;
    map.claim(0, 4 * BLOCK_BITS).unwrap();
    let are_noted = || [0, 1, 2, 3].map(|block| map.0.is_noted(block));
    for bit in [700, 700, 3, 2000, 3] {
        assert_eq!((map.guess(|| false), map.lowest_one(0, None)), (Guess::Full, None));
        assert_eq!(map.guess(|| true), Guess::Refused);
        map.unclaim(bit, 1);
        assert_eq!(
            (map.guess(|| false), map.lowest_one(0, None), are_noted()),
            (Guess::Free(bit), Some(bit), [true; 4])
        );
        assert_eq!(map.claim(bit, 1), Ok(()));
    }
}

#[test]
fn of_several_that_are_free_in_full_blocks_the_lowest_is_found() {
    let bits = [700, 701, 3, 2000, 4, 600];
    for first in 0..bits.len() {
        let map = Beside::new(4 * BLOCK_BITS as usize).map;
        map.claim(0, 4 * BLOCK_BITS).unwrap();
        let order: Vec<u32> = bits.iter().cycle().skip(first).take(bits.len()).copied().collect();
        order.iter().for_each(|bit| map.unclaim(*bit, 1));
        let mut sorted = bits;
        sorted.sort_unstable();
        for bit in sorted {
            assert_eq!((map.guess(|| false), map.lowest_one(0, None)), (Guess::Free(bit), Some(bit)), "{order:?}");
            assert_eq!(map.claim(bit, 1), Ok(()));
        }
        assert_eq!((map.guess(|| false), map.lowest_one(0, None)), (Guess::Full, None));
    }
}

#[test]
fn a_remembered_bit_is_left_alone_where_it_is_to_be_and_ends_no_search_for_a_run() {
    let map = Beside::new(4 * BLOCK_BITS as usize).map;
    map.claim(0, 4 * BLOCK_BITS).unwrap();
    [1001, 1000].into_iter().for_each(|bit| map.unclaim(bit, 1));
    // The first is remembered, the second had the note of their block taken back.
    let left =
        |block: u32| (block == 1).then(|| core::array::from_fn(|word| if word == 7 { 1 << (1001 % 64) } else { 0 }));
    assert_eq!(
        (map.lowest_one(0, Some(&left)), map.lowest_one(1001, Some(&left)), map.lowest_one(1001, None)),
        (Some(1000), None, Some(1001))
    );
    assert_eq!(map.claim(1000, 1), Ok(()));
    assert_eq!((map.lowest_one(0, Some(&left)), map.lowest_one(1002, None)), (None, None));
    // A run needs its neighbour, too.
    map.unclaim(1002, 1);
    assert_eq!(map.lowest(0, Wanted { count: 2, align: 1, origin: 0 }, None), Some(1001));
}

/// As two that meet may leave it.
#[test]
fn a_bit_that_is_hidden_is_found_in_the_end_and_from_then_on_at_once() {
    let map = Beside::new(4 * BLOCK_BITS as usize).map;
    map.claim(0, 4 * BLOCK_BITS).unwrap();
    map.unclaim(900, 1);
    map.0.recent().unwrap().put(Recent::NONE);
    assert_eq!(map.lowest_one(0, None), None);
    assert_eq!(map.lowest(0, Wanted { count: 1, align: 1, origin: 0 }, None), Some(900));
    assert_eq!(map.lowest_one(0, None), Some(900));
}
