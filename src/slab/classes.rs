//! Size classes: which object sizes there are, and how many of each a slab and a magazine hold.
//!
//! Up to 64 bytes every multiple of 8; above, four a doubling (80, 96, 112, 128, 160, …) up to 32 KiB. An object is
//! aligned to the largest power of two that divides its size, at most a page, since slabs start on pages.
//!
//! | requests of (bytes) | step | bytes left over, at most |
//! |---|---|---|
//! | 1 to 64 | 8 | 7 |
//! | 65 to 128 | 16 | 15 of 80 (18.8 %) |
//! | 129 to 256 | 32 | 31 of 160 (19.4 %) |
//! | 257 to 32 768 | a quarter of the power of two below | less than 20 % |
//!
//! So from 25 bytes on, with an alignment of up to 8, at most 21.9 % of an object is not what was asked for (25 in 32);
//! more alignment may take one of the next three classes. Below that the step of 8 bytes
//! is the limit. A slab is cut without remainder; one that is smaller than it might be, because memory was short or the
//! class is new, may leave a tail of less than an object.

use core::alloc::Layout;

use crate::addr::{PAGE_BYTES, PAGE_SHIFT};

/// How many classes there are (two under `cfg(kernel_arena_loom)`: four objects a page, or two).
pub const CLASS_COUNT: usize = if cfg!(kernel_arena_loom) { 2 } else { 44 };
/// The size of the largest class in bytes.
pub const LARGEST: usize = if cfg!(kernel_arena_loom) { 1 << 11 } else { 1 << 15 };
/// The size of the largest object that a mode serves whole, with what it adds.
#[cfg(not(kernel_arena_loom))]
#[inline]
pub(crate) const fn largest_object(mode: super::Mode) -> usize {
    match mode {
        super::Mode::Fast => LARGEST,
        super::Mode::Debug => LARGEST - super::canary::CANARY_BYTES,
    }
}

/// The size of the smallest.
const SMALLEST: u32 = if cfg!(kernel_arena_loom) { 1 << 10 } else { 8 };
/// Objects of a slab, at most: eight words of 64.
pub(super) const SLAB_OBJECTS: u32 = 512;
/// Pages of a slab, at most.
pub(super) const SLAB_PAGES: u32 = if cfg!(kernel_arena_loom) { 1 } else { 16 };
/// Objects of a magazine, at most.
pub(super) const MAGAZINE_OBJECTS: u32 = if cfg!(kernel_arena_loom) { 2 } else { 128 };

/// Objects of a depot, at most; it keeps fewer if they are large.
const DEPOT_OBJECTS: u32 = if cfg!(kernel_arena_loom) { 2 } else { 1024 };
const DEPOT_BYTES: u32 = 1 << 20;
const MAGAZINE_BYTES: u32 = 1 << 15;
const LEAST_SURPLUS: u32 = 1 << 13;
const PAGE: u32 = 1 << PAGE_SHIFT;

/// A size class, 0 to 43.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeClass(u8);

#[derive(Clone, Copy, Debug)]
struct Class {
    size: u32,
    /// 2^32 / size, rounded up: multiplying by it divides offsets within a slab exactly.
    reciprocal: u32,
    magazine: u32,
    depot: u32,
    slab_pages: u32,
}

/// A power of two of them, so that a mask keeps a number in bounds.
static CLASSES: [Class; 64] = {
    let mut classes = [describe(SMALLEST); 64];
    let mut number = 0;
    let mut size = SMALLEST;
    while number < CLASS_COUNT {
        classes[number] = describe(size);
        size += step(size);
        number += 1;
    }
    classes
};

/// The number after the last class: no class. Whoever has no magazines for it finds the dummy and takes the slow path.
pub(super) const NO_CLASS: u8 = if cfg!(kernel_arena_loom) { 2 } else { 44 };
const _: () = assert!(NO_CLASS as usize == CLASS_COUNT);

/// The class of a size, by the number of 8-byte grains: one load, where arithmetic takes twice as long. A constant, so
/// that the crate it is inlined into has it at hand: a static would be reached through a table of addresses.
const BY_GRAINS: &[u8; LARGEST / 8 + 1] = &{
    let mut table = [NO_CLASS; LARGEST / 8 + 1];
    let mut class = 0;
    let mut grains = 1;
    while grains < table.len() {
        if grains * 8 > CLASSES[class as usize].size as usize {
            class += 1;
        }
        table[grains] = class;
        grains += 1;
    }
    table
};

/// From one class to the next.
const fn step(size: u32) -> u32 {
    if cfg!(kernel_arena_loom) {
        return size;
    }
    if size < 64 { 8 } else { 1 << (size.ilog2() - 2) }
}

const fn describe(size: u32) -> Class {
    let magazine = at_most(MAGAZINE_BYTES / size, MAGAZINE_OBJECTS);
    let depot = at_most(DEPOT_BYTES / size, DEPOT_OBJECTS) / magazine;
    Class { size, reciprocal: u32::MAX / size + 1, magazine, depot, slab_pages: full_slab(size) }
}

/// The most pages, up to [`SLAB_PAGES`] and [`SLAB_OBJECTS`], that objects fill without remainder.
const fn full_slab(size: u32) -> u32 {
    let mut pages = SLAB_PAGES;
    while pages * PAGE % size != 0 || pages * PAGE / size > SLAB_OBJECTS {
        pages -= 1;
    }
    pages
}

const fn at_most(value: u32, limit: u32) -> u32 {
    if value < limit { value } else { limit }
}

/// The class's number for a size; [`NO_CLASS`] if there is none.
#[inline]
pub(super) fn hot_class(size: usize) -> u8 {
    if size <= LARGEST { BY_GRAINS[size.div_ceil(8)] } else { NO_CLASS }
}

/// Whether the size alone decides a layout's class: up to the largest, aligned to 8 bytes, or to 16 like its size, for
/// then its class is, too.
#[inline]
pub(super) const fn is_hot(layout: Layout) -> bool {
    layout.size() <= LARGEST && (layout.align() <= 8 || is_aligned_to_16(layout))
}

#[cold]
#[inline]
const fn is_aligned_to_16(layout: Layout) -> bool {
    layout.align() == 16 && layout.size() % 16 == 0
}

impl SizeClass {
    /// The class for a layout: the smallest one whose objects are large enough and aligned. `None` for size 0, sizes
    /// above [`LARGEST`], and alignments above a page.
    #[inline]
    pub fn of(layout: Layout) -> Option<Self> {
        if layout.align() <= 8 { Self::of_size(layout.size()) } else { Self::of_aligned(layout) }
    }

    /// The class for a size, aligned to at least 8 bytes from 8 bytes on. `None` for size 0 and above [`LARGEST`].
    #[inline]
    pub fn of_size(size: usize) -> Option<Self> {
        match hot_class(size) {
            NO_CLASS => None,
            class => Some(Self(class)),
        }
    }

    /// Multiples of the alignment are the sizes to look among; one of the next three classes is aligned, because every
    /// fourth is a power of two.
    fn of_aligned(layout: Layout) -> Option<Self> {
        if layout.size() == 0 || layout.align() > PAGE_BYTES {
            return None;
        }
        let first = Self::of_size(layout.size().checked_next_multiple_of(layout.align())?)?;
        Self::all().skip(usize::from(first.0)).find(|class| class.align() >= layout.align())
    }

    /// All classes, smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u8::MAX).take(CLASS_COUNT).map(Self)
    }

    /// The class's number in one byte.
    #[inline]
    pub(super) const fn number(self) -> u8 {
        self.0
    }

    /// The class's number.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The class with a number that [`number`](Self::number) gave.
    pub(super) const fn from_number(number: u8) -> Self {
        Self(number)
    }

    #[inline]
    fn class(self) -> &'static Class {
        &CLASSES[usize::from(self.0) % CLASSES.len()]
    }

    /// Bytes of an object.
    pub fn size(self) -> usize {
        self.class().size as usize
    }

    /// A layout that this class serves: its size, aligned to 8 bytes.
    pub(super) fn layout(self) -> Layout {
        // Never refused: sizes are far below the limit, and 8 is a power of two.
        Layout::from_size_align(self.size(), 8).unwrap_or(Layout::new::<u64>())
    }

    pub(super) fn size_u32(self) -> u32 {
        self.class().size
    }

    /// What the address of an object is a multiple of: at most 4096.
    pub fn align(self) -> usize {
        let natural = 1 << self.class().size.trailing_zeros();
        if natural < PAGE_BYTES { natural } else { PAGE_BYTES }
    }

    /// Objects of a magazine.
    pub(super) fn magazine_objects(self) -> u32 {
        self.class().magazine
    }

    /// Magazines that a depot keeps.
    pub(super) fn depot_magazines(self) -> u32 {
        self.class().depot
    }

    /// What a full magazine counts for among those that a depot keeps beyond its own: its objects, but a magazine has
    /// bookkeeping, too.
    pub(super) fn surplus_bytes(self) -> u32 {
        (self.magazine_objects() * self.size_u32()).max(LEAST_SURPLUS)
    }

    /// Pages of a slab of the usual size.
    pub(super) fn full_slab_pages(self) -> u32 {
        self.class().slab_pages
    }

    /// Pages of the smallest slab: those of one object.
    pub(super) fn least_slab_pages(self) -> u32 {
        self.class().size.div_ceil(PAGE)
    }

    /// The fewest pages that hold as many objects as these: without a remainder of a page or more.
    pub(super) fn fitted(self, pages: u32) -> u32 {
        (self.objects_in(pages) * self.class().size).div_ceil(PAGE)
    }

    /// Objects that fit so many pages.
    pub(super) fn objects_in(self, pages: u32) -> u32 {
        (pages * PAGE / self.class().size).min(SLAB_OBJECTS)
    }

    /// Which object of a slab a byte, counted from the slab's start, belongs to, and the byte's number in it.
    #[inline]
    pub(super) fn divide(self, bytes: u32) -> (u32, u32) {
        let class = self.class();
        let quotient = (u64::from(bytes) * u64::from(class.reciprocal)) >> 32;
        let quotient = (quotient & 0xffff_ffff) as u32;
        // Wrapping: a late reader may mistake the slab, and then the quotient may be one too large; the rest is not 0
        // then.
        (quotient, bytes.wrapping_sub(quotient.wrapping_mul(class.size)))
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn sizes_are_what_the_table_says() {
        let sizes: Vec<_> = SizeClass::all().map(SizeClass::size).collect();
        assert_eq!(sizes[..13], [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160]);
        assert_eq!(sizes[CLASS_COUNT - 5..], [16384, 20480, 24576, 28672, LARGEST]);
    }

    #[test]
    fn waste_is_at_most_a_quarter_from_25_bytes_on() {
        for size in 1..=LARGEST {
            let got = SizeClass::of_size(size).unwrap().size();
            assert!(got >= size);
            assert!(got - size < 8 || (got - size) * 100 < 22 * got, "{size} in {got}");
            assert!(size < 25 || (got - size) * 100 < 22 * got, "{size} in {got}");
        }
        assert_eq!(SizeClass::of_size(0), None);
        assert_eq!(SizeClass::of_size(LARGEST + 1), None);
    }

    #[test]
    fn every_class_is_the_smallest_that_fits_and_is_aligned() {
        for align in (0..=12).map(|shift| 1 << shift) {
            for size in (1..=LARGEST).step_by(7).chain((16..=LARGEST).step_by(16)) {
                let class = SizeClass::of(layout(size, align));
                let best = SizeClass::all().find(|class| {
                    // A size below 8 asks for no more alignment than its class has.
                    class.size() >= size && (align <= 8 && class.size() % align == 0 || class.align() >= align)
                });
                assert_eq!(class, best, "{size} aligned to {align}");
                assert!(!is_hot(layout(size, align)) || class == SizeClass::of_size(size), "{size} aligned to {align}");
            }
        }
        assert_eq!(SizeClass::of(layout(1, 8192)), None);
        assert_eq!(SizeClass::of(layout(0, 1)), None);
    }

    #[test]
    fn full_slabs_have_no_remainder() {
        for class in SizeClass::all() {
            let pages = class.full_slab_pages();
            assert_eq!(pages * 4096 % class.size_u32(), 0);
            assert!(class.objects_in(pages) <= SLAB_OBJECTS);
            assert!(class.objects_in(class.least_slab_pages()) >= 1);
            assert_eq!(class.fitted(pages), pages);
            for fewer in class.least_slab_pages()..pages {
                assert!(
                    fewer * 4096 - class.objects_in(fewer) * class.size_u32() >= (fewer - class.fitted(fewer)) * 4096
                );
            }
            assert!(class.magazine_objects() >= 1 && class.depot_magazines() >= 1);
        }
    }

    #[test]
    fn division_is_exact() {
        for class in SizeClass::all() {
            for byte in 0..SLAB_PAGES * 4096 {
                assert_eq!(class.divide(byte), (byte / class.size_u32(), byte % class.size_u32()));
            }
            // What a late reader may ask finds no object, and no panic.
            for byte in u32::MAX - SLAB_PAGES * 4096..=u32::MAX {
                let (object, rest) = class.divide(byte);
                assert!(rest != 0 || object >= SLAB_OBJECTS, "{byte} of {class:?}");
            }
        }
    }
}
