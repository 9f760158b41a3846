//! The hostile program: what it does next, and where, is a generator's to say.
//!
//! A store that is refused ends it; then the kernel has another one go on with the next seed.

use crate::machine::{call, jump, store};
use guests::abi::{ALLOC, FREE, RESERVE, TELL};

/// A generator (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Pages of its arena, roughly.
const PAGES: u64 = 160;

/// So many things, from this seed on, in the view at `base`.
pub(crate) fn go(seed: u64, base: u64, count: u64) -> u64 {
    let mut random = Random(seed);
    let mut last = base;
    for _ in 0..count {
        let (at, pages) = (address(&mut random, base, last), number(&mut random));
        match random.below(64) {
            // These end it: the processor refuses the one always, the other mostly.
            0 => jump(base + random.below(PAGES) * 4096),
            1 => store(at & !7, random.next()),
            thing => match thing % 8 {
                0 | 1 => last = call(ALLOC, [if random.below(2) == 0 { 0 } else { at }, pages, 0, 0]),
                2 | 3 => _ = call(FREE, [at, pages, 0, 0]),
                4 => _ = call(RESERVE, [at, pages, 0, 0]),
                5 => _ = call(random.below(12) + 5, [at, pages, random.next(), 0]),
                6 => scribble(&mut random, last),
                // A page of its view, there or not.
                _ => store(base + random.below(PAGES) * 4096 + random.below(512) * 8, random.next()),
            },
        }
    }
    call(TELL, [random.next(), 0, 0, 0])
}

/// An address that may mean anything.
fn address(random: &mut Random, base: u64, last: u64) -> u64 {
    let page = random.below(PAGES) << 12;
    match random.below(8) {
        0 => random.next(),
        1 => base | random.below(1 << 32),
        2 => last,
        3 => random.next() << 32 | page,
        4 => page + random.below(4096),
        _ => base + page,
    }
}

/// A number of pages that may mean anything.
fn number(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => random.next(),
        1 => 0,
        2 => 1 << 20,
        _ => random.below(4) + 1,
    }
}

/// Writes over a page that it has, if it has one.
fn scribble(random: &mut Random, page: u64) {
    if page >> 63 == 0 && page != 0 && page.is_multiple_of(4096) {
        for word in 0..512 {
            store(page + word * 8, random.next());
        }
    }
}
