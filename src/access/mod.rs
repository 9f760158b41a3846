//! Typed access to what a kernel shares with programs: loads, stores, copies and atomics by 32-bit pointer.
//!
//! Programs write to a shared window at any moment, and what they say may lead anywhere in it. So nothing here forms a
//! reference into the window (I10): a value is loaded *out of* it, once, and looked at where nobody else can change it. Its
//! type says by the traits of [`zerocopy`] that any bytes are a value ([`FromBytes`]), or that a value has no bytes that are
//! nobody's ([`IntoBytes`]); pointers of Rust's have neither. Every access is instructions of the processor on memory that the
//! compiler knows nothing of, so what a program does at the same time is no data race of the language's.
//!
//! Each access comes in two flavours. The *plain* one runs over a missing page: it sees what the scratch page holds there, and a
//! [violation](crate::Violation) is recorded, as of any wild access. The one that is called `try_` says [`Hole`] instead, and
//! leaves neither. Where the page is there, both are the access itself.
//!
//! | | |
//! |---|---|
//! | [`Memory`] | the accesses, from [`Arena::memory`](crate::Arena::memory) |
//! | [`ArenaSlice`] | a pointer, and how many |
//! | [`Atomic`] | a word of 32 or 64 bits that both sides change |
//! | [`PtrField`], [`AddrField`] | pointers within structures that both sides know |
//! | [`Accessor`] | who makes the accesses: the [`Processor`], or a model of one |
//!
//! # Examples
//! A kernel that derives the traits for types of its own depends on `zerocopy` 0.8, with its feature `derive`, too.
//!
//! A list that a program has built, with as many nodes as it says. It may lie, and it may change what was read already; it
//! does not come out of what was read once.
//! ```no_run
//! use kernel_arena::access::{Hole, PtrField};
//! use kernel_arena::{Arena, ArenaPtr, Platform};
//! use zerocopy::{FromBytes, Immutable, IntoBytes};
//!
//! #[derive(FromBytes, IntoBytes, Immutable)]
//! #[repr(C)]
//! struct Node {
//!     next: PtrField<Node>,
//!     weight: u32,
//! }
//!
//! /// The sum of a list's weights, of 1000 nodes at most.
//! fn sum<P: Platform>(arena: &Arena<P>, first: Option<ArenaPtr<Node>>) -> Result<u64, Hole> {
//!     let memory = arena.memory().expect("programs may see it");
//!     let (mut at, mut sum) = (first, 0);
//!     for _ in 0..1000 {
//!         let Some(node) = at else { break };
//!         let node = memory.try_load(node)?; // a copy: nobody changes it any more
//!         sum += u64::from(node.weight);
//!         at = node.next.get();
//!     }
//!     Ok(sum)
//! }
//! ```
//!
//! # What does not compile
//! Nothing gives a reference into a window:
//! ```compile_fail,E0308
//! # use kernel_arena::{ArenaPtr, Platform, access::Memory};
//! fn borrow<'a, P: Platform>(memory: &Memory<'a, P>, ptr: ArenaPtr<u64>) -> &'a u64 {
//!     memory.load(ptr)
//! }
//! ```
//! A value with padding, whose bytes there would show what was on the kernel's stack:
//! ```compile_fail
//! # use kernel_arena::{ArenaPtr, Platform, access::Memory};
//! #[derive(zerocopy::IntoBytes, zerocopy::Immutable)]
//! #[repr(C)]
//! struct Padded(u8, u32);
//! fn store<P: Platform>(memory: &Memory<'_, P>, ptr: ArenaPtr<Padded>) {
//!     memory.store(ptr, &Padded(1, 2));
//! }
//! ```
//! A reference or a pointer of the kernel's, whose value is nobody else's business, and which a program could make up:
//! ```compile_fail,E0277
//! # use kernel_arena::{ArenaPtr, Platform, access::Memory};
//! fn store<P: Platform>(memory: &Memory<'_, P>, ptr: ArenaPtr<&'static u64>) {
//!     memory.store(ptr, &&5);
//! }
//! ```
//! ```compile_fail,E0277
//! # use kernel_arena::{ArenaPtr, Platform, access::Memory};
//! fn load<P: Platform>(memory: &Memory<'_, P>, ptr: ArenaPtr<*const u64>) -> *const u64 {
//!     memory.load(ptr)
//! }
//! ```
//! A value that not all bytes are:
//! ```compile_fail,E0277
//! # use kernel_arena::{ArenaPtr, Platform, access::Memory};
//! fn load<P: Platform>(memory: &Memory<'_, P>, ptr: ArenaPtr<bool>) -> bool {
//!     memory.load(ptr)
//! }
//! ```
//!
//! [`FromBytes`]: zerocopy::FromBytes
//! [`IntoBytes`]: zerocopy::IntoBytes

mod accessor;
mod atomic;

mod copy;
mod error;
mod field;
mod memory;
mod slice;
mod value;

pub use crate::arch::access::{AtomicOp, LoadOrder, Missing, Stopped, StoreOrder, Width};
pub use accessor::{Accessor, Processor};

pub use atomic::{Atomic, AtomicValue};
pub use error::{Hole, LeavesWindow, Misaligned, PrivateArena, SnapshotError, TryCopyError};
pub use field::{AddrField, PtrField};
pub use memory::Memory;
pub use slice::ArenaSlice;
