//! Slots: an entry is put into the page tables and taken out again, the walk to it included.
//!
//! Whose a page is was settled before: the library's page numbers are claimed once for all, and of its operations this is the walk
//! and the change of the slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::bench::Slots as Claimed;
use kernel_arena::platform::Frame;
use kernel_arena::{Owner, PageIndex};

use super::Pages as _;
use super::frames;
use super::ours::{AtOnce, Kernel};
#[cfg(target_arch = "x86_64")]
use crate::harness::peer;
use crate::harness::{Alone, Both, Case, Operation, Subject, Work, limit, ours};

/// Puts an entry in, and takes it out.
trait Slots: Send + Sync + 'static {
    fn install(&self, page: u32);
    fn clear(&self, page: u32);
    fn is_filled(&self, page: u32) -> bool;
}

/// Those of an arena, all of whose pages are claimed.
struct Ours {
    slots: Claimed<'static, Kernel>,
    pages: AtOnce,
}

impl Ours {
    fn new(pages: u32) -> Self {
        let pages = AtOnce::new(pages);
        let slots = Claimed::claim(pages.arena(), pages.arena().layout().extent()).expect("nobody has any");
        Self { slots, pages }
    }
}

impl Slots for Ours {
    #[inline(always)]
    fn install(&self, page: u32) {
        let frame = Frame::new(frames::for_page()).expect("its address");
        let page = PageIndex::new(page).expect("a page");
        // SAFETY: all pages are claimed for ever; nobody allocates these frames, and no processor walks the tables.
        let done = unsafe { self.slots.install(page, frame, Owner::Kernel) };
        assert!(done, "it was empty");
    }
    #[inline(always)]
    fn clear(&self, page: u32) {
        let page = PageIndex::new(page).expect("a page");
        // SAFETY: as above.
        let frame = unsafe { self.slots.take(page, Owner::Kernel) };
        assert!(frame.is_some(), "nobody else has it");
    }
    fn is_filled(&self, page: u32) -> bool {
        self.pages.is_mapped(page)
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! tables {
    ($($table:ident),*) => { $(impl Slots for super::locked::$table {
        #[inline(always)]
        fn install(&self, page: u32) {
            self.map(page, frames::for_page());
        }
        #[inline(always)]
        fn clear(&self, page: u32) {
            self.unmap(page);
        }
        fn is_filled(&self, page: u32) -> bool {
            self.is_mapped(page)
        }
    })* };
}
#[cfg(target_arch = "x86_64")]
tables!(Offset, Multiarch);

/// A word for each page.
struct Array(Vec<AtomicU64>);

impl Slots for Array {
    #[inline(always)]
    fn install(&self, page: u32) {
        let slot = &self.0[page as usize];
        let done = slot.compare_exchange(0, frames::for_page() | 3, Ordering::AcqRel, Ordering::Relaxed);
        assert!(done.is_ok(), "it was empty");
    }
    #[inline(always)]
    fn clear(&self, page: u32) {
        let slot = &self.0[page as usize];
        let there = slot.load(Ordering::Relaxed);
        let done = slot.compare_exchange(there, 0, Ordering::AcqRel, Ordering::Relaxed);
        assert!(done.is_ok(), "nobody else has it");
    }
    fn is_filled(&self, page: u32) -> bool {
        self.0[page as usize].load(Ordering::Relaxed) != 0
    }
}

/// Fills one slot after the other of those from `first` on, and empties it again.
struct Walk<S> {
    slots: Arc<S>,
    first: u32,
    last: u32,
    page: u32,
}

impl<S: Slots> Walk<S> {
    fn new(slots: Arc<S>, first: u32, pages: u32) -> Self {
        Self { slots, first, last: first + pages - 1, page: first }
    }
}

impl<S: Slots> Operation for Walk<S> {
    #[inline(always)]
    fn run(&mut self) {
        self.slots.install(self.page);
        self.slots.clear(self.page);
        self.page = if self.page == self.last { self.first } else { self.page + 1 };
    }
}

fn checked<S: Slots, W: Work>(slots: S, work: impl Fn(Arc<S>) -> W) -> W {
    for page in 1..64 {
        slots.install(page);
        assert!(slots.is_filled(page), "what is written is read back");
        slots.clear(page);
        assert!(!slots.is_filled(page), "it is empty again");
    }
    work(Arc::new(slots))
}

/// The subjects, each with the work that this macro's last word makes of its slots.
macro_rules! subjects {
    ($pages:expr, $work:expr) => {{
        let pages: u32 = $pages;
        let mut subjects: Vec<Subject> = vec![ours(checked(Ours::new(pages), $work))];
        #[cfg(target_arch = "x86_64")]
        subjects.push(peer("x86_64", checked(super::locked::Offset::new(pages), $work)));
        #[cfg(target_arch = "x86_64")]
        subjects.push(peer("page_table_multiarch", checked(super::locked::Multiarch::new(pages), $work)));
        let array = Array((0..=pages).map(|_| AtomicU64::new(0)).collect());
        subjects.push(limit("flat array", checked(array, $work)));
        subjects
    }};
}

/// All cases.
pub(crate) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    let case =
        |name: &str, threads, subjects| Case { group: "slots", name: name.to_owned(), threads, at: None, subjects };
    vec![
        Box::new(move || case("512 pages", 1, subjects!(512, |slots| Alone(Walk::new(slots, 1, 512))))),
        Box::new(move || case("2^18 pages", 1, subjects!(1 << 18, |slots| Alone(Walk::new(slots, 1, 1 << 18))))),
        Box::new(move || {
            let half = 1 << 17;
            let subjects = subjects!(2 * half, |slots| Both::new([
                Walk::new(Arc::clone(&slots), 1, half),
                Walk::new(slots, 1 + half, half)
            ]));
            case("2^18 pages, two threads on disjoint halves", 2, subjects)
        }),
    ]
}
