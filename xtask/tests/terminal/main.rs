//! The commands as a person meets them: run whole, with stubs in place of cargo, rustc and QEMU.
//!
//! What the stubs say and how they end is each test's own ([`stubs`]); what is looked at is what the terminal would show,
//! and the exit status.

#![cfg(unix)]

mod demo;
mod lint;
mod stubs;
mod tests;
mod together;
mod unpack;
