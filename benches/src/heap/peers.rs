//! The allocators that are compared, each a static.

use std::alloc::{GlobalAlloc, Layout, System};
use std::time::Duration;

use super::apart::Many;
use super::jobs::{Job, Subject, check};
use crate::harness::Role;

mod limit;
mod locked;
mod ours;
#[cfg(feature = "peers-c")]
mod written_in_c;

/// An allocator and how to run a case with it.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// Runs a case for so many operations.
    pub(crate) run: fn(Job, usize) -> Duration,
    /// Times single operations of a case.
    pub(crate) singles: fn(Job, &mut [f64]),
    /// Fails if it does not keep what is written.
    pub(crate) check: fn(),
    /// Whether it looks through all free objects: then the largest cases take minutes, and are left out.
    pub(crate) linear: bool,
    /// Does a case that wants a process of its own.
    pub(crate) many: fn(Many) -> String,
}

/// Where an allocator's static is.
pub(crate) trait Home {
    type Heap: GlobalAlloc + 'static;
    fn heap() -> &'static Self::Heap;
}

/// An allocator behind calls that are never inlined.
struct OutOfLine<H>(H);

impl<H: Home> Subject for OutOfLine<H> {
    #[inline(never)]
    fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: no case asks for zero bytes.
        unsafe { H::heap().alloc(layout) }
    }

    #[inline(never)]
    unsafe fn free(object: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { H::heap().dealloc(object, layout) }
    }
}

const fn peer<H: Home>(name: &'static str) -> Peer {
    Peer {
        name,
        role: Role::Peer,
        linear: false,
        run: Job::run::<OutOfLine<H>>,
        singles: Job::singles::<OutOfLine<H>>,
        check: check::<OutOfLine<H>>,
        many: Many::run::<OutOfLine<H>>,
    }
}

struct Libc;
impl Home for Libc {
    type Heap = System;
    fn heap() -> &'static System {
        &System
    }
}

/// Lends those that get their memory beforehand so much, if they have none yet.
pub(crate) fn lend(bytes: usize) {
    locked::lend(bytes);
}

/// All of them, ours first, the limit last.
pub(crate) fn all() -> Vec<Peer> {
    let mut peers = Vec::from(ours::all());
    #[cfg(feature = "peers-c")]
    peers.extend(written_in_c::all());
    peers.push(peer::<Libc>("the C library"));
    peers.extend(locked::all());
    peers.push(limit::limit());
    peers
}
