//! Properties of the whole arena: random scenarios on the software machine, against a map that the test keeps itself.
//!
//! A scenario is a list of operations (alloc, free, deferred free, reserve, reclaim, accesses, drains, creation of a second
//! arena, program views) by three CPUs in three address spaces on two arenas, with frame sources that fail, each interrupted
//! at calls of the platform by other such operations: on the interrupted CPU those that are allowed in any context, on
//! another CPU all. After each step, and before and after each interruption, the map must explain what is seen.
//!
//! The same cases run every time. `PROPTEST_CASES` runs more of them; a failure is shrunk and printed.
//!
//! - [`tasks`]: what a scenario is made of, and the strategies.
//! - [`model`]: the map.
//! - [`run`]: which operation may change what, and how.
//! - [`judge`], [`ranges`]: what an operation may say.
//! - [`contents`], [`record`]: what memory and the record of violations hold.
//! - [`world`], [`act`], [`look`], [`rest`]: the run of a scenario.
//! - [`decoded`]: scenarios from any bytes, for the fuzz targets.

mod act;
mod contents;
mod decoded;
mod judge;
mod look;
mod model;
mod ranges;
mod record;
mod rest;
mod run;
mod tasks;
mod world;

use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::portable::Portable;
use kernel_arena::arch::x86_64::X86_64;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::machine::Format;

pub(crate) use decoded::operations;

/// Scenarios a format, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 80;
/// Of the portable format, whose code is the others' but for its words.
const PORTABLE_CASES: u32 = 30;

fn config(cases: u32, seed: u64) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(cases);
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(seed), ..Config::default() }
}

fn scenarios_go_as_the_map_says<F: Format>(cases: u32, seed: u64) {
    let mut runner = TestRunner::new(config(cases, seed));
    let outcome = runner.run(&tasks::scenario(1..40), |scenario| {
        rest::play::<F>(&scenario);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}\n{runner}");
    }
}

#[test]
fn scenarios_go_as_the_map_says_on_x86_64() {
    scenarios_go_as_the_map_says::<X86_64>(CASES, 0x8664);
}

#[test]
fn scenarios_go_as_the_map_says_on_aarch64() {
    scenarios_go_as_the_map_says::<AArch64>(CASES, 0xa64);
}

#[test]
fn scenarios_go_as_the_map_says_on_portable() {
    scenarios_go_as_the_map_says::<Portable>(PORTABLE_CASES, 1);
}

/// One long scenario for each seed: what only adds up shows here.
fn a_long_life_goes_as_the_map_says<F: Format>() {
    for seed in [1, 2] {
        let mut runner = TestRunner::new(config(1, seed));
        let scenario = tasks::scenario(400..401).new_tree(&mut runner).expect("a scenario").current();
        rest::play::<F>(&scenario);
    }
}

#[test]
fn a_long_life_goes_as_the_map_says_on_x86_64() {
    a_long_life_goes_as_the_map_says::<X86_64>();
}

#[test]
fn a_long_life_goes_as_the_map_says_on_aarch64() {
    a_long_life_goes_as_the_map_says::<AArch64>();
}
