//! The limit: a free list a size and thread, and nothing else.
//!
//! No less can be done than to take what lies on top, and to put it back there. Nothing is checked, nothing ever goes back to the
//! system, and what one thread frees no other can have: it is no allocator, only what one could cost.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use super::{Home, Peer, peer};
use crate::harness::Role;

/// What is taken from the system at once.
const CHUNK: usize = 1 << 20;

/// The objects of a size: those that were given back, one naming the next, and the rest of a chunk.
struct List {
    free: Cell<*mut u8>,
    next: Cell<*mut u8>,
    left: Cell<usize>,
}

impl List {
    const fn new() -> Self {
        Self { free: Cell::new(ptr::null_mut()), next: Cell::new(ptr::null_mut()), left: Cell::new(0) }
    }
}

thread_local! {
    /// For objects of at most 2^n bytes each.
    static LISTS: [List; 32] = const { [const { List::new() }; 32] };
}

struct FreeLists;

/// Which list a size has.
#[inline]
const fn class(bytes: usize) -> usize {
    (usize::BITS - ((bytes - 1) | 7).leading_zeros()) as usize % 32
}

// SAFETY: an object is on a list or somebody's, and as large as its list says; chunks stay for ever. Both ends of a size are
// aligned as no case wants more of.
unsafe impl GlobalAlloc for FreeLists {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LISTS.with(|lists| {
            let class = class(layout.size());
            let list = &lists[class];
            let object = list.free.get();
            if object.is_null() {
                return carve(list, 1 << class);
            }
            // SAFETY: `dealloc` wrote it there.
            list.free.set(unsafe { object.cast::<*mut u8>().read() });
            object
        })
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        LISTS.with(|lists| {
            let list = &lists[class(layout.size())];
            // SAFETY: nobody uses the object, which has at least 8 bytes and is aligned for a pointer.
            unsafe { object.cast::<*mut u8>().write(list.free.get()) };
            list.free.set(object);
        });
    }
}

/// A new object.
#[cold]
fn carve(list: &List, bytes: usize) -> *mut u8 {
    if list.left.get() < bytes {
        let size = CHUNK.max(bytes);
        let Ok(layout) = Layout::from_size_align(size, 4096) else { return ptr::null_mut() };
        // SAFETY: the size is not zero.
        let chunk = unsafe { System.alloc(layout) };
        if chunk.is_null() {
            return chunk;
        }
        list.next.set(chunk);
        list.left.set(size);
    }
    let object = list.next.get();
    // SAFETY: the chunk has so much left.
    list.next.set(unsafe { object.add(bytes) });
    list.left.set(list.left.get() - bytes);
    object
}

struct Limit;
impl Home for Limit {
    type Heap = FreeLists;
    #[inline]
    fn heap() -> &'static FreeLists {
        &FreeLists
    }
}

pub(super) fn limit() -> Peer {
    Peer { role: Role::Limit, ..peer::<Limit>("a thread's free list") }
}
