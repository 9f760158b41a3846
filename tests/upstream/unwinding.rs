//! A platform that unwinds breaks its contract. What is in hand then is lost; nothing is given back twice.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use kernel_arena::platform::{EntryAttributes, FlushScope, Frame, FrameSource, NodeId, PhysMap, Shootdown, UpperSlots};
use kernel_arena::sync::AtomicU64;
use kernel_arena::{AddressRange, AllocRequest, Arena, KernelAddr, MetadataWord, Owner, Platform};

use super::request;
use crate::machine::{Format, Machine, count};

/// A machine's platform whose n-th free or shootdown unwinds, and which remembers what was freed.
struct Shaky<'m, P: Platform> {
    inner: &'m P,
    source: Source<'m, P::Frames>,
    map: Map<'m, P::PhysMap>,
    flushes: Flushes,
    upper: Upper,
}

struct Map<'m, M> {
    inner: &'m M,
    unwind_at: Cell<Option<u32>>,
}

struct Source<'m, S> {
    inner: &'m S,
    unwind_at: Cell<Option<u32>>,
    freed: RefCell<Vec<Frame>>,
}

struct Flushes(Cell<Option<u32>>);

struct Upper(KernelAddr, [AtomicU64; 5]);

/// Counts down, and unwinds at 0, once.
fn count_down(left: &Cell<Option<u32>>) {
    if let Some(n) = left.get() {
        left.set(n.checked_sub(1));
        assert!(n > 0, "a platform that unwinds");
    }
}

impl<S: FrameSource> FrameSource for Source<'_, S> {
    fn alloc(&self, node: Option<NodeId>) -> Option<Frame> {
        self.inner.alloc(node)
    }

    // Nothing goes back, so that no frame comes twice.
    unsafe fn free(&self, frame: Frame) {
        self.freed.borrow_mut().push(frame);
        count_down(&self.unwind_at);
    }
}

impl<M: PhysMap> PhysMap for Map<'_, M> {
    fn frame_to_ptr(&self, frame: Frame) -> NonNull<u8> {
        count_down(&self.unwind_at);
        self.inner.frame_to_ptr(frame)
    }

    fn attributes(&self) -> EntryAttributes {
        self.inner.attributes()
    }
}

impl Shootdown for Flushes {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {
        count_down(&self.0);
    }
}

impl UpperSlots for Upper {
    fn window_base(&self) -> KernelAddr {
        self.0
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [first, second, third, fourth, _] = self.1.each_ref();
        [first, second, third, fourth]
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.1[4]
    }
}

// SAFETY: each part is the machine's; nobody translates by these tables, and frames are handed out once.
unsafe impl<'m, P: Platform> Platform for Shaky<'m, P> {
    type Frames = Source<'m, P::Frames>;
    type PhysMap = Map<'m, P::PhysMap>;
    type Shootdown = Flushes;
    type Cpus = P::Cpus;
    type Upper = Upper;

    fn frames(&self) -> &Source<'m, P::Frames> {
        &self.source
    }

    fn phys_map(&self) -> &Map<'m, P::PhysMap> {
        &self.map
    }

    fn shootdown(&self) -> &Flushes {
        &self.flushes
    }

    fn cpus(&self) -> &P::Cpus {
        self.inner.cpus()
    }

    fn upper(&self) -> &Upper {
        &self.upper
    }
}

impl<'m, P: Platform> Shaky<'m, P> {
    fn new(inner: &'m P) -> Self {
        let source = Source { inner: inner.frames(), unwind_at: Cell::new(None), freed: RefCell::default() };
        let map = Map { inner: inner.phys_map(), unwind_at: Cell::new(None) };
        let upper = Upper(inner.upper().window_base(), Default::default());
        Self { inner, source, map, flushes: Flushes(Cell::new(None)), upper }
    }

    /// That nothing was freed twice: how much was.
    fn freed(&self) -> usize {
        let freed = self.source.freed.borrow();
        assert_eq!(freed.iter().collect::<BTreeSet<_>>().len(), freed.len(), "a frame was freed twice");
        freed.len()
    }
}

/// Runs `free` over 70 pages of 80 while the platform unwinds at its `nth` free or shootdown: how many frames went back.
fn unwound<F: Format>(spoil: fn(&Shaky<'_, crate::machine::Host<F>>, u32), nth: u32, deferred: bool) -> usize {
    let m = Machine::<F>::builder().extent(1, 80).build();
    let layout = *m.arena().layout();
    let metadata: Vec<MaybeUninit<MetadataWord>> =
        (0..layout.metadata_words()).map(|_| MaybeUninit::uninit()).collect();
    let arena = Arena::<_, F>::new(Shaky::new(m.arena().platform()), layout, metadata.leak()).unwrap();
    let pages = arena.alloc_pages(request(70)).unwrap();
    spoil(arena.platform(), nth);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        if deferred {
            arena.free_pages_deferred(pages.to_ptr(), pages.count(), Owner::Program).unwrap();
            arena.reclaim();
        } else {
            arena.free_pages(pages.to_ptr(), pages.count(), Owner::Program).unwrap();
        }
    }));
    assert!(ended.is_err());
    let freed = arena.platform().freed();
    // The others work as before, and the rest is as good as ever.
    let other = arena.alloc_pages(AllocRequest::new(count(10), Owner::Kernel)).unwrap();
    assert_eq!(arena.free_pages(other.to_ptr(), other.count(), Owner::Kernel), Ok(()));
    assert_eq!(arena.platform().freed(), freed + 10);
    freed
}

fn a_batch_whose_platform_unwinds_is_not_settled_again<F: Format>() {
    for deferred in [false, true] {
        for nth in [0, 1, 63, 64, 69] {
            let freed = unwound::<F>(|platform, nth| platform.source.unwind_at.set(Some(nth)), nth, deferred);
            assert_eq!(freed, nth as usize + 1, "what was still owed is lost");
        }
        for nth in [0, 1] {
            let freed = unwound::<F>(|platform, nth| platform.flushes.0.set(Some(nth)), nth, deferred);
            assert_eq!(freed, nth as usize * 64, "what was not flushed did not go back");
        }
    }
}

/// Of many pages those stay that were installed by then, as pages of their owner's.
fn an_allocation_whose_map_unwinds_leaves_no_number_claimed<F: Format>() {
    for pages in [1, 3] {
        for nth in 0.. {
            let m = Machine::<F>::builder().extent(1, 80).build();
            let layout = *m.arena().layout();
            let metadata: Vec<MaybeUninit<MetadataWord>> =
                (0..layout.metadata_words()).map(|_| MaybeUninit::uninit()).collect();
            let arena = Arena::<_, F>::new(Shaky::new(m.arena().platform()), layout, metadata.leak()).unwrap();
            arena.platform().map.unwind_at.set(Some(nth));
            let ended = catch_unwind(AssertUnwindSafe(|| arena.alloc_pages(request(pages)).is_ok()));
            arena.platform().map.unwind_at.set(None);
            if ended.is_ok() {
                assert!(nth > 1, "the map was asked for the frame and for the slot");
                break;
            }
            let there = layout.extent().pages().filter(|page| !arena.page_state(*page).unwrap().is_vacant()).count();
            assert_eq!(arena.stats().claimed_pages as usize, there, "{pages} pages, {nth}");
            assert!(pages > 1 || there == 0);
            assert_eq!(arena.validate(), Ok(()));
        }
    }
}

each_format!(
    a_batch_whose_platform_unwinds_is_not_settled_again,
    an_allocation_whose_map_unwinds_leaves_no_number_claimed,
);
