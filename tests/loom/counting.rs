//! Whether any mark is set: what an access that stops asks before it looks for a page's own.
//!
//! Guards: a mark that somebody has seen, or set, is counted (counted, then set with Release; cleared with Acquire, then
//! counted off), so an access that comes after a page was scratched does not take its scratch for a page; and at rest nothing
//! is counted that is not marked, or every access would look for ever.

use std::sync::Arc;

use kernel_arena::sync::{AtomicU64, Ordering};

use crate::bitmap::Bitmap;
use crate::counted::AtLeast;
use crate::explore::{UNBOUNDED, explore_without_arena, preemptions};
use crate::race::race_of_three;

struct Marks {
    bits: Bitmap,
    marked: AtLeast,
}

impl Marks {
    /// With these bits marked.
    fn with(bits: &[u32]) -> Arc<Self> {
        let words = vec![AtomicU64::new(0)].leak();
        let marks = Self { bits: Bitmap::new(words), marked: AtLeast::none() };
        bits.iter().for_each(|bit| marks.set(*bit));
        Arc::new(marks)
    }

    fn set(&self, bit: u32) {
        self.marked.set(1, || self.bits.set_bit(bit).into());
    }

    fn clear(&self, bit: u32) {
        self.marked.clear(|| self.bits.take_bit(bit).into());
    }

    /// What was marked before, and is not healed: it must be counted.
    fn assert_counted(&self) {
        assert!(!self.marked.is_none(), "a mark is set that is not counted");
    }
}

#[test]
fn a_mark_that_was_seen_is_counted_whatever_others_mark_and_heal() {
    explore_without_arena("two marks of one page, another healed, and who sees the mark", preemptions(2), 3, |first| {
        let marks = Marks::with(&[1]);
        let mark = |marks: &Marks| {
            marks.set(0);
            marks.assert_counted();
        };
        let heal_another = |marks: &Marks| {
            marks.clear(1);
            marks.set(0);
            marks.assert_counted();
        };
        let see = |marks: &Marks| {
            if marks.bits.test(0, Ordering::Acquire) {
                marks.assert_counted();
            }
        };
        race_of_three(first, &marks, mark, heal_another, see);
        marks.assert_counted();
        marks.clear(0);
        assert!(marks.marked.is_none(), "counted, and not marked");
    });
}

#[test]
fn marking_and_healing_one_page_at_once_leaves_the_count_of_what_is_marked() {
    explore_without_arena("a page marked twice and healed", UNBOUNDED, 3, |first| {
        let marks = Marks::with(&[]);
        race_of_three(first, &marks, |marks| marks.set(0), |marks| marks.set(0), |marks| marks.clear(0));
        assert_eq!(marks.marked.is_none(), !marks.bits.test(0, Ordering::Relaxed));
        marks.clear(0);
        assert!(marks.marked.is_none());
    });
}
