//! A lock-free stack of numbers whose links lie beside what they number.
//!
//! The head is one word: a number (plus one; 0 is "empty") in the low bits, a tag above that counts changes. A pop that
//! was overtaken finds another tag and tries again, so the link that it read is the right one whenever its exchange
//! succeeds; the tag comes round after 2^(64 - `INDEX_BITS`) changes, which nobody is interrupted for.
//!
//! Orderings: a push is Release and a look at the head Acquire, so whoever takes a number sees all that was done before
//! it was pushed. A pop's exchange continues the release sequence of the pushes before it.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Where the links of a stack are.
pub(crate) trait Links {
    /// The link of the entry with this number.
    fn link(&self, index: u32) -> Option<&AtomicU32>;
}

/// The stack.
#[derive(Debug)]
pub(crate) struct TaggedStack<const INDEX_BITS: u32> {
    head: AtomicU64,
}

/// What the head was when somebody looked: it is not the same twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Top(u64);

impl<const INDEX_BITS: u32> TaggedStack<INDEX_BITS> {
    const MASK: u64 = (1 << INDEX_BITS) - 1;
    const TAG: u64 = 1 << INDEX_BITS;

    #[cfg(not(kernel_arena_loom))]
    pub(crate) const fn new() -> Self {
        Self { head: AtomicU64::new(0) }
    }

    #[cfg(kernel_arena_loom)]
    pub(crate) fn new() -> Self {
        Self { head: AtomicU64::new(0) }
    }

    /// A head after `old` that names `entry` (0: none).
    fn next_head(old: u64, entry: u64) -> u64 {
        (old & !Self::MASK).wrapping_add(Self::TAG) | entry
    }

    /// The number on top, and the head that says so.
    #[expect(clippy::cast_possible_truncation, reason = "the mask leaves at most 32 bits")]
    pub(crate) fn peek(&self) -> Option<(Top, u32)> {
        let head = self.head.load(Ordering::Acquire);
        let entry = (head & Self::MASK) as u32;
        (entry != 0).then(|| (Top(head), entry - 1))
    }

    /// Puts a number on top: one that is on no stack, and below 2^`INDEX_BITS` - 1.
    #[expect(clippy::cast_possible_truncation, reason = "the mask leaves at most 32 bits")]
    pub(crate) fn push(&self, index: u32, links: &impl Links) {
        let Some(link) = links.link(index) else { return };
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store((head & Self::MASK) as u32, Ordering::Relaxed);
            let next = Self::next_head(head, u64::from(index) + 1);
            match self.head.compare_exchange_weak(head, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the number on top.
    pub(crate) fn pop(&self, links: &impl Links) -> Option<u32> {
        loop {
            let (top, index) = self.peek()?;
            if self.pop_exactly(top, index, links) {
                return Some(index);
            }
        }
    }

    /// Takes the number that a [`peek`](Self::peek) saw, if nothing happened since.
    pub(crate) fn pop_exactly(&self, Top(head): Top, index: u32, links: &impl Links) -> bool {
        let Some(link) = links.link(index) else { return false };
        // Relaxed: pushed before the head that was read with Acquire; if it changed since, the exchange fails.
        let below = u64::from(link.load(Ordering::Relaxed)) & Self::MASK;
        let next = Self::next_head(head, below);
        self.head.compare_exchange(head, next, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    struct Array([AtomicU32; 8]);
    impl Links for Array {
        fn link(&self, index: u32) -> Option<&AtomicU32> {
            self.0.get(index as usize)
        }
    }

    #[test]
    fn last_in_first_out() {
        let links = Array(Default::default());
        let stack = TaggedStack::<16>::new();
        assert_eq!(stack.pop(&links), None);
        for index in [3, 0, 7] {
            stack.push(index, &links);
        }
        let (top, index) = stack.peek().unwrap();
        assert_eq!(index, 7);
        assert!(stack.pop_exactly(top, index, &links));
        stack.push(7, &links);
        assert!(!stack.pop_exactly(top, index, &links), "the same number again is another head");
        let order: Vec<_> = core::iter::from_fn(|| stack.pop(&links)).collect();
        assert_eq!(order, [7, 0, 3]);
    }
}
