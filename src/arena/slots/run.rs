//! The slots of many pages, one after another: each leaf table is looked up once.

use crate::addr::PageRange;
use crate::arch::Arch;
use crate::arena::Arena;
use crate::platform::Platform;
use crate::sync::AtomicU64;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Shows the slots of pages of the extent in order, each with its page, until one is not as `go_on` would have it. Returns how
    /// many were.
    #[inline(always)] // Each caller has a loop of its own.
    pub(in crate::arena) fn while_slots(
        &self,
        pages: PageRange,
        mut go_on: impl FnMut(u32, &AtomicU64) -> bool,
    ) -> u32 {
        let (first, count) = (pages.first().number(), pages.count().get());
        let mut seen = 0;
        while seen < count {
            let slots = self.slots_from(first + seen, count - seen);
            if slots.is_empty() {
                break;
            }
            for slot in slots {
                if !go_on(first + seen, slot) {
                    return seen;
                }
                seen += 1;
            }
        }
        seen
    }

    /// Those of one leaf table: asked for once in each, so that the loops need not have it inside.
    #[inline(never)]
    fn slots_from(&self, page: u32, most: u32) -> &[AtomicU64] {
        self.tables.slots_from(&self.platform, page, most)
    }
}
