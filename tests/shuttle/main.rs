//! Long random runs: three CPUs do whole operations, and are interleaved at random between any two atomic steps.
//!
//! Loom tries every interleaving of two or three operations; here are dozens, in thousands of random ones. The arena is the
//! shipped one, on the machine that the models have, which watches over TLBs, walks and frames. What is not seen here is weak
//! memory: shuttle takes every access for sequentially consistent. So an order that is missing is loom's to find, and a step
//! that is in the wrong place is found here as soon as it takes more operations than loom can try.
//!
//! Run with `cargo test --release -p kernel-arena-shuttle`; a failure prints its seed, with which `SHUTTLE_RANDOM_SEED=…` runs
//! it again.

#[path = "../loom/frames.rs"]
mod frames;
#[path = "../loom/machine.rs"]
#[expect(dead_code, reason = "loom's models ask more of it")]
mod machine;
mod pages;
#[path = "../loom/platform.rs"]
mod platform;
mod run;
mod views;
mod watched;
#[path = "../loom/world.rs"]
mod world;

/// The sources as this package compiles them, by their usual name.
extern crate kernel_arena_shuttle as kernel_arena;
