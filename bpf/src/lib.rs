//! Runs eBPF programs over the window of a [`kernel_arena::Arena`].
//!
//! Every load, store and atomic of a program goes to the window, whatever its register holds: of an address the low 32 bits
//! count, and the instruction's offset of 16 bits. Nothing that a program computes can name memory that is not the window's or
//! its guards', so no verifier is needed for it to be harmless; where there is no page, a load gives 0, a store is dropped, and
//! the hole is recorded.

#![cfg_attr(not(test), no_std)]

mod budget;
mod check;
mod ended;
mod hosts;
mod insn;
pub mod object;
mod opcode;
mod program;
mod run;
mod window;

pub use budget::Budget;
pub use check::{CheckError, Field, Refused};
pub use ended::{Cause, Ended, Reason};
pub use hosts::{Call, Host, HostFn, Hosts, HostsError};
pub use insn::Insn;
pub use program::{Entry, Program};
pub use run::{MAX_FRAMES, OnHole, Runner, Stack, StackError};
pub use window::{Change, Direction, Miss, Window};
