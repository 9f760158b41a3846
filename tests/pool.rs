//! The pool, on a piece of memory and on the arena of the software machine.
//!
//! A test is a generic function over a [`Bed`]: where pages and bookkeeping come from, who records what was refused,
//! and how the memory is reached. [`on_each_source`] runs it on a region and on an arena of every format. At the end of
//! each everything that was lent must be back. Numbers (T105, N15) are explained in `docs/UPSTREAM-PARITY.md`.

use std::alloc::Layout;
use std::sync::Mutex;

use kernel_arena::pool::{Pool, PoolError, PoolStats};
use kernel_arena::source::{ArenaPages, PageSource};
use kernel_arena::{AllocError, ArenaPtr, Misuse, ViolationKind};

use crate::machine::{Format, Machine};
use heap::Heap;
use land::{Land, Lent};

/// Makes of each generic function `name<B: Bed>(bed: &B)` a module of the same name with one test a source.
macro_rules! on_each_source {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn region() {
                $crate::pool::on_region(super::$name);
            }
            #[test]
            fn x86_64() {
                $crate::pool::on_machine::<kernel_arena::arch::x86_64::X86_64>(super::$name);
            }
            #[test]
            fn aarch64() {
                $crate::pool::on_machine::<kernel_arena::arch::aarch64::AArch64>(super::$name);
            }
            #[test]
            fn portable() {
                $crate::pool::on_machine::<kernel_arena::arch::portable::Portable>(super::$name);
            }
        }
    )+};
}

mod blocks;
mod decoded;
mod growth;
mod heap;
mod interrupts;
mod land;
mod misuse;
mod model;
mod scarce;
mod threads;

pub(crate) use decoded::tasks;

/// Pages that each bed has.
const PAGES: u32 = 64;
/// Bytes of a page.
const PAGE: usize = 4096;
/// From one page to the next, as offsets go; also that of the first.
const PAGE_STEP: u32 = 4096;

/// Where a pool stands.
trait Bed {
    type Source<'a>: PageSource
    where
        Self: 'a;

    fn source(&self) -> Self::Source<'_>;
    fn heap(&self) -> &Heap;
    /// How many pages the source has handed out.
    fn pages_taken(&self) -> u32;
    /// The oldest refusal that was recorded.
    fn recorded(&self) -> Option<(ArenaPtr, Misuse)>;
    fn store(&self, at: ArenaPtr, value: u64);
    fn load(&self, at: ArenaPtr) -> u64;

    fn pool(&self) -> Pool<Self::Source<'_>, &Heap> {
        Pool::new(self.source(), self.heap())
    }
}

/// A region, and a heap for bookkeeping.
#[derive(Default)]
struct OnRegion {
    land: Land,
    heap: Heap,
}

impl Bed for OnRegion {
    type Source<'a> = Lent<'a>;

    fn source(&self) -> Lent<'_> {
        Lent(&self.land)
    }
    fn heap(&self) -> &Heap {
        &self.heap
    }
    fn pages_taken(&self) -> u32 {
        self.land.region.taken_pages()
    }
    fn recorded(&self) -> Option<(ArenaPtr, Misuse)> {
        let mut recorded = self.land.recorded.lock().unwrap();
        (!recorded.is_empty()).then(|| recorded.remove(0))
    }
    fn store(&self, at: ArenaPtr, value: u64) {
        let word = self.land.word(at);
        // SAFETY: a word of the region, of a block that the test has.
        unsafe { word.write_volatile(value) }
    }
    fn load(&self, at: ArenaPtr) -> u64 {
        let word = self.land.word(at);
        // SAFETY: as above.
        unsafe { word.read_volatile() }
    }
}

/// An arena on the software machine, and a heap for bookkeeping.
struct OnMachine<F: Format> {
    machine: Machine<F>,
    heap: Heap,
}

impl<F: Format> Bed for OnMachine<F> {
    type Source<'a> = ArenaPages<'a, crate::machine::Host<F>, F>;

    fn source(&self) -> Self::Source<'_> {
        ArenaPages::new(self.machine.arena())
    }
    fn heap(&self) -> &Heap {
        &self.heap
    }
    fn pages_taken(&self) -> u32 {
        self.machine.arena().reclaim();
        self.machine.arena().stats().claimed_pages
    }
    fn recorded(&self) -> Option<(ArenaPtr, Misuse)> {
        let violation = self.machine.arena().take_violation()?;
        let ViolationKind::Object(misuse) = violation.kind else { panic!("{violation:?}") };
        Some((self.machine.arena().layout().to_ptr(violation.address).unwrap(), misuse))
    }
    fn store(&self, at: ArenaPtr, value: u64) {
        self.machine.write(0, at, value).unwrap();
    }
    fn load(&self, at: ArenaPtr) -> u64 {
        self.machine.read(1, at).unwrap()
    }
}

fn on_region(test: impl FnOnce(&OnRegion)) {
    let bed = OnRegion::default();
    test(&bed);
    is_back(&bed);
}

fn on_machine<F: Format>(test: impl FnOnce(&OnMachine<F>)) {
    let machine = Machine::<F>::builder().cpus(2).extent(1, PAGES).build();
    let bed = OnMachine { machine, heap: Heap::default() };
    test(&bed);
    is_back(&bed);
    assert_eq!(bed.machine.finish(), 0);
}

fn is_back(bed: &impl Bed) {
    assert_eq!(bed.pages_taken(), 0, "pages are missing");
    assert_eq!(bed.heap().taken(), 0, "bookkeeping is missing");
    assert_eq!(bed.recorded(), None, "an operation was refused that should not have been");
}

/// Destroys a pool with this many live blocks.
fn close<S: PageSource>(pool: Pool<S, &Heap>, blocks: u64, bytes: u64) {
    let left = pool.destroy();
    assert_eq!((left.live_blocks, left.live_bytes), (blocks, bytes));
}

/// A layout with the alignment of a granule.
fn bytes(size: usize) -> Layout {
    aligned(size, 8)
}

fn aligned(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// What a block takes.
fn granules(size: usize) -> u64 {
    size.next_multiple_of(8) as u64
}

/// Everything that can be seen of a pool but its bookkeeping pages, which may stay after an error.
fn picture<S: PageSource>(pool: &Pool<S, &Heap>) -> PoolStats {
    let mut stats = pool.stats();
    stats.metadata_bytes = 0;
    stats
}

/// There is no room, and there are no pages.
fn is_exhausted(error: PoolError) -> bool {
    matches!(error, PoolError::Pages(AllocError::NoSpace(_) | AllocError::OutOfFrames))
}
