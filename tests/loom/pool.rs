//! The pool: granules, blocks and chunks have one holder at a time, and are handed over with all that was done to them.
//!
//! Guards the orderings that `pool` argues: claim (Acquire) against un-claim (Release) of granules, the start bit and
//! its count as the right to free (I6), and that a chunk goes back to the source only when every granule of it was
//! claimed. Whoever has a block touches its first granule and its page, and the source changes a page's flag when it
//! takes it or gets it back: loom reports what is not ordered.
//!
//! A chunk is one page here, and a page two words of granules. No bound on preemptions where none is named.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kernel_arena::platform::{CpuCount, CpuIdentity, CpuLevel};
use kernel_arena::pool::{GRANULE_BYTES, Pool};
use kernel_arena::source::{MetadataPage, MetadataSource, PageSource, Region};
use kernel_arena::{AllocError, ArenaPtr, MetadataWord, Misuse, PageCount, PageRange, Sharing};

use crate::explore::{UNBOUNDED, explore, preemptions, preemptions_if_long};
use crate::race::First;
use crate::watched::Watched;

/// Pages of the region.
const PAGES: usize = 4;
/// The first granule of the first page.
const START: u32 = 4096;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of a granule.
const ONE: usize = GRANULE_BYTES as usize;

/// Where the region lies. Nobody writes there: a model has flags for what would be written.
#[repr(C, align(4096))]
struct Nowhere([u8; PAGES * 4096]);
static NOWHERE: Nowhere = Nowhere([0; PAGES * 4096]);

struct Nameless;

impl CpuIdentity for Nameless {
    fn current(&self) -> Option<CpuLevel> {
        None
    }
    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

/// What a model lends to its pool.
struct Ground {
    region: Region<Nameless>,
    words: *mut [MaybeUninit<MetadataWord>],
    /// Who has a page may look at its flag.
    pages: [Watched; PAGES],
    /// Who has a granule of the first page may change its flag.
    granules: [Watched; 4096 / ONE],
    metadata: AtomicU32,
}

// SAFETY: the pointer is used when all CPUs have joined; the rest may be shared.
unsafe impl Sync for Ground {}
// SAFETY: as above.
unsafe impl Send for Ground {}

#[derive(Clone)]
struct Lent(Arc<Ground>);
type ModelPool = Pool<Lent, Lent>;

impl Ground {
    fn set_pages(&self, pages: PageRange, lent: bool) {
        pages.pages().for_each(|page| self.pages[page.number() as usize - 1].set(lent));
    }
}

// SAFETY: the region's contract is kept; what is added only watches.
unsafe impl PageSource for Lent {
    type Cpus = Nameless;
    const ZEROED: bool = false;

    fn cpus(&self) -> &Nameless {
        self.0.region.cpus()
    }
    fn base(&self) -> *mut u8 {
        self.0.region.base()
    }
    fn extent(&self) -> PageRange {
        self.0.region.extent()
    }
    fn sharing(&self) -> Sharing {
        self.0.region.sharing()
    }
    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        let pages = self.0.region.alloc_pages(count, align)?;
        self.0.set_pages(pages, true);
        Ok(pages)
    }
    unsafe fn free_pages(&self, pages: PageRange) {
        self.0.set_pages(pages, false);
        // SAFETY: as the caller promises.
        unsafe { self.0.region.free_pages(pages) }
    }
}

// SAFETY: pages come from the heap, and go back to it.
unsafe impl MetadataSource for Lent {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        self.0.metadata.fetch_add(1, SeqCst);
        Some(NonNull::from(Box::leak(Box::<MetadataPage>::new_uninit())).cast())
    }
    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        self.0.metadata.fetch_sub(1, SeqCst);
        // SAFETY: from `alloc`, and the caller promises that it is given back once.
        drop(unsafe { Box::from_raw(page.cast::<MaybeUninit<MetadataPage>>().as_ptr()) });
    }
}

fn start() -> Arc<ModelPool> {
    let words = Box::into_raw(Box::<[MaybeUninit<MetadataWord>]>::new_uninit_slice(1)).cast::<[MaybeUninit<_>; 1]>();
    // SAFETY: just leaked, and made a box again when the region is gone.
    let lent = unsafe { &mut *words };
    let memory = (&raw const NOWHERE).cast::<u8>().cast_mut();
    // SAFETY: the memory is there for ever; it is not writable, and nobody writes to it.
    let region = unsafe { Region::at(memory, PAGES, lent, Nameless) };
    let (pages, granules) =
        (std::array::from_fn(|_| Watched::new(false)), std::array::from_fn(|_| Watched::new(false)));
    let ground = Lent(Arc::new(Ground { region, words, pages, granules, metadata: AtomicU32::new(0) }));
    Arc::new(Pool::new(ground.clone(), ground))
}

/// The end of every execution: this many blocks, of so many bytes, are live, and everything comes back.
fn retire(pool: Arc<ModelPool>, blocks: u64, bytes: u64) {
    let left = Arc::into_inner(pool).expect("all CPUs have joined").destroy();
    assert_eq!((left.live_blocks, left.live_bytes), (blocks, bytes));
    drop(left.metadata);
    let words = {
        let ground = Arc::into_inner(left.source.0).expect("the pool is gone");
        assert_eq!((ground.region.taken_pages(), ground.metadata.load(SeqCst)), (0, 0));
        ground.words
    };
    // SAFETY: leaked in `start`; the region is gone.
    drop(unsafe { Box::from_raw(words) });
}

fn race<R: 'static, S: 'static>(
    first: First,
    pool: &Arc<ModelPool>,
    zero: impl FnOnce(&ModelPool) -> R + 'static,
    one: impl FnOnce(&ModelPool) -> S + 'static,
) -> (R, S) {
    let theirs = Arc::clone(pool);
    let join = "a CPU that does not panic";
    if first == 0 {
        let one = loom::thread::spawn(move || one(&theirs));
        (zero(pool), one.join().expect(join))
    } else {
        let zero = loom::thread::spawn(move || zero(&theirs));
        let one = one(pool);
        (zero.join().expect(join), one)
    }
}

/// A block, whose holder uses its memory.
fn alloc(pool: &ModelPool, size: usize) -> ArenaPtr {
    let layout = Layout::from_size_align(size, ONE).expect("a layout");
    let at = pool.alloc(layout).expect("there are pages");
    use_memory(pool, at);
    at
}

fn use_memory(pool: &ModelPool, at: ArenaPtr) {
    let ground = &pool.source().0;
    assert!(ground.pages[(at.offset() / 4096) as usize - 1].get(), "a block on a page that is not there");
    if let Some(granule) = ground.granules.get(((at.offset() - START) / GRANULE_BYTES) as usize) {
        granule.set(true);
    }
}

fn use_and_free(pool: &ModelPool, at: ArenaPtr, size: usize) {
    use_memory(pool, at);
    assert_eq!(pool.free(at, size), Ok(()));
}

#[test]
fn of_frees_of_one_block_exactly_one_wins() {
    for (size, bound) in [(2 * ONE, UNBOUNDED), (65 * ONE, UNBOUNDED)] {
        explore(&format!("two frees of {size} bytes"), bound, 2, move |_, first| {
            let pool = start();
            let block = alloc(&pool, size);
            let (ours, theirs) =
                race(first, &pool, move |pool| pool.free(block, size), move |pool| pool.free(block, size));
            assert!(ours.is_ok() != theirs.is_ok(), "{ours:?}, {theirs:?}");
            assert_eq!(ours.and(theirs), Err(Misuse::NotLive));
            retire(pool, 0, 0);
        });
    }
}

#[test]
fn a_block_is_handed_over_with_its_memory_whatever_its_neighbours_do() {
    // In one word, and over the border of two.
    for (before, size) in [(ONE, 2 * ONE), (62 * ONE, 4 * ONE)] {
        explore(&format!("alloc against the free of {size} bytes"), UNBOUNDED, 2, move |_, first| {
            let pool = start();
            let neighbour = alloc(&pool, before);
            let block = alloc(&pool, size);
            let ((), theirs) =
                race(first, &pool, move |pool| use_and_free(pool, block, size), move |pool| alloc(pool, size));
            // In the place of the one that was freed, after it, or where its second word is free already.
            assert!((theirs.offset() - block.offset()) as usize <= size, "{theirs:?}");
            use_and_free(&pool, neighbour, before);
            retire(pool, 1, size as u64);
        });
    }
}

#[test]
fn two_allocations_never_share_a_granule() {
    explore("two allocations", UNBOUNDED, 2, |_, first| {
        let pool = start();
        let neighbour = alloc(&pool, 62 * ONE);
        let (ours, theirs) = race(first, &pool, |pool| alloc(pool, ONE), |pool| alloc(pool, 3 * ONE));
        let (ours, theirs) = (ours.offset(), theirs.offset());
        assert!(ours + GRANULE_BYTES <= theirs || theirs + 3 * GRANULE_BYTES <= ours, "{ours:#x}, {theirs:#x}");
        use_memory(&pool, neighbour);
        retire(pool, 3, 66 * ONE as u64);
    });
}

#[test]
fn a_chunk_does_not_go_back_while_somebody_has_a_block_in_it() {
    explore("shrink against alloc", preemptions_if_long(3, 4), 2, |_, first| {
        let pool = start();
        let block = alloc(&pool, ONE);
        use_and_free(&pool, block, ONE);
        let (returned, theirs) = race(first, &pool, |pool| pool.shrink().get(), |pool| alloc(pool, ONE));
        use_memory(&pool, theirs);
        let held = pool.source().0.region.taken_pages();
        assert_eq!(pool.stats().held_bytes, u64::from(held) * 4096);
        // The page that was free is still there, or it went back; then the block is on a new one.
        assert!(returned <= 1 && held >= 1 && held <= 2 - returned, "{returned} went back, {held} are there");
        assert_eq!(pool.shrink().get(), held - 1);
        retire(pool, 1, ONE as u64);
    });
}

#[test]
fn a_chunk_goes_back_with_all_that_was_done_in_it() {
    explore("shrink against the last free", UNBOUNDED, 2, |_, first| {
        let pool = start();
        let block = alloc(&pool, ONE);
        let (returned, ()) = race(first, &pool, |pool| pool.shrink().get(), move |pool| use_and_free(pool, block, ONE));
        assert_eq!(returned + pool.shrink().get(), 1);
        retire(pool, 0, 0);
    });
}

#[test]
fn of_two_chunks_that_become_free_at_once_no_more_than_one_is_kept() {
    explore("two last frees", preemptions(4), 2, |_, first| {
        let pool = start();
        // The chunk of the first is the one that is kept, and used again.
        let ours = alloc(&pool, PAGE);
        use_and_free(&pool, ours, PAGE);
        let (ours, theirs) = (alloc(&pool, PAGE), alloc(&pool, PAGE));
        race(first, &pool, move |pool| use_and_free(pool, ours, PAGE), move |pool| use_and_free(pool, theirs, PAGE));
        let held = pool.source().0.region.taken_pages();
        assert!(held <= 1, "{held} free chunks are kept");
        assert_eq!(pool.shrink().get(), held);
        retire(pool, 0, 0);
    });
}

#[test]
fn a_stale_free_does_not_take_a_newer_block_of_another_size() {
    explore("stale free against free and alloc", preemptions(4), 2, |_, first| {
        let pool = start();
        let block = alloc(&pool, 3 * ONE);
        let (ours, theirs) = race(
            first,
            &pool,
            move |pool| {
                let freed = pool.free(block, 3 * ONE);
                let newer = alloc(pool, 2 * ONE);
                assert_eq!(pool.free(newer, 2 * ONE), Ok(()), "somebody else has freed it");
                freed
            },
            move |pool| pool.free(block, 3 * ONE),
        );
        assert!(ours.is_ok() != theirs.is_ok(), "{ours:?}, {theirs:?}");
        retire(pool, 0, 0);
    });
}
