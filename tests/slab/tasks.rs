//! What random lives are made of.

use std::alloc::Layout;

use kernel_arena::slab::LARGEST;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::bench::layout;

/// A step of a life, and what interrupts it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) place: Place,
    pub(crate) turn: Turn,
    pub(crate) interrupt: Option<(u64, Vec<Turn>)>,
}

/// Where something runs: CPU and level, or a CPU without a name.
pub(crate) type Place = Option<(u16, u8)>;

/// CPUs of a life.
pub(crate) const CPUS: u16 = 3;

#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// So many objects of a layout.
    Alloc(Layout, How, usize),
    /// The object of that rank, modulo how many there are, and so many after it.
    Free(usize, usize),
    Drain,
    Reclaim,
    /// No more so many pages may be had, or as many as there are.
    Scarce(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Plain,
    Zeroed,
    Checked,
}

pub(crate) fn config(cases: u32, seed: u64) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    }
}

/// Sizes of all magnitudes, and the edges of classes.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => (0..16_u32, any::<u16>()).prop_map(|(shift, low)| (1 + (usize::from(low) & ((1 << shift) - 1))).min(LARGEST)),
        1 => prop::sample::select(vec![8, 9, 64, 65, 4096, 4097, LARGEST - 1, LARGEST]),
    ]
}

fn request() -> impl Strategy<Value = Layout> {
    (size(), prop_oneof![3 => Just(3), 1 => 0..13]).prop_map(|(size, shift)| layout(size, 1 << shift))
}

fn turn() -> impl Strategy<Value = Turn> {
    let how = prop::sample::select(vec![How::Plain, How::Plain, How::Zeroed, How::Checked]);
    prop_oneof![
        8 => (request(), how, prop_oneof![2 => Just(1), 1 => 1..150_usize]).prop_map(|(layout, how, count)| Turn::Alloc(layout, how, count)),
        7 => (any::<usize>(), prop_oneof![1 => 1..5_usize, 1 => 1..200_usize]).prop_map(|(which, count)| Turn::Free(which, count)),
        1 => Just(Turn::Drain),
        1 => Just(Turn::Reclaim),
        1 => any::<bool>().prop_map(Turn::Scarce),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![5 => (0..CPUS, 0..2_u8).prop_map(Some), 1 => Just(None)]
}

pub(crate) fn life(steps: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let interrupt = prop::option::weighted(0.3, (0..12_u64, vec(turn(), 1..3)));
    let step = (place(), turn(), interrupt).prop_map(|(place, turn, interrupt)| Step { place, turn, interrupt });
    vec(step, steps)
}
