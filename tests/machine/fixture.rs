//! The handle that a test holds: the machine, its arenas, and what a test does with them.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::platform::NodeId;
use kernel_arena::views::View;
use kernel_arena::{
    AllocRequest, Arena, ArenaPtr, CreateError, KernelAddr, MetadataWord, Owner, PageCount, Registration, Registry,
    VirtAddr,
};

use super::access::{Cpu, Declined};
use super::builder::Builder;
use super::flush::{Flush, Sabotage};
use super::format::Format;
use super::hardware::{Hardware, Window};
use super::hooks::Point;
use super::memory::index;
use super::platform::{Host, Upper};
use super::rule;
use super::views::Lent;

const ARENAS: usize = 4;

/// A machine with its arenas. Cheap to clone.
pub(crate) struct Machine<F: Format>(Rc<Inner<F>>);

struct Inner<F: Format> {
    hardware: Rc<Hardware>,
    builder: Builder<F>,
    registry: Registry<Host<F>, ARENAS, F>,
    arenas: [OnceCell<Home<F>>; ARENAS],
    stutters: Cell<u32>,
    /// Views whose tokens the machine keeps, with their arenas.
    views: RefCell<Vec<(usize, View<Lent>)>>,
}

struct Home<F: Format> {
    arena: Box<Arena<Host<F>, F>>,
    registration: Registration,
    upper: Rc<Upper>,
}

impl<F: Format> Machine<F> {
    pub(crate) fn builder() -> Builder<F> {
        Builder::new()
    }

    pub(super) fn new(builder: Builder<F>) -> Self {
        Self(Rc::new(Inner {
            hardware: Rc::new(builder.hardware()),
            builder,
            registry: Registry::new(),
            arenas: Default::default(),
            stutters: Cell::new(0),
            views: RefCell::default(),
        }))
    }

    /// Creates the next arena and registers it.
    pub(crate) fn create_arena(&self) -> Result<&Arena<Host<F>, F>, CreateError> {
        let number = self.arena_count();
        let layout = self.0.builder.layout(number);
        let upper = Rc::new(Upper::new(layout.base()));
        let before = self.hardware().memory.taken();
        self.hardware().windows.borrow_mut().push(Window {
            base: layout.base().value(),
            first_page: layout.extent().first().number(),
            pages: layout.extent().count().get(),
            upper: Rc::clone(&upper),
            own: Vec::new(),
        });
        let host = Host::new(self.hardware(), Rc::clone(&upper));
        let metadata = Box::into_raw(garbage(layout.metadata_words()));
        // SAFETY: just leaked, and made a box again only when the arena does not exist (any more).
        let lent = unsafe { &mut *metadata };
        let arena = Arena::new(host, layout, lent).map_err(|refused| {
            // What was lent comes back as it was.
            assert!(ptr::addr_eq(refused.metadata, metadata), "other metadata came back");
            // SAFETY: from `Box::into_raw` above; there is no arena that could use it.
            drop(unsafe { Box::from_raw(metadata) });
            self.hardware().windows.borrow_mut().pop();
            refused.error
        })?;
        // What came in between may have taken frames for pages of other arenas.
        self.hardware().observe();
        let taken = self.hardware().memory.taken().into_iter();
        let own = taken.filter(|frame| !before.contains(frame) && !self.hardware().is_in_a_slot(*frame)).collect();
        self.hardware().windows.borrow_mut()[number].own = own;
        let arena = Box::new(arena);
        // SAFETY: the arena stays in its box until `finish` has removed it.
        let registration = unsafe { self.0.registry.register(&arena) }.expect("there is room");
        self.hardware().observe();
        let home = self.0.arenas[number].get_or_init(|| Home { arena, registration, upper });
        Ok(&home.arena)
    }

    /// The first arena.
    pub(crate) fn arena(&self) -> &Arena<Host<F>, F> {
        self.arena_at(0)
    }

    pub(crate) fn arena_at(&self, number: usize) -> &Arena<Host<F>, F> {
        &self.0.arenas[number].get().expect("it was created").arena
    }

    fn arena_count(&self) -> usize {
        let homes = self.0.arenas.iter();
        homes.filter(|home| home.get().is_some()).count()
    }

    /// The word of a slot of the first arena.
    pub(crate) fn slot_word(&self, at: ArenaPtr) -> u64 {
        self.slot(at).load(Ordering::Relaxed)
    }

    /// Writes to a slot of the first arena, which nobody but the arena may.
    pub(crate) fn scribble(&self, at: ArenaPtr, word: u64) {
        self.slot(at).store(word, Ordering::Relaxed);
        self.hardware().observe();
    }

    /// A lent entry of the first arena.
    pub(crate) fn upper_entry(&self, entry: usize) -> &AtomicU64 {
        &self.0.arenas[0].get().expect("it was created").upper.0[entry]
    }

    fn slot(&self, at: ArenaPtr) -> &AtomicU64 {
        self.below(self.directory_entry(at), at, 12)
    }

    /// The word of the first arena's directory that links the leaf table with this page.
    pub(crate) fn directory_entry(&self, at: ArenaPtr) -> &AtomicU64 {
        self.below(self.upper_entry(index(u64::from(at.offset()) >> 30)), at, 21)
    }

    /// The word for this address in the table that an entry links, each of whose words covers 2^`shift` bytes.
    fn below(&self, above: &AtomicU64, at: ArenaPtr, shift: u32) -> &AtomicU64 {
        let hardware = self.hardware();
        let table = (hardware.rules.table)(above.load(Ordering::Relaxed)).expect("it is linked").frame;
        let first = hardware.memory.pointer(table).cast::<AtomicU64>();
        // SAFETY: a table of the arena's has 512 words, which are atomics.
        let entry = unsafe { first.add(index(u64::from(at.offset()) >> shift & 511)) };
        // SAFETY: as above; the arena lives as long as the machine is borrowed.
        unsafe { entry.as_ref() }
    }

    /// Allocates pages for a program, anywhere in the first arena.
    pub(crate) fn alloc(&self, pages: u32) -> ArenaPtr {
        let request = AllocRequest::new(count(pages), Owner::Program);
        let pages = self.arena().alloc_pages(request);
        self.hardware().observe();
        pages.expect("pages are allocated").to_ptr()
    }

    /// Frees pages of a program.
    pub(crate) fn free(&self, at: ArenaPtr, pages: u32) {
        let freed = self.arena().free_pages(at, count(pages), Owner::Program);
        self.hardware().observe();
        freed.expect("pages are freed");
    }

    /// A byte of the first arena, in the kernel view.
    pub(crate) fn at(&self, ptr: ArenaPtr) -> KernelAddr {
        self.arena().layout().to_kernel(ptr)
    }

    /// Reads 8 bytes of the first arena on a CPU.
    pub(crate) fn read(&self, cpu: usize, ptr: ArenaPtr) -> Result<u64, Declined> {
        self.cpu(cpu).read_u64(self.at(ptr))
    }

    /// Writes 8 bytes of the first arena on a CPU.
    pub(crate) fn write(&self, cpu: usize, ptr: ArenaPtr, value: u64) -> Result<(), Declined> {
        self.cpu(cpu).write_u64(self.at(ptr), value)
    }

    /// The aligned 8 bytes that a page table leads to under tag 0, without a TLB and without a fault.
    pub(crate) fn peek(&self, address: impl Into<VirtAddr>) -> Option<u64> {
        let address = address.into().value();
        let frame = self.hardware().look(0, address)?.frame;
        Some(self.hardware().memory.table(frame)[index(address >> 3 & 511)])
    }

    /// The frame that a page table leads to under tag 0.
    pub(crate) fn frame_of(&self, address: impl Into<VirtAddr>) -> Option<u64> {
        let entry = self.hardware().look(0, address.into().value())?;
        Some(entry.frame)
    }

    pub(crate) fn cpu(&self, number: usize) -> Cpu<'_, F> {
        assert!(number < self.hardware().cpus.len(), "there is no CPU {number}");
        Cpu::new(self, number)
    }

    /// Does something on a CPU. Tests start on CPU 0.
    pub(crate) fn on_cpu<R>(&self, number: usize, run: impl FnOnce() -> R) -> R {
        self.hardware().on_cpu(number, run)
    }

    /// Does something where the kernel does not know which CPU it is on.
    pub(crate) fn nameless<R>(&self, run: impl FnOnce() -> R) -> R {
        let was = self.hardware().nameless.replace(true);
        let result = run();
        self.hardware().nameless.set(was);
        result
    }

    /// Does something where the kernel knows which CPU it is on, but has no level for it.
    pub(crate) fn without_level<R>(&self, run: impl FnOnce() -> R) -> R {
        let was = self.hardware().without_level.replace(true);
        let result = run();
        self.hardware().without_level.set(was);
        result
    }

    /// Runs `hook` each time the arena calls the platform there.
    pub(crate) fn hook(&self, point: Point, hook: impl Fn(&Self) + 'static) {
        self.hardware().hooks.add(point, self.bound(hook));
    }

    /// Runs `hook` once, `points` calls of the platform from now on (0: at the next one).
    pub(crate) fn interrupt_at(&self, points: u64, hook: impl Fn(&Self) + 'static) {
        self.hardware().hooks.add_once(points, self.bound(hook));
    }

    /// Whether the hook of [`interrupt_at`](Self::interrupt_at) has run; a loop over all points ends when it has not.
    pub(crate) fn interrupted(&self) -> bool {
        !self.hardware().hooks.is_waiting()
    }

    pub(crate) fn clear_hooks(&self) {
        self.hardware().hooks.clear();
    }

    fn bound(&self, hook: impl Fn(&Self) + 'static) -> Rc<dyn Fn()> {
        let machine = Rc::downgrade(&self.0);
        Rc::new(move || hook(&Self(machine.upgrade().expect("its own hook runs"))))
    }

    /// Spoils shootdowns from now on.
    pub(crate) fn sabotage(&self, sabotage: Sabotage) {
        self.hardware().sabotage.set(sabotage);
    }

    /// The next `times` accesses fault although there is a translation.
    pub(crate) fn stutter(&self, times: u32) {
        self.0.stutters.set(times);
    }

    pub(super) fn stutters(&self) -> bool {
        let left = self.0.stutters.get();
        self.0.stutters.set(left.saturating_sub(1));
        left != 0
    }

    /// Asks the arena something that is no part of the test: no hook runs.
    pub(crate) fn quietly<R>(&self, ask: impl FnOnce() -> R) -> R {
        self.hardware().quietly(ask)
    }

    pub(crate) fn frames_in_use(&self) -> usize {
        self.hardware().memory.in_use()
    }

    /// How often a frame was asked for.
    pub(crate) fn frame_calls(&self) -> u32 {
        self.hardware().memory.calls()
    }

    /// The memory node that the last frame was asked for from.
    pub(crate) fn last_node(&self) -> Option<NodeId> {
        self.hardware().memory.last_node()
    }

    /// Has the `n`-th request for a frame from now (0: the next) find none; `None` takes that back.
    pub(crate) fn fail_frame(&self, n: Option<u32>) {
        self.hardware().memory.fail_in(n);
    }

    /// Frames are given out in ascending order, until some come back.
    pub(crate) fn frames_ascend(&self) {
        self.hardware().memory.count_upwards();
    }

    /// No more than this many frames may be in use from now on.
    pub(crate) fn limit_frames(&self, frames: usize) {
        self.hardware().memory.set_limit(frames);
    }

    /// The shootdowns since the last call.
    pub(crate) fn take_flushes(&self) -> Vec<Flush> {
        self.hardware().flushes.take()
    }

    /// Exceptions taken so far, user mode's not counted.
    pub(crate) fn exceptions(&self) -> u64 {
        self.hardware().exceptions.get()
    }

    /// Checks that each arena, at rest, agrees with itself.
    pub(crate) fn validate(&self) {
        self.hardware().observe();
        for number in 0..self.arena_count() {
            let valid = self.hardware().quietly(|| self.arena_at(number).validate());
            rule(valid.is_ok(), || format!("arena {number}: {valid:?}"));
        }
    }

    /// Validates and destroys the arenas, and checks that everything lent came back. How many pages were still allocated or
    /// queued.
    pub(crate) fn finish(self) -> u32 {
        self.validate();
        self.end().0
    }

    /// The same without a look at the slots, which may be foreign; how many of these there were, too.
    pub(crate) fn end(self) -> (u32, u32) {
        self.clear_hooks();
        let inner = Rc::into_inner(self.0).expect("no other handle to the machine is left");
        let (mut pages, mut foreign) = (0, 0);
        let mut views = inner.views.into_inner();
        for (number, home) in inner.arenas.into_iter().enumerate() {
            let Some(home) = home.into_inner() else { continue };
            let words = home.arena.layout().metadata_words();
            inner.registry.remove(home.registration).expect("no fault is in flight");
            let (left, others): (Vec<_>, Vec<_>) = views.into_iter().partition(|(arena, _)| *arena == number);
            views = others;
            let destroyed = without_views(*home.arena, left).destroy().unwrap();
            pages += destroyed.pages;
            foreign += destroyed.foreign_pages;
            assert_eq!(destroyed.metadata.len(), words);
            // SAFETY: the slice that `create_arena` leaked; the arena is gone.
            drop(unsafe { Box::from_raw(destroyed.metadata) });
            assert!(home.upper.is_zero(), "a lent entry is not zero");
        }
        assert_eq!(inner.hardware.memory.in_use(), 0, "frames are missing");
        for cpu in &inner.hardware.cpus {
            assert!(cpu.tlb.borrow().is_empty(), "a TLB remembers a window that is gone");
        }
        (pages, foreign)
    }

    pub(super) fn hardware(&self) -> &Rc<Hardware> {
        &self.0.hardware
    }

    pub(super) fn kept_views(&self) -> &RefCell<Vec<(usize, View<Lent>)>> {
        &self.0.views
    }

    /// The word of a lent entry of an arena.
    pub(super) fn upper_word(&self, arena: usize, entry: usize) -> u64 {
        self.0.arenas[arena].get().expect("it was created").upper.0[entry].load(Ordering::Relaxed)
    }

    pub(super) fn registry(&self) -> &Registry<Host<F>, ARENAS, F> {
        &self.0.registry
    }
}

impl<F: Format> Clone for Machine<F> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// An arena that cannot be destroyed before the views that are left have been detached.
fn without_views<F: Format>(arena: Arena<Host<F>, F>, views: Vec<(usize, View<Lent>)>) -> Arena<Host<F>, F> {
    if views.is_empty() {
        return arena;
    }
    let Err(refused) = arena.destroy() else { panic!("programs see it") };
    assert_eq!(refused.views as usize, views.len());
    for (_, view) in views {
        assert!(refused.arena.detach_view(view).expect("its own").is_zero());
    }
    refused.arena
}

/// That many pages.
pub(crate) fn count(pages: u32) -> PageCount {
    PageCount::new(pages).expect("no more pages than a window has")
}

/// Metadata that is anything but zero.
fn garbage(words: usize) -> Box<[MaybeUninit<MetadataWord>]> {
    (0..words).map(|_| MaybeUninit::new(MetadataWord::new(0xa5a5_a5a5_a5a5_a5a5))).collect()
}
