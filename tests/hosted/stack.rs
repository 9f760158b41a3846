//! How much stack calls take: kernels boot on 8 to 16 KiB, and threads may have no more.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use kernel_arena::heap::Heap;
use kernel_arena::hosted::HostHeap;
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel};
use kernel_arena::pool::Pool;
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{MetadataPage, Region, StaticMetadata, region_words};
use kernel_arena::{MetadataWord, PageCount};

/// What a call takes at most, optimised: one that makes something, or the first of a kind.
const MOST: usize = 2 << 10;
/// What the same calls take without optimisation, when every value that a function passes on is there twice.
const MOST_UNOPTIMISED: usize = 8 << 10;
/// The same for what is made of large parts: a pool, and the sources of a process.
const MOST_PASSED_ON: usize = 12 << 10;
const STACK: usize = 256 << 10;
const PAINT: u8 = 0xa7;

/// The bytes of stack that `work` touches in a thread of its own.
fn touched(work: &mut dyn FnMut()) -> usize {
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: the caller's reference, and the caller waits.
        let work = unsafe { &mut *work.cast::<&mut dyn FnMut()>() };
        work();
        ptr::null_mut()
    }
    let stack = Box::leak(vec![PAINT; STACK + 4096].into_boxed_slice());
    let skip = stack.as_ptr().align_offset(4096);
    let stack = &mut stack[skip..][..STACK];
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    let mut work = work;
    // SAFETY: a place for them.
    assert_eq!(unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) }, 0);
    // SAFETY: the stack was leaked: it is the thread's alone.
    assert_eq!(unsafe { libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack.as_mut_ptr().cast(), STACK) }, 0);
    let argument = (&raw mut work).cast();
    // SAFETY: initialised above; `work` outlives the thread, which is joined.
    assert_eq!(unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), run, argument) }, 0);
    // SAFETY: written by the call that made it.
    let thread = unsafe { thread.assume_init() };
    // SAFETY: made above.
    assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    STACK - stack.iter().position(|byte| *byte != PAINT).unwrap()
}

/// Checks the stack that `work` takes, beside what a thread takes that does nothing.
fn stack_of(what: &str, unoptimised: usize, mut work: impl FnMut()) {
    let nothing = touched(&mut || {});
    let bytes = touched(&mut work) - nothing;
    let most = if cfg!(debug_assertions) { unoptimised } else { MOST };
    assert!(bytes <= most, "{what}: {bytes} bytes of stack");
}

struct OneCpu;

impl CpuIdentity for OneCpu {
    fn current(&self) -> Option<CpuLevel> {
        Some(CpuLevel { cpu: CpuId::new(0), level: 0 })
    }
    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

type Metadata = &'static StaticMetadata<256>;

fn sources() -> (Region<OneCpu>, Metadata) {
    let memory: &mut [MaybeUninit<MetadataPage>] = Box::leak(Box::new_uninit_slice(1024));
    let words: &mut [MaybeUninit<MetadataWord>] = Box::leak(Box::new_uninit_slice(region_words(1024)));
    let metadata = Box::leak(Box::<StaticMetadata<256>>::new_uninit());
    // SAFETY: all of it begins as zeros.
    unsafe { metadata.as_mut_ptr().write_bytes(0, 1) };
    // SAFETY: written above.
    let metadata = unsafe { metadata.assume_init_ref() };
    // SAFETY: what stands on it is used by one thread at a time.
    (unsafe { Region::new(memory, words, OneCpu) }, metadata)
}

fn layouts() -> impl Iterator<Item = Layout> {
    [8, 64, 1000, 5000, 32 << 10, 40 << 10].into_iter().map(|size| Layout::from_size_align(size, 8).unwrap())
}

#[test]
fn a_kernels_heap_is_made_and_used_on_little_stack() {
    static FAST: Heap<Region<OneCpu>, Metadata> = Heap::new();
    static DEBUG: Heap<Region<OneCpu>, Metadata> = Heap::new();
    for (heap, mode) in [(&FAST, Mode::Fast), (&DEBUG, Mode::Debug)] {
        let mut lent = Some(sources());
        stack_of(&format!("Heap::init, {mode:?}"), MOST_UNOPTIMISED, || {
            let (pages, metadata) = lent.take().unwrap();
            assert!(heap.init(pages, metadata, mode).is_ok());
        });
        use_a_heap(heap, &format!("{mode:?}"));
        stack_of("Heap::drain", MOST_UNOPTIMISED, || _ = heap.drain());
        stack_of("Heap::reclaim", MOST_UNOPTIMISED, || _ = heap.reclaim());
    }
}

#[test]
fn a_slab_and_a_pool_are_made_on_little_stack() {
    let mut lent = Some(sources());
    stack_of("Slab::new", MOST_UNOPTIMISED, || {
        let (pages, metadata) = lent.take().unwrap();
        _ = black_box(Slab::new(pages, metadata, Mode::Fast).unwrap());
    });
    let mut lent = Some(sources());
    stack_of("Pool::new", MOST_PASSED_ON, || {
        let (pages, metadata) = lent.take().unwrap();
        _ = black_box(Pool::new(pages, metadata));
    });
}

#[test]
fn the_first_allocation_of_a_program_takes_little_stack() {
    let heap = HostHeap::with_pages(PageCount::new(10_000).unwrap());
    stack_of("HostHeap: what makes it", MOST_PASSED_ON, || _ = heap.get().unwrap());
    use_a_heap(&heap, "HostHeap");
}

/// Takes and gives back one of each size, each call by itself.
fn use_a_heap(heap: &(impl GlobalAlloc + Sync), what: &str) {
    for layout in layouts() {
        let (mut block, bytes) = (ptr::null_mut(), layout.size());
        stack_of(&format!("{what}: the first of {bytes} bytes"), MOST_UNOPTIMISED, || {
            // SAFETY: not zero bytes.
            block = unsafe { heap.alloc(layout) };
        });
        assert!(!block.is_null());
        stack_of(&format!("{what}: {bytes} bytes given back"), MOST_UNOPTIMISED, || {
            // SAFETY: taken above.
            unsafe { heap.dealloc(block, layout) };
        });
    }
}
