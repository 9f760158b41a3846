//! Slots: an entry is put into the page tables and taken out again, the walk to it included.
//!
//! The library's is what its callers can do that comes nearest: a page is set aside and let go, by its number. So it has the claim of
//! the number and its end in it, which the others leave to somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ours::AtOnce;
use super::{Pages, frames};
#[cfg(target_arch = "x86_64")]
use crate::harness::peer;
use crate::harness::{Alone, Both, Case, Subject, Work, limit, ours};

/// Puts an entry in, and takes it out.
trait Slots: Send + Sync + 'static {
    fn install(&self, page: u32);
    fn clear(&self, page: u32);
    fn is_filled(&self, page: u32) -> bool;
}

impl Slots for AtOnce {
    #[inline]
    fn install(&self, page: u32) {
        self.reserve(page);
    }
    #[inline]
    fn clear(&self, page: u32) {
        self.free(page, 1);
    }
    fn is_filled(&self, page: u32) -> bool {
        let page = kernel_arena::PageIndex::new(page).expect("a page");
        matches!(self.arena().page_state(page), Some(kernel_arena::SlotState::Reserved(_)))
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! tables {
    ($($table:ident),*) => { $(impl Slots for super::locked::$table {
        #[inline]
        fn install(&self, page: u32) {
            self.map(page, frames::for_page());
        }
        #[inline]
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
    #[inline]
    fn install(&self, page: u32) {
        let slot = &self.0[page as usize];
        let done = slot.compare_exchange(0, frames::for_page() | 3, Ordering::AcqRel, Ordering::Relaxed);
        assert!(done.is_ok(), "it was empty");
    }
    #[inline]
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
fn walk<S: Slots>(slots: Arc<S>, first: u32, pages: u32) -> impl FnMut() + Send {
    let mut page = first;
    move || {
        slots.install(page);
        slots.clear(page);
        page = if page + 1 == first + pages { first } else { page + 1 };
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
        let mut subjects: Vec<Subject> = vec![ours(checked(AtOnce::new(pages), $work))];
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
        Box::new(move || case("512 pages", 1, subjects!(512, |slots| Alone(walk(slots, 1, 512))))),
        Box::new(move || case("2^18 pages", 1, subjects!(1 << 18, |slots| Alone(walk(slots, 1, 1 << 18))))),
        Box::new(move || {
            let half = 1 << 17;
            let subjects =
                subjects!(2 * half, |slots| Both([walk(Arc::clone(&slots), 1, half), walk(slots, 1 + half, half)]));
            case("2^18 pages, two threads on disjoint halves", 2, subjects)
        }),
    ]
}
