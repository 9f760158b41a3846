//! What is written down about a slab: which of its objects are in it.
//!
//! (O2, O3.) One bit an object, in up to eight words. A bit that is set says that the object is in the slab; whoever
//! clears it has the object, and the slab cannot be retired until it is set again. So holding an object (or having
//! taken a bit) *pins* the slab: its description does not change meanwhile. Whoever is late and has taken nothing may
//! find the header describing another slab, of another class; so a description that was read before a bit was taken is
//! read again after it.
//!
//! Orderings: a bit is set with Release and cleared with Acquire, so whoever takes an object sees all that its last
//! holder did, and whoever takes them all sees all that anybody did. The description is written before the bits of a
//! new slab are set.

use super::classes::SizeClass;
use crate::addr::{PAGE_SHIFT, PageRange};
use crate::store::{Blank, Stable};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Words of bits.
const WORDS: u32 = if cfg!(kernel_arena_loom) { 2 } else { 8 };
/// Objects of a word: its bits, but under `cfg(kernel_arena_loom)` two.
pub(super) const WORD_OBJECTS: u32 = if cfg!(kernel_arena_loom) { 2 } else { 64 };

/// On the list of slabs that may have objects in them, or in the hands of whoever puts it there or has just taken it
/// off.
pub(super) const LISTED: u32 = 1 << 0;
/// Its pages are gone: whoever takes it off the list passes the header on.
pub(super) const RETIRED: u32 = 1 << 1;

/// A header: stays one for ever, for one slab after another.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Header {
    free: [AtomicU64; WORDS as usize],
    description: AtomicU64,
    link: AtomicU32,
    pub(super) state: AtomicU32,
    /// The pages of the slab if it is empty and noted as such (`empties`).
    pub(super) mark: AtomicU32,
    index: u32,
}

/// Which slab a header stands for: a word, so that it is read at one moment. Class + 1 in 7:0, objects in 17:8, first
/// page in 37:18, pages in 42:38.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description(u64);

const OBJECTS_SHIFT: u32 = 8;
const OBJECTS_BITS: u32 = 10;
const FIRST_SHIFT: u32 = 18;
const FIRST_BITS: u32 = 20;
const PAGES_SHIFT: u32 = 38;
const PAGES_BITS: u32 = 5;

// SAFETY: words that are zero.
unsafe impl Blank for Header {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self {
            free: core::array::from_fn(|_| AtomicU64::new(0)),
            description: AtomicU64::new(0),
            link: AtomicU32::new(0),
            state: AtomicU32::new(0),
            mark: AtomicU32::new(0),
            index: 0,
        }
    }
}

impl Stable for Header {
    fn set_index(&mut self, index: u32) {
        self.index = index;
    }

    fn link(&self) -> &AtomicU32 {
        &self.link
    }
}

impl Header {
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// The slab, if the header stands for one.
    #[inline]
    pub(super) fn description(&self) -> Option<Description> {
        let word = self.description.load(Ordering::Acquire);
        (word != 0).then_some(Description(word))
    }

    /// Makes the header stand for a slab of which no object is in it yet.
    pub(super) fn describe(&self, slab: Description) {
        self.description.store(slab.0, Ordering::Release);
    }

    /// Makes it stand for none. Only whoever holds every object may.
    pub(super) fn undescribe(&self) {
        self.description.store(0, Ordering::Release);
    }

    /// Which objects of a word are in the slab, as a hint.
    pub(super) fn hint(&self, word: u32) -> u64 {
        self.free[(word % WORDS) as usize].load(Ordering::Relaxed)
    }

    /// Takes objects of a word out; says which of them were in.
    pub(super) fn take(&self, word: u32, objects: u64) -> u64 {
        self.free[(word % WORDS) as usize].fetch_and(!objects, Ordering::Acquire) & objects
    }

    /// Takes all objects of a word out, if all are in.
    pub(super) fn take_all(&self, word: u32, all: u64) -> bool {
        self.free[(word % WORDS) as usize].compare_exchange(all, 0, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Puts objects of a word in; says which were in before.
    pub(super) fn give(&self, word: u32, objects: u64) -> u64 {
        self.free[(word % WORDS) as usize].fetch_or(objects, Ordering::Release)
    }

    /// Whether any object is in. Acquire: whoever sees one sees the description of the slab that it is in, too.
    pub(super) fn has_objects(&self) -> bool {
        self.free.iter().any(|word| word.load(Ordering::Acquire) != 0)
    }

    /// How many objects are in, counted word by word.
    pub(super) fn count(&self) -> u32 {
        (0..WORDS).map(|word| self.hint(word).count_ones()).sum()
    }
}

impl Description {
    /// As many objects of a class as fit these pages.
    pub(super) fn new(class: SizeClass, pages: PageRange) -> Self {
        let count = pages.count().get();
        let fields = [
            (u32::from(class.number()) + 1, 0),
            (class.objects_in(count), OBJECTS_SHIFT),
            (pages.first().number(), FIRST_SHIFT),
            (count, PAGES_SHIFT),
        ];
        Self(fields.into_iter().fold(0, |word, (value, shift)| word | u64::from(value) << shift))
    }

    #[inline]
    const fn field(self, shift: u32, bits: u32) -> u32 {
        (self.0 >> shift & ((1 << bits) - 1) & 0xffff_ffff) as u32
    }

    #[inline]
    pub(super) const fn class(self) -> SizeClass {
        SizeClass::from_number((self.0 & 0xff) as u8 - 1)
    }

    #[inline]
    pub(super) const fn objects(self) -> u32 {
        self.field(OBJECTS_SHIFT, OBJECTS_BITS)
    }

    /// The offset of its first byte in the window.
    #[inline]
    pub(super) const fn start(self) -> u32 {
        self.field(FIRST_SHIFT, FIRST_BITS) << PAGE_SHIFT
    }

    pub(super) const fn pages(self) -> PageRange {
        PageRange::of(self.field(FIRST_SHIFT, FIRST_BITS), self.field(PAGES_SHIFT, PAGES_BITS))
    }

    /// How many words its objects have.
    pub(super) const fn words(self) -> u32 {
        self.objects().div_ceil(WORD_OBJECTS)
    }

    /// The bits of a word that stand for objects.
    pub(super) const fn all(self, word: u32) -> u64 {
        match self.objects().saturating_sub(word * WORD_OBJECTS) {
            0 => 0,
            rest if rest >= WORD_OBJECTS => !0 >> (64 - WORD_OBJECTS),
            rest => (1 << rest) - 1,
        }
    }

    /// The offset of an object in the window.
    pub(super) fn offset(self, object: u32) -> u32 {
        self.start() + object * self.class().size_u32()
    }

    /// The object that starts at an offset; `None` if none does.
    pub(super) fn object_at(self, offset: u32) -> Option<u32> {
        self.object_of(self.class(), offset)
    }

    /// The same for a caller that knows the class; `None` if that is wrong.
    #[inline]
    pub(super) fn object_of(self, class: SizeClass, offset: u32) -> Option<u32> {
        let (object, rest) = class.divide(offset.wrapping_sub(self.start()));
        (self.class() == class && rest == 0 && object < self.objects()).then_some(object)
    }

    /// Bytes that no object has.
    pub(super) fn tail_bytes(self) -> u64 {
        self.pages().count().bytes() - u64::from(self.objects()) * self.class().size() as u64
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use core::mem::MaybeUninit;
    use core::ptr::NonNull;

    use super::*;
    use crate::store::make_blank;

    #[test]
    fn descriptions_come_back_as_they_were_written() {
        for class in SizeClass::all() {
            for (first, pages) in [(1, class.least_slab_pages()), ((1 << 20) - 17, class.full_slab_pages())] {
                let slab = Description::new(class, PageRange::of(first, pages));
                assert_eq!((slab.class(), slab.pages()), (class, PageRange::of(first, pages)));
                let mut header = MaybeUninit::uninit();
                // SAFETY: there is room for one.
                unsafe { make_blank(NonNull::from(&mut header).cast::<Header>()) };
                // SAFETY: made just now.
                let header: Header = unsafe { header.assume_init() };
                assert_eq!(header.description(), None);
                header.describe(slab);
                assert_eq!(header.description(), Some(slab));
                assert_eq!((0..WORDS).map(|word| slab.all(word).count_ones()).sum::<u32>(), slab.objects());
                for object in 0..slab.objects() {
                    assert_eq!(slab.object_at(slab.offset(object)), Some(object));
                    assert_eq!(slab.object_at(slab.offset(object) + 4), None);
                }
                assert_eq!(slab.object_at(slab.offset(slab.objects())), None);
                header.undescribe();
                assert_eq!(header.description(), None);
            }
        }
    }
}
