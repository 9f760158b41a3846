//! Runs eBPF programs over the window of a [`kernel_arena::Arena`].
//!
//! Every load, store and atomic of a program goes to the window, whatever its register holds: of an address the low 32 bits
//! count, and the instruction's offset of 16 bits. Nothing that a program computes can name memory that is not the window's or
//! its guards', so no verifier is needed for it to be harmless; where there is no page, a load gives 0, a store is dropped, and
//! the hole is recorded.

#![cfg_attr(not(test), no_std)]

mod insn;
mod window;

pub use insn::Insn;
pub use window::{Direction, Miss, Window};
