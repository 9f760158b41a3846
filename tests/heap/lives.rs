//! Random lives of a heap: all sizes and alignments, reallocation, zeroed blocks, CPUs, drains.

use std::alloc::Layout;
use std::collections::BTreeMap;

use kernel_arena::slab::{Mode, SizeClass};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::blocks::{Bench, Block};
use crate::slab::cpus::{nameless, on};
use crate::slab::lab::{Fail, Lab};
use crate::slab::tasks::config;

#[derive(Clone, Debug)]
pub(super) enum Turn {
    Alloc { size: usize, align: usize, zeroed: bool },
    Realloc { which: usize, size: usize },
    Free { which: usize },
    Drain,
    Scarce(bool),
}

fn size() -> impl Strategy<Value = usize> {
    (0..18_u32, any::<u32>()).prop_map(|(shift, low)| 1 + (low as usize & ((1 << shift) - 1)))
}

fn turn() -> impl Strategy<Value = Turn> {
    let align = prop_oneof![4 => Just(8), 1 => (0..17_u32).prop_map(|shift| 1 << shift)];
    prop_oneof![
        4 => (size(), align, any::<bool>()).prop_map(|(size, align, zeroed)| Turn::Alloc { size, align, zeroed }),
        3 => (any::<usize>(), size()).prop_map(|(which, size)| Turn::Realloc { which, size }),
        3 => any::<usize>().prop_map(|which| Turn::Free { which }),
        1 => Just(Turn::Drain),
        1 => any::<bool>().prop_map(Turn::Scarce),
    ]
}

/// Blocks by address.
type Shadow = BTreeMap<usize, Block>;

fn insert(shadow: &mut Shadow, block: Block) {
    let start = block.start.addr();
    let below = shadow.range(..start + block.layout.size()).next_back();
    assert!(below.is_none_or(|(at, below)| at + below.layout.size() <= start), "{block:?} overlaps {below:?}");
    shadow.insert(start, block);
}

fn take(shadow: &mut Shadow, which: usize) -> Option<Block> {
    let at = *shadow.keys().nth(which % shadow.len().max(1))?;
    shadow.remove(&at)
}

pub(super) fn play<const ZEROED: bool>(turns: &[(Option<u16>, Turn)]) {
    let bench = Bench::<ZEROED>::on(&Lab::new(192), Mode::Fast);
    let mut shadow = Shadow::new();
    for (cpu, turn) in turns {
        let mut act = || act(&bench, &mut shadow, turn);
        match cpu {
            Some(cpu) => on(*cpu, 0, act),
            None => nameless(&mut act),
        }
        let stats = bench.heap.stats().unwrap();
        let counted = |layout: Layout| match SizeClass::of(layout) {
            Some(class) => class.size(),
            None => layout.size().next_multiple_of(4096),
        };
        assert_eq!(stats.live_bytes, shadow.values().map(|block| counted(block.layout) as u64).sum::<u64>());
        assert_eq!(stats.held_bytes, (bench.lab.pages_out() as u64) << 12);
    }
    shadow.values().for_each(|block| bench.check(block));
    bench.lab.book().pages_fail = Fail::Never;
    shadow.into_values().for_each(|block| bench.free(block));
    on(1, 0, || bench.heap.drain());
    bench.end();
    bench.take_down();
}

fn act<const ZEROED: bool>(bench: &Bench<ZEROED>, shadow: &mut Shadow, turn: &Turn) {
    match *turn {
        Turn::Alloc { size, align, zeroed } => {
            let layout = Layout::from_size_align(size, align).unwrap();
            let block = if zeroed { bench.alloc_zeroed(layout) } else { bench.alloc(layout) };
            if let Some(block) = block {
                insert(shadow, block);
            }
        }
        Turn::Realloc { which, size } => {
            if let Some(block) = take(shadow, which) {
                let after = bench.realloc(block, size).unwrap_or(block);
                insert(shadow, after);
            }
        }
        Turn::Free { which } => take(shadow, which).into_iter().for_each(|block| bench.free(block)),
        Turn::Drain => _ = bench.heap.drain(),
        Turn::Scarce(scarce) => bench.lab.book().pages_fail = if scarce { Fail::From(1) } else { Fail::Never },
    }
}

fn run<const ZEROED: bool>(seed: u64) {
    let cpu = prop_oneof![3 => (0..2_u16).prop_map(Some), 1 => Just(None)];
    let mut runner = TestRunner::new(config(40, seed));
    let outcome = runner.run(&vec((cpu, turn()), 1..120), |turns| {
        play::<ZEROED>(&turns);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}\n{runner}");
    }
}

#[test]
fn random_lives_go_as_the_map_says() {
    run::<false>(0x8eab);
}

#[test]
fn random_lives_on_pages_that_come_zeroed_go_as_the_map_says() {
    run::<true>(0x2e20);
}
