//! Peers for kernels: one heap behind one spin lock, over memory that is lent to it.

use std::alloc::{GlobalAlloc, Layout};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Home, Peer, peer};

/// What each of them gets.
static HEAP_BYTES: AtomicUsize = AtomicUsize::new(1 << 29);

/// They get so much from now on: those that have nothing yet.
pub(super) fn lend(bytes: usize) {
    HEAP_BYTES.fetch_max(bytes, Ordering::Relaxed);
}

/// Zeroed memory that is never given back; the system puts pages behind it as they are touched.
fn memory() -> &'static mut [MaybeUninit<u8>] {
    Box::leak(Box::new_zeroed_slice(HEAP_BYTES.load(Ordering::Relaxed)))
}

struct LinkedList;
impl Home for LinkedList {
    type Heap = linked_list_allocator::LockedHeap;
    #[inline]
    fn heap() -> &'static Self::Heap {
        static HEAP: OnceLock<linked_list_allocator::LockedHeap> = OnceLock::new();
        HEAP.get_or_init(|| {
            let heap = linked_list_allocator::LockedHeap::empty();
            heap.lock().init_from_slice(memory());
            heap
        })
    }
}

struct Buddy;
impl Home for Buddy {
    type Heap = buddy_system_allocator::LockedHeap<33>;
    #[inline]
    fn heap() -> &'static Self::Heap {
        static HEAP: OnceLock<buddy_system_allocator::LockedHeap<33>> = OnceLock::new();
        HEAP.get_or_init(|| {
            let heap = buddy_system_allocator::LockedHeap::empty();
            let memory = memory();
            // SAFETY: the memory is the heap's alone for ever.
            unsafe { heap.lock().init(memory.as_mut_ptr().addr(), memory.len()) };
            heap
        })
    }
}

type TalcHeap = talc::TalcLock<spin::Mutex<()>, talc::source::Manual>;

struct Talc;
impl Home for Talc {
    type Heap = TalcHeap;
    #[inline]
    fn heap() -> &'static Self::Heap {
        static HEAP: OnceLock<TalcHeap> = OnceLock::new();
        HEAP.get_or_init(|| {
            let heap = TalcHeap::new(talc::source::Manual);
            let memory = memory();
            // SAFETY: the memory is the heap's alone for ever.
            let claimed = unsafe { heap.lock().claim(memory.as_mut_ptr().cast(), memory.len()) };
            assert!(claimed.is_some(), "talc takes its memory");
            heap
        })
    }
}

/// A two-level segregated fit with levels for 4 GiB and more.
struct LockedTlsf(spin::Mutex<rlsf::Tlsf<'static, u32, u32, 29, 32>>);

// SAFETY: what the heap under the lock hands out.
unsafe impl GlobalAlloc for LockedTlsf {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        if let Some(object) = NonNull::new(object) {
            // SAFETY: as the caller promises.
            unsafe { self.0.lock().deallocate(object, layout.align()) }
        }
    }
}

struct Tlsf;
impl Home for Tlsf {
    type Heap = LockedTlsf;
    #[inline]
    fn heap() -> &'static Self::Heap {
        static HEAP: OnceLock<LockedTlsf> = OnceLock::new();
        HEAP.get_or_init(|| {
            let mut heap = rlsf::Tlsf::new();
            heap.insert_free_block(memory());
            LockedTlsf(spin::Mutex::new(heap))
        })
    }
}

pub(super) fn all() -> [Peer; 4] {
    let linear = |peer| Peer { linear: true, ..peer };
    [
        peer::<Talc>("talc"),
        peer::<Tlsf>("rlsf"),
        linear(peer::<Buddy>("buddy_system_allocator")),
        linear(peer::<LinkedList>("linked_list_allocator")),
    ]
}
