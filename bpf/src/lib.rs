//! Runs eBPF programs over the window of a [`kernel_arena::Arena`].
//!
//! Every load, store and atomic of a program goes to the window, whatever its register holds: of an address the low 32 bits
//! count, and the instruction's offset of 16 bits. Where there is no page, a load gives 0, a store is dropped, and the hole is
//! recorded.
//!
//! | | |
//! |---|---|
//! | [`Program`] | instructions that have passed the [check](CheckError), and where they may be entered |
//! | [`Hosts`] | the kernel's functions that a program may [call](Call) |
//! | [`Runner`] | a program with its [`Stack`], [`Budget`] and policy [on holes](OnHole) |
//! | [`Ended`] | the program's value, or the [`Reason`] why there is none |
//! | [`object`] | objects as compilers write them: loaded, and asked for functions, variables and lines |
//! | [`Report`] | what happened, for a person |
//! | [`Window`] | the memory: an arena's [`Memory`](kernel_arena::access::Memory), or a model |
//!
//! # What is not checked, and why that does no harm
//!
//! A verifier follows each path of a program and proves of each register what it holds. Here nothing is proved of any
//! register, and the following holds of every program that passes the check, whatever it computes.
//!
//! *It cannot touch memory outside of window and guards.* An address is worked out in one place: `low32(register) + offset16`, with
//! sign, in 64 bits. It lies between -32768 and 4 GiB + 32766, so in the window or next to it. Next to it is a hole, and no access
//! is made; one that starts in the window's last bytes ends in the upper guard. So no bounds are tracked, no types of pointers, and
//! no tests of null asked for: page 0 is never a page, so null is a hole.
//!
//! *It cannot crash the kernel by a missing page.* Accesses are those of `kernel_arena::access` that stop at a hole. A page that is freed
//! while the program uses it makes a fault, which the arena's handler ends as a hole. So no lifetimes are tracked.
//!
//! *It cannot read what is not shared.* In the window there is what was put there, and fresh pages are zero. (A page is a page here, whoever
//! [owns](kernel_arena::Owner) it: a kernel that hosts bytecode keeps no secrets in the arena.) Registers start as 0, but for the
//! arguments and the frame pointer; after a call of the kernel's they hold what they held before. So uninitialised registers need no
//! check. A stack slot holds what was there last.
//!
//! *It cannot change where it returns to.* Return addresses, `r6` to `r9` of callers and the frame pointer are kept in the runner,
//! and nothing in the window is read as one. A stack that runs over damages the program's own frames. So stack depth needs no check at load;
//! a call beyond the last frame ends the run.
//!
//! *It cannot run something else.* Jumps and local calls are relative and constant, and each target was looked at. Calls through registers do
//! not exist. Instructions are borrowed from the kernel, not in the window: a program cannot write them.
//!
//! *It cannot run for ever.* Without a backward jump or a call an instruction is run at most once; at those the budget is charged. So
//! loops need no bounds.
//!
//! *It cannot trap.* Division by 0 and of the smallest number by -1 have values, counts of shifts are masked, atomics that are not aligned
//! end the run before they are made. Nothing that a program does makes the runner panic.
//!
//! *Host functions* get five numbers of which all this says nothing: what they do with these is between them and the arena, where typed
//! access has the same answer for a wild pointer.
//!
//! What is left to the check is what the runner would otherwise have to ask at each step: see [`Refused`].
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

mod budget;
mod check;
mod ended;
mod hosts;
mod insn;
pub mod object;
mod opcode;
mod program;
mod report;
mod run;
mod window;

pub use budget::Budget;
pub use check::{CheckError, Field, Refused};
pub use ended::{Cause, Ended, Reason};
pub use hosts::{Call, Host, HostFn, Hosts, HostsError};
pub use insn::Insn;
pub use program::{Entry, Program};
pub use report::{Found, Report};
pub use run::{MAX_FRAMES, OnHole, Runner, Stack, StackError};
pub use window::{Change, Window};
