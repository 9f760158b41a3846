//! What a slab allocator is lent in a model, and what must hold at the end of each execution.
//!
//! The window has a few pages, cut into KiB: four small objects a page, or two large ones. Each KiB has a *cell*, which
//! loom watches as plain memory: whoever is given an object writes its cells, writes them again before he gives it
//! back, and the page source writes those of a page that it hands out (as zeroing does) or takes back (as unmapping
//! does). So loom reports a last user whom nothing orders before the next. A *held* flag, invisible to loom, says what
//! is true at this moment: no object is handed out twice, no page goes back while somebody has an object of it.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, Hold};
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{MetadataPage, MetadataSource, PageSource};
use kernel_arena::sync::{AtomicU64, Ordering};
use kernel_arena::{AllocError, ArenaPtr, Misuse, PageCount, PageIndex, PageRange, Reclaimable, Sharing};

use crate::machine::{CPUS, current_cpu, on_cpu};
use crate::watched::Watched;

/// Four of them are a page, and two a word of a slab's bits.
pub(crate) const SMALL: Layout = layout(1 << 10);
/// Two of them are a page, and a word.
pub(crate) const LARGE: Layout = layout(1 << 11);

/// A run of one page.
pub(crate) const RUN: Layout = layout(PAGE);

const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("a power of two"),
    }
}

const PAGE: usize = 4096;
const CELL: usize = 1 << 10;

/// The allocator of a model.
pub(crate) type ModelSlab = Slab<Lent, Lent>;

/// Whether CPUs have magazines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cpus {
    /// They are known, and have.
    Named,
    /// Nobody knows which is which: all work on the slabs directly.
    Unnamed,
    /// They are threads of one CPU, which preempt each other, but not where one holds: so it is like a lock of theirs.
    Holding,
    /// The same, and nothing is held.
    Preempted,
}

/// An allocator on so many pages.
pub(crate) fn start(pages: u32, mode: Mode, cpus: Cpus) -> Arc<ModelSlab> {
    let lent = Lent(Arc::new(Window::new(pages, cpus)));
    Arc::new(Slab::new(lent.clone(), lent, mode).expect("enough metadata"))
}

/// A slab of which both objects are out, and which is on no list; and a second one, empty, so that the first is spare.
pub(crate) fn spare() -> (Arc<ModelSlab>, ArenaPtr, ArenaPtr) {
    let slab = start(2, Mode::Fast, Cpus::Unnamed);
    let [one, two, three, four] = [(); 4].map(|()| alloc(&slab, LARGE));
    free(&slab, three, LARGE);
    free(&slab, four, LARGE);
    (slab, one, two)
}

/// Takes an object, and writes to it.
pub(crate) fn alloc(slab: &ModelSlab, layout: Layout) -> ArenaPtr {
    try_alloc(slab, layout).expect("there are objects left")
}

/// The same, where all pages may be in somebody's hands.
pub(crate) fn try_alloc(slab: &ModelSlab, layout: Layout) -> Option<ArenaPtr> {
    let object = slab.alloc(layout).ok()?;
    slab.source().0.hand_out(object, layout);
    Some(object)
}

/// Writes to an object, and gives it back.
pub(crate) fn free(slab: &ModelSlab, object: ArenaPtr, layout: Layout) {
    slab.source().0.hand_back(object, layout);
    // SAFETY: from `alloc`, with that layout, and every model frees once.
    unsafe { slab.free(object, layout) };
}

/// When all is quiet a CPU without magazines finds every object that is in a slab on the lists: nobody asks for pages.
pub(crate) fn lists_are_complete(slab: &ModelSlab) {
    let window = &slab.source().0;
    let named = window.named.swap(false, SeqCst);
    window.no_more_pages.store(true, SeqCst);
    let classes = slab.stats().classes;
    for (layout, class) in [SMALL, LARGE].into_iter().zip(classes) {
        let objects: Vec<_> = (0..class.free).map(|_| alloc(slab, layout)).collect();
        objects.into_iter().for_each(|object| free(slab, object, layout));
    }
    window.no_more_pages.store(false, SeqCst);
    window.named.store(named, SeqCst);
}

/// When all is quiet and no object is out, every slab can go, and its header comes back: as many slabs as there are
/// pages are made again with those that were made before.
pub(crate) fn headers_come_back(slab: &ModelSlab) {
    let window = &slab.source().0;
    drain(slab);
    assert_eq!(window.pages_lent(), 0, "a slab that is empty did not go");
    let named = window.named.swap(false, SeqCst);
    window.no_more_metadata.store(true, SeqCst);
    let objects: Vec<_> = (0..window.pages.len() * 2).map(|_| alloc(slab, LARGE)).collect();
    window.no_more_metadata.store(false, SeqCst);
    objects.into_iter().for_each(|object| free(slab, object, LARGE));
    window.named.store(named, SeqCst);
}

/// Empties the magazines of all CPUs, and the depots.
pub(crate) fn drain(slab: &ModelSlab) {
    for cpu in 0..CPUS {
        on_cpu(cpu, || slab.drain());
    }
}

/// The end of every execution: no object was lost or found, and every page comes back, each once.
pub(crate) fn finish(slab: Arc<ModelSlab>) {
    let slab = Arc::into_inner(slab).expect("all CPUs have joined");
    let left = slab.destroy();
    assert_eq!((left.objects, left.bytes, left.run_bytes), (0, 0, 0));
    let (lent, _) = (left.source, drop(left.metadata));
    let window = Arc::into_inner(lent.0).expect("the allocator is gone");
    assert_eq!(window.pages_lent(), 0);
    let metadata = window.metadata.into_inner().expect("not poisoned");
    assert_eq!(metadata.out.len(), 0, "a page of bookkeeping was lost");
}

/// What is lent: the page source and the metadata source in one.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Window>);

impl Lent {
    /// How many frees and damages were refused or found.
    pub(crate) fn misuses(&self) -> usize {
        self.0.misuses.load(SeqCst)
    }

    /// From now on CPUs are known.
    pub(crate) fn name_cpus(&self) {
        self.0.named.store(true, SeqCst);
    }

    /// How many pages are out.
    pub(crate) fn pages_lent(&self) -> usize {
        self.0.pages_lent()
    }

    /// Somebody has memory, and writes to it.
    pub(crate) fn hand_out(&self, object: ArenaPtr, layout: Layout) {
        self.0.hand_out(object, layout);
    }

    /// Somebody writes to memory for the last time.
    pub(crate) fn hand_back(&self, object: ArenaPtr, layout: Layout) {
        self.0.hand_back(object, layout);
    }

    /// The CPU goes down; whoever has its number next comes after all that it did.
    pub(crate) fn leave(&self, cpu: u16) {
        self.0.idle.fetch_or(1 << cpu, Ordering::Release);
    }

    /// Takes the number of a CPU that is down; says whether it was to be had.
    pub(crate) fn enter(&self, cpu: u16) -> bool {
        self.0.idle.fetch_and(!(1 << cpu), Ordering::Acquire) & 1 << cpu != 0
    }
}

#[repr(C, align(4096))]
struct Bytes(UnsafeCell<[u8; PAGE]>);

struct Window {
    /// Those of page 0 are never handed out.
    bytes: Box<[Bytes]>,
    pages: Vec<Page>,
    named: AtomicBool,
    cpus: Cpus,
    /// Whoever holds has it, where threads of one CPU hold.
    held: loom::sync::Mutex<()>,
    guard: UnsafeCell<Option<loom::sync::MutexGuard<'static, ()>>>,
    /// The CPUs that are down.
    idle: AtomicU64,
    no_more_pages: AtomicBool,
    no_more_metadata: AtomicBool,
    metadata: Mutex<Metadata>,
    misuses: AtomicUsize,
}

// SAFETY: the bytes are the allocator's; loom runs one thread at a time.
unsafe impl Sync for Window {}
// SAFETY: as above.
unsafe impl Send for Window {}

struct Page {
    /// 1 while the source has it. A word for each page: taking one orders nothing after the freeing of another.
    free: AtomicU64,
    lent: AtomicBool,
    cells: [Cell; PAGE / CELL],
}

struct Cell {
    content: Watched,
    held: AtomicBool,
}

#[derive(Default)]
struct Metadata {
    out: Vec<NonNull<MetadataPage>>,
    /// Kept to the end, so that whoever is late finds nonsense.
    back: Vec<Box<MetadataPage>>,
}

impl Window {
    fn new(pages: u32, cpus: Cpus) -> Self {
        let bytes = || Bytes(UnsafeCell::new([0; PAGE]));
        Self {
            bytes: (0..=pages).map(|_| bytes()).collect(),
            pages: (0..pages).map(|_| Page::new()).collect(),
            named: AtomicBool::new(cpus != Cpus::Unnamed),
            cpus,
            held: loom::sync::Mutex::new(()),
            guard: UnsafeCell::new(None),
            idle: AtomicU64::new(0),
            no_more_pages: AtomicBool::new(false),
            no_more_metadata: AtomicBool::new(false),
            metadata: Mutex::default(),
            misuses: AtomicUsize::new(0),
        }
    }

    /// The cells of an object.
    fn cells(&self, object: ArenaPtr, layout: Layout) -> &[Cell] {
        let (start, cells) = (object.offset() as usize, layout.size().div_ceil(CELL));
        let first = start % PAGE / CELL;
        assert_eq!((start % CELL, first % cells), (0, 0), "not where an object starts");
        &self.pages[start / PAGE - 1].cells[first..first + cells]
    }

    fn hand_out(&self, object: ArenaPtr, layout: Layout) {
        for cell in self.cells(object, layout) {
            assert!(!cell.held.swap(true, SeqCst), "an object was handed out twice");
            cell.content.set(true);
        }
    }

    fn hand_back(&self, object: ArenaPtr, layout: Layout) {
        for cell in self.cells(object, layout) {
            cell.content.set(false);
            assert!(cell.held.swap(false, SeqCst), "a model freed twice");
        }
    }

    fn pages_lent(&self) -> usize {
        self.pages.iter().filter(|page| page.lent.load(SeqCst)).count()
    }
}

impl Page {
    fn new() -> Self {
        let cell = || Cell { content: Watched::new(false), held: AtomicBool::new(false) };
        Self { free: AtomicU64::new(1), lent: AtomicBool::new(false), cells: std::array::from_fn(|_| cell()) }
    }

    /// Nobody may have an object of it, and everybody who had one must have come before.
    fn write(&self) {
        for cell in &self.cells {
            assert!(!cell.held.load(SeqCst), "a page was given back with an object in use");
            cell.content.set(false);
        }
    }

    fn take(&self) -> bool {
        let taken = self.free.compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            assert!(!self.lent.swap(true, SeqCst));
            self.write();
        }
        taken
    }

    fn give_back(&self) {
        assert!(self.lent.swap(false, SeqCst), "a page was given back twice");
        self.write();
        self.free.store(1, Ordering::Release);
    }
}

impl CpuIdentity for Lent {
    fn hold(&self) -> Hold {
        if self.0.cpus == Cpus::Holding {
            let guard = self.0.held.lock().expect("not poisoned");
            // SAFETY: it goes before the lock does: every hold is released.
            let guard = unsafe {
                std::mem::transmute::<loom::sync::MutexGuard<'_, ()>, loom::sync::MutexGuard<'static, ()>>(guard)
            };
            // SAFETY: whoever has the lock alone touches it.
            unsafe { *self.0.guard.get() = Some(guard) };
        }
        Hold::NOTHING
    }

    fn release(&self, _hold: Hold) {
        if self.0.cpus == Cpus::Holding {
            // SAFETY: as above.
            let guard = unsafe { (*self.0.guard.get()).take() };
            drop(guard.expect("it is held"));
        }
    }

    fn current(&self) -> Option<CpuLevel> {
        let cpu = if matches!(self.0.cpus, Cpus::Holding | Cpus::Preempted) { 0 } else { current_cpu() };
        self.0.named.load(SeqCst).then_some(CpuLevel { cpu: CpuId::new(cpu), level: 0 })
    }

    fn count(&self) -> CpuCount {
        CpuCount::new(CPUS.into()).expect("a few CPUs")
    }

    fn lend_idle(&self, each: &mut dyn FnMut(CpuId)) {
        for cpu in (0..CPUS).filter(|cpu| self.enter(*cpu)) {
            each(CpuId::new(cpu));
            self.leave(cpu);
        }
    }
}

// SAFETY: each page is handed out to whoever took its word, until he gives it back; its memory lasts as long as this.
unsafe impl PageSource for Lent {
    type Cpus = Self;
    const ZEROED: bool = false;

    fn cpus(&self) -> &Self {
        self
    }

    fn base(&self) -> *mut u8 {
        self.0.bytes[0].0.get().cast()
    }

    fn extent(&self) -> PageRange {
        let count = PageCount::new(u32::try_from(self.0.pages.len()).expect("few")).expect("few");
        PageRange::new(PageIndex::new(1).expect("a page"), count).expect("in the window")
    }

    fn sharing(&self) -> Sharing {
        Sharing::Private
    }

    /// Each CPU looks at another page first, so that two meet at a page only if there is no other.
    fn alloc_pages(&self, count: PageCount, _align: PageCount) -> Result<PageRange, AllocError> {
        assert!(!self.0.no_more_pages.load(SeqCst), "a slab that has objects is not on the list");
        assert_eq!(count, PageCount::ONE);
        let pages = &self.0.pages;
        let order = (0..pages.len()).map(|n| (n + usize::from(current_cpu())) % pages.len());
        let taken = order.into_iter().find(|n| pages[*n].take()).ok_or(AllocError::NoSpace(Reclaimable::default()))?;
        let page = PageIndex::new(u32::try_from(taken + 1).expect("few")).expect("a page");
        Ok(PageRange::new(page, PageCount::ONE).expect("in the window"))
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        assert_eq!(pages.count(), PageCount::ONE);
        self.0.pages[pages.first().number() as usize - 1].give_back();
    }

    fn record_misuse(&self, _at: Option<ArenaPtr>, _misuse: Misuse) {
        self.0.misuses.fetch_add(1, SeqCst);
    }
}

// SAFETY: every page is an allocation of its own.
unsafe impl MetadataSource for Lent {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        assert!(!self.0.no_more_metadata.load(SeqCst), "a header was lost");
        let page = Box::leak(Box::<MetadataPage>::new_uninit());
        let page = NonNull::from(page).cast::<MetadataPage>();
        self.0.metadata.lock().expect("not poisoned").out.push(page);
        Some(page)
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        let mut metadata = self.0.metadata.lock().expect("not poisoned");
        let number =
            metadata.out.iter().position(|out| *out == page).expect("a page of bookkeeping was given back twice");
        metadata.out.swap_remove(number);
        // SAFETY: leaked by `alloc`, and out until now; nothing of it needs to be dropped.
        let mut page = unsafe { Box::from_raw(page.as_ptr()) };
        page.0[..1024].fill(std::mem::MaybeUninit::new(0xff));
        metadata.back.push(page);
    }
}
