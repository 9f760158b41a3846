//! Reservations: a page is set aside by its number, without a frame, and freed.

use super::Pages;
use super::limit::Flat;
#[cfg(target_arch = "x86_64")]
use super::locked::Locked;
use super::ours::AtOnce;
#[cfg(target_arch = "x86_64")]
use crate::harness::peer;
use crate::harness::{Alone, Case, Subject, limit, ours};

/// Somebody of whom a page can be had by its number.
pub(super) trait Numbers: 'static {
    /// Whether it was nobody's, and is the caller's now.
    fn reserve(&self, page: u32) -> bool;
    fn give_up(&self, page: u32);
}

impl Numbers for AtOnce {
    #[inline]
    fn reserve(&self, page: u32) -> bool {
        self.reserve_page(page)
    }
    #[inline]
    fn give_up(&self, page: u32) {
        self.free(page, 1);
    }
}

/// Takes one page after the other by its number, and gives it up again.
fn walk(numbers: impl Numbers, pages: u32) -> impl FnMut() + 'static {
    for page in 1..64 {
        assert!(numbers.reserve(page) && !numbers.reserve(page), "a page is one person's");
        numbers.give_up(page);
    }
    let mut page = 1;
    move || {
        assert!(numbers.reserve(page), "nobody has it");
        numbers.give_up(page);
        page = if page == pages { 1 } else { page + 1 };
    }
}

pub(super) fn case() -> Case {
    let pages = 1 << 18;
    let mut subjects: Vec<Subject> = vec![ours(Alone(walk(AtOnce::new(pages), pages)))];
    // Whose a page is, the bitmap does not say: whoever frees it is believed.
    #[cfg(target_arch = "x86_64")]
    subjects.push(peer("bitmap-allocator", Alone(walk(Locked::new(pages), pages))));
    subjects.push(limit("flat bitmap and array", Alone(walk(Flat::new(pages), pages))));
    super::case("one page, reserved by its number and freed", 1, subjects)
}
