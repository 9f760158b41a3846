//! All tests that run the whole arena in a process, on the software machine of [`machine`].
//!
//! One crate, so that the machine is compiled once and nothing of it is unused.

#![cfg(not(kernel_arena_loom))]

#[macro_use]
mod machine;
#[cfg(feature = "zerocopy")]
mod access;
#[cfg(feature = "zerocopy")]
#[path = "machine/accessor.rs"]
mod accessor;
mod edges;
mod fuzzed;
mod groups;
mod heap;
mod kit;
#[cfg(feature = "zerocopy")]
mod masks;
mod pool;
mod reports;
mod slab;
mod upstream;
mod views;

mod properties;
