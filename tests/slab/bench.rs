//! A slab allocator in a lab, and a map of what was handed out that the test keeps itself.

use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use kernel_arena::ArenaPtr;
use kernel_arena::Misuse;
use kernel_arena::slab::{ClassStats, LEVELS, Mode, SizeClass, Slab, SlabError};
use kernel_arena::source::PageSource;

use super::lab::{Lab, Metadata, Pages};

/// A slab allocator that is watched.
pub(crate) struct Bench {
    pub(crate) lab: Arc<Lab>,
    pub(crate) slab: Slab<Pages, Metadata>,
    mode: Mode,
    shadow: RefCell<Shadow>,
}

/// What was handed out, by offset.
#[derive(Default)]
struct Shadow {
    objects: BTreeMap<u32, Object>,
    handed_out: u64,
}

/// An object that somebody has; all of its bytes are its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) at: ArenaPtr,
    pub(crate) layout: Layout,
    pub(crate) checked: bool,
    mark: u8,
}

/// A layout.
pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// So many bytes, aligned to 8.
pub(crate) fn bytes(size: usize) -> Layout {
    layout(size, 8)
}

/// The class of a size.
pub(crate) fn class(size: usize) -> SizeClass {
    SizeClass::of_size(size).unwrap()
}

/// The layout of a class's objects.
pub(crate) fn whole(class: SizeClass) -> Layout {
    bytes(class.size())
}

impl Bench {
    /// So many pages, in fast mode.
    pub(crate) fn new(pages: usize) -> Rc<Self> {
        Self::with(pages, Mode::Fast)
    }

    pub(crate) fn with(pages: usize, mode: Mode) -> Rc<Self> {
        let lab = Lab::new(pages);
        let slab = Slab::new(Pages(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), mode).unwrap();
        Rc::new(Self { lab, slab, mode, shadow: RefCell::default() })
    }

    pub(crate) fn alloc(&self, layout: Layout) -> Result<Object, SlabError> {
        self.slab.alloc(layout).map(|at| self.hand_out(at, layout, false))
    }

    pub(crate) fn alloc_checked(&self, layout: Layout) -> Result<Object, SlabError> {
        self.slab.alloc_checked(layout).map(|at| self.hand_out(at, layout, true))
    }

    /// So many objects.
    pub(crate) fn alloc_many(&self, layout: Layout, count: usize) -> Vec<Object> {
        (0..count).map(|_| self.alloc(layout).unwrap()).collect()
    }

    /// Objects until there are no more.
    pub(crate) fn exhaust(&self, layout: Layout) -> Vec<Object> {
        std::iter::from_fn(|| self.alloc(layout).ok()).collect()
    }

    /// Notes an object, which must be where nothing else is, and marks it.
    pub(crate) fn hand_out(&self, at: ArenaPtr, layout: Layout, checked: bool) -> Object {
        let mut shadow = self.shadow.borrow_mut();
        shadow.handed_out += 1;
        let mark = u8::try_from(shadow.handed_out % 199 + 1).unwrap();
        let object = Object { at, layout, checked, mark };
        let end = object.end();
        let extent = self.slab.source().extent();
        let first = u64::from(extent.to_ptr().offset());
        assert!(u64::from(at.offset()) >= first && end <= first + extent.count().bytes(), "{object:?} is outside");
        assert_eq!(self.slab.to_kernel(at).addr() % layout.align(), 0, "{object:?} is not aligned");
        let below = shadow.objects.range(..u32::try_from(end).unwrap()).next_back();
        assert!(below.is_none_or(|(_, below)| below.end() <= at.offset().into()), "{object:?} overlaps {below:?}");
        shadow.objects.insert(at.offset(), object);
        self.memory(&object).fill(mark);
        object
    }

    pub(crate) fn free(&self, object: Object) {
        self.hand_in(&object);
        if object.checked {
            self.slab.free_checked(Some(object.at)).unwrap();
        } else {
            // SAFETY: the shadow says that somebody had it.
            unsafe { self.slab.free(object.at, object.layout) };
        }
    }

    pub(crate) fn free_all(&self, objects: impl IntoIterator<Item = Object>) {
        objects.into_iter().for_each(|object| self.free(object));
    }

    /// Checks an object that is about to be freed, and forgets it.
    pub(crate) fn hand_in(&self, object: &Object) {
        self.check(object);
        let known = self.shadow.borrow_mut().objects.remove(&object.at.offset());
        assert_eq!(known.as_ref(), Some(object), "the test frees what it does not have");
    }

    fn check(&self, object: &Object) {
        let expected = vec![object.mark; object.layout.size()];
        assert!(*self.memory(object) == *expected, "{object:?} was written to");
    }

    /// Checks that everything that is out is as it was left.
    pub(crate) fn check_all(&self) {
        self.shadow.borrow().objects.values().for_each(|object| self.check(object));
    }

    /// Whether it is still out.
    pub(crate) fn has(&self, object: &Object) -> bool {
        self.shadow.borrow().objects.get(&object.at.offset()) == Some(object)
    }

    /// What is out.
    pub(crate) fn objects(&self) -> Vec<Object> {
        self.shadow.borrow().objects.values().copied().collect()
    }

    #[expect(clippy::mut_from_ref, reason = "the memory is the object's, and the test's to use")]
    fn memory(&self, object: &Object) -> &mut [u8] {
        // SAFETY: the object is out, so that its memory is the test's; one thread, one slice at a time.
        unsafe { std::slice::from_raw_parts_mut(self.slab.to_kernel(object.at), object.layout.size()) }
    }

    /// The figures of a class.
    pub(crate) fn figures(&self, class: SizeClass) -> ClassStats {
        self.slab.stats().classes[class.index()]
    }

    /// Reads a byte of an object, or of what lies beside it.
    pub(crate) fn peek(&self, at: ArenaPtr, byte: usize) -> u8 {
        // SAFETY: pages of slabs are initialised memory of the lab, which has one thread.
        unsafe { self.slab.to_kernel(at).wrapping_add(byte).read() }
    }

    /// Writes to a byte, the test's or not.
    pub(crate) fn poke(&self, at: ArenaPtr, byte: usize, value: u8) {
        // SAFETY: as above; it is the allocator's business to find out.
        unsafe { self.slab.to_kernel(at).wrapping_add(byte).write(value) };
    }

    /// What was recorded since the last call.
    pub(crate) fn misuses(&self) -> Vec<(ArenaPtr, Misuse)> {
        std::mem::take(&mut self.lab.book().misuses)
    }

    /// Figures add up, class by class and altogether, and are what shadow and sources say. At rest, in fast mode.
    pub(crate) fn check_figures(&self) {
        let stats = self.slab.stats();
        let objects = self.objects();
        let mut held = 0;
        for class in SizeClass::all() {
            let of = &stats.classes[class.index()];
            let live = objects.iter().filter(|object| SizeClass::of(object.layout) == Some(class)).count();
            assert_eq!(of.live, live as u64, "live of {class:?}");
            assert_eq!(of.size, class.size());
            assert_eq!(of.objects, of.live + of.cached + of.free, "{of:?}");
            assert_eq!(of.slabs == 0, of.objects == 0);
            held += of.objects * of.size as u64 + of.waste_bytes;
        }
        assert_eq!(stats.held_bytes, held);
        assert_eq!(stats.held_bytes, (self.lab.pages_out() as u64) << 12);
        assert_eq!(stats.metadata_bytes, (self.lab.metadata_out() as u64) << 12);
        let live = stats.classes.iter().map(|of| of.live * of.size as u64).sum::<u64>();
        assert_eq!(stats.live_bytes, live);
        let out: u64 = stats.classes.iter().map(|of| (of.live + of.cached) * of.size as u64).sum();
        assert!(stats.peak_bytes >= out && stats.peak_held_bytes >= stats.held_bytes, "{stats:?}");
        assert_eq!(stats.misuses, self.lab.book().misuses.len() as u64);
    }

    /// Every object that a slab has is found without asking for pages, by who has no magazines (O6). At rest, in fast mode.
    pub(crate) fn check_lists(&self) {
        super::cpus::nameless(|| {
            for class in SizeClass::all() {
                let calls = self.lab.book().page_calls;
                let found: Vec<_> =
                    (0..self.figures(class).free).map(|_| self.slab.alloc(whole(class)).unwrap()).collect();
                assert_eq!(self.lab.book().page_calls, calls, "O6: a slab of {class:?} has objects, and is on no list");
                for at in found {
                    // SAFETY: taken just now, with this layout.
                    unsafe { self.slab.free(at, whole(class)) };
                }
            }
        });
    }

    /// Empties the magazines of so many CPUs, at all levels, and the depots.
    pub(crate) fn drain_everywhere(&self, cpus: u16) {
        for (cpu, level) in (0..cpus).flat_map(|cpu| (0..LEVELS).map(move |level| (cpu, level))) {
            super::cpus::on(cpu, level, || self.slab.drain());
        }
    }

    /// Takes the allocator down: what is out is as it was left, and counted, and all that was lent comes back. How many
    /// objects were still out.
    pub(crate) fn finish(self: Rc<Self>) -> u64 {
        super::cpus::interrupted();
        self.check_all();
        let objects = self.objects();
        let bench = Rc::into_inner(self).expect("nobody else has the bench");
        let leftovers = bench.slab.destroy();
        assert_eq!(bench.lab.pages_out(), 0, "pages are missing");
        assert_eq!(bench.lab.metadata_out(), 0, "bookkeeping pages are missing");
        // In debug mode objects are larger, and those that are damaged stay out.
        if bench.mode == Mode::Fast {
            let bytes = objects.iter().map(|object| SizeClass::of(object.layout).unwrap().size() as u64).sum();
            let left = (leftovers.objects, leftovers.bytes, leftovers.run_bytes);
            assert_eq!(left, (objects.len() as u64, bytes, 0));
        }
        leftovers.objects
    }
}

impl Object {
    fn end(&self) -> u64 {
        u64::from(self.at.offset()) + self.layout.size() as u64
    }
}
