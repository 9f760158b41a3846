//! Everything for which a layout or an arena is refused: by name, with all that was lent given back, where upstream's creation
//! has four numbers.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::rc::Rc;

use kernel_arena::arch::{Arch, Leaf, TableReach, UnsupportedCpu};
use kernel_arena::platform::{CpuCount, EntryAttributes, Frame, PhysMap, UpperSlots};
use kernel_arena::sync::{AtomicU64, Ordering};
use kernel_arena::{
    AddressWidth, Arena, ArenaLayout, CreateError, KernelAddr, LayoutError, MetadataWord, PageCount, PageIndex,
    Platform, WINDOW_PAGES, WINDOW_SIZE,
};

use super::{index, page};
use crate::machine::{Format, Machine, count};

/// A machine's platform, but for attributes and lent entries of the test's choice.
struct Lent<'m, P: Platform> {
    inner: &'m P,
    map: Map<'m, P::PhysMap>,
    upper: Upper,
}

struct Map<'m, M>(&'m M, EntryAttributes);

struct Upper {
    base: KernelAddr,
    entries: Rc<[AtomicU64; 5]>,
}

impl<'m, P: Platform> Lent<'m, P> {
    fn from(inner: &'m P) -> Self {
        let map = inner.phys_map();
        let upper = Upper { base: inner.upper().window_base(), entries: Default::default() };
        Self { inner, map: Map(map, map.attributes()), upper }
    }
}

impl Upper {
    fn words(&self) -> [u64; 5] {
        self.entries.each_ref().map(|entry| entry.load(Ordering::Relaxed))
    }
}

// SAFETY: each part is the machine's, whose contracts are kept, or, where it is not, spoils something that creation refuses
// before it relies on it.
unsafe impl<'m, P: Platform> Platform for Lent<'m, P> {
    type Frames = P::Frames;
    type PhysMap = Map<'m, P::PhysMap>;
    type Shootdown = P::Shootdown;
    type Cpus = P::Cpus;
    type Upper = Upper;

    fn frames(&self) -> &P::Frames {
        self.inner.frames()
    }

    fn phys_map(&self) -> &Map<'m, P::PhysMap> {
        &self.map
    }

    fn shootdown(&self) -> &P::Shootdown {
        self.inner.shootdown()
    }

    fn cpus(&self) -> &P::Cpus {
        self.inner.cpus()
    }

    fn upper(&self) -> &Upper {
        &self.upper
    }
}

impl<M: PhysMap> PhysMap for Map<'_, M> {
    fn frame_to_ptr(&self, frame: Frame) -> NonNull<u8> {
        self.0.frame_to_ptr(frame)
    }

    fn attributes(&self) -> EntryAttributes {
        self.1
    }
}

impl UpperSlots for Upper {
    fn window_base(&self) -> KernelAddr {
        self.base
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [first, second, third, fourth, _] = self.entries.each_ref();
        [first, second, third, fourth]
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.entries[4]
    }
}

/// A format with smaller tables, or on a CPU that it does not fit.
struct Odd<A, const TABLE_SHIFT: u32, const FITS: bool>(PhantomData<A>);

// SAFETY: all of it is another format's; tables of another size are refused before one is built.
unsafe impl<A: Arch, const TABLE_SHIFT: u32, const FITS: bool> Arch for Odd<A, TABLE_SHIFT, FITS> {
    const NAME: &'static str = A::NAME;
    const TABLE_SHIFT: u32 = TABLE_SHIFT;
    const BREAK_BEFORE_MAKE: bool = A::BREAK_BEFORE_MAKE;
    const LEAF_ATTRIBUTES: u64 = A::LEAF_ATTRIBUTES;
    const TABLE_ATTRIBUTES: u64 = A::TABLE_ATTRIBUTES;

    fn leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
        A::leaf(leaf, attributes)
    }

    fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf> {
        A::decode_leaf(word, attributes)
    }

    fn table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
        A::table(table, reach, attributes)
    }

    fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame> {
        A::decode_table(word, attributes)
    }

    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        if FITS { A::check_cpu(layout) } else { Err(UnsupportedCpu::Granule) }
    }
}

/// Memory for an arena's books. It is never given back: a test's process is short.
fn metadata(words: usize) -> &'static mut [MaybeUninit<MetadataWord>] {
    (0..words).map(|_| MaybeUninit::uninit()).collect::<Vec<_>>().leak()
}

/// An arena that is not created: why; what was lent is as it was.
fn refusal<F: Format, A: Arch, P: Platform>(m: &Machine<F>, lent: Lent<'_, P>, words: usize) -> CreateError {
    let frames = (m.frames_in_use(), m.frame_calls());
    let before = lent.upper.words();
    let refused = Arena::<_, A>::new(lent, *m.arena().layout(), metadata(words)).expect_err("it is refused");
    assert_eq!(refused.metadata.len(), words);
    assert_eq!(refused.platform.upper.words(), before);
    assert_eq!((m.frames_in_use(), m.frame_calls()), frames, "frames come last");
    assert_eq!(refused.to_string(), refused.error.to_string());
    refused.error
}

fn each_reason_not_to_create_an_arena_has_a_name<F: Format>() {
    let m = Machine::<F>::builder().extent(250, 10).build();
    let platform = m.arena().platform();
    let words = m.arena().layout().metadata_words();

    let error = refusal::<F, Odd<F, 9, false>, _>(&m, Lent::from(platform), words);
    assert_eq!(error, CreateError::UnsupportedCpu(UnsupportedCpu::Granule));
    // Tables of eight entries reach 256 pages; the extent ends at 260.
    let error = refusal::<F, Odd<F, 3, true>, _>(&m, Lent::from(platform), words);
    assert_eq!(error, CreateError::ExtentNotCovered);

    for (leaf, table) in [(1, 0), (0, 1), (1 << 12, 0), (0, 1 << 12)] {
        let mut lent = Lent::from(platform);
        lent.map.1.leaf |= leaf;
        lent.map.1.table |= table;
        assert_eq!(refusal::<F, F, _>(&m, lent, words), CreateError::AttributesNotAllowed);
    }
    let mut lent = Lent::from(platform);
    lent.upper.base = KernelAddr::new(lent.upper.base.value() + WINDOW_SIZE);
    assert_eq!(refusal::<F, F, _>(&m, lent, words), CreateError::WrongBase);
    let one_cpu = m.arena().layout().with_cpus(CpuCount::ONE);
    let refused = Arena::<_, F>::new(Lent::from(platform), one_cpu, metadata(words)).expect_err("there are two");
    assert_eq!(refused.error, CreateError::MoreCpus);
    for entry in 0..5 {
        let lent = Lent::from(platform);
        lent.upper.entries[entry].store(1 << 40, Ordering::Relaxed);
        assert_eq!(refusal::<F, F, _>(&m, lent, words), CreateError::UpperEntryInUse, "entry {entry}");
    }
    for words in [0, 1, words / 2] {
        assert_eq!(refusal::<F, F, _>(&m, Lent::from(platform), words), CreateError::MetadataTooSmall);
    }
    m.finish();
}

/// A platform that can be copied, lent twice: an arena that is created in the middle of another's creation takes the entries,
/// whichever of them come last.
fn an_arena_over_another_ones_entries_is_refused<F: Format>() {
    for theirs in 0..5 {
        let m = Machine::<F>::builder().build();
        let mut lent = Lent::from(m.arena().platform());
        let entries = Rc::new([const { AtomicU64::new(0) }; 5]);
        lent.upper.entries = Rc::clone(&entries);
        let frames = m.frames_in_use();
        let other = Rc::clone(&entries);
        // After the entries were looked at, in the middle of building the tables.
        m.interrupt_at(4, move |m| {
            if theirs > 0 {
                // Another's guard lies under an entry of ours, say.
                other[theirs].store(1 << 40, Ordering::Relaxed);
                return;
            }
            let mut lent = Lent::from(m.arena().platform());
            lent.upper.entries = Rc::clone(&other);
            let layout = *m.arena().layout();
            let arena = Arena::<_, F>::new(lent, layout, metadata(layout.metadata_words())).expect("it is the first");
            assert_eq!(arena.validate(), Ok(()));
            std::mem::forget(arena);
        });
        m.take_flushes();
        let layout = *m.arena().layout();
        let refused = Arena::<_, F>::new(lent, layout, metadata(layout.metadata_words())).expect_err("it is refused");
        assert!(m.interrupted());
        assert_eq!(refused.error, CreateError::UpperEntryInUse);
        let flushes = m.take_flushes().len();
        assert_eq!(flushes, usize::from(theirs > 0), "what was linked is forgotten, and nothing else");
        let used = entries.each_ref().map(|entry| entry.load(Ordering::Relaxed) != 0);
        assert_eq!(used, std::array::from_fn(|entry| theirs == 0 || entry == theirs));
        assert_eq!(m.frames_in_use(), frames + if theirs == 0 { 8 } else { 0 }, "ours came back");
    }
}

/// A second arena that the frames do not suffice for does not harm the first.
fn an_arena_that_the_frames_do_not_suffice_for_is_refused<F: Format>() {
    let m = Machine::<F>::builder().build();
    let at = m.alloc(1);
    m.write(0, at, 1).unwrap();
    let before = m.frames_in_use();
    m.limit_frames(before + 7);
    assert_eq!(m.create_arena().map(drop), Err(CreateError::OutOfFrames));
    assert_eq!(m.frames_in_use(), before);
    m.limit_frames(before + 8);
    assert_eq!(m.create_arena().map(drop), Ok(()));
    assert_eq!(m.read(1, at), Ok(1));
    m.finish();
}

each_format!(
    each_reason_not_to_create_an_arena_has_a_name,
    an_arena_over_another_ones_entries_is_refused,
    an_arena_that_the_frames_do_not_suffice_for_is_refused,
);

#[test]
fn each_reason_to_refuse_a_layout_has_a_name() {
    let layout = |base, first, pages| {
        let base = KernelAddr::new(base);
        ArenaLayout::new(base, AddressWidth::BITS_48, index(first), count(pages)).map(|layout| layout.extent())
    };
    let good = 0xffff_9000_0000_0000;
    assert_eq!(layout(good + 0x1000, 1, 1), Err(LayoutError::BaseNotAligned));
    assert_eq!(layout(0x1234_0000_0000_0000, 1, 1), Err(LayoutError::BaseNotCanonical));
    assert_eq!(layout(0xffff_ffff_0000_0000, 1, 1), Err(LayoutError::GuardLeavesHalf));
    assert_eq!(layout(good, 1, 0), Err(LayoutError::ExtentEmpty));
    assert_eq!(layout(good, 0, 5), Err(LayoutError::ExtentHasPageZero));
    assert_eq!(layout(good, 2, WINDOW_PAGES - 1), Err(LayoutError::ExtentOutsideWindow));
    assert_eq!(layout(good, WINDOW_PAGES - 1, 1), Ok(super::pages(WINDOW_PAGES - 1, 1)));
    assert_eq!(page(1).offset(), 4096);
    assert_eq!((PageIndex::new(WINDOW_PAGES), PageCount::new(WINDOW_PAGES + 1)), (None, None));
}
