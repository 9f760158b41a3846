//! Where there is room for a run, and why there is none.
//!
//! A refusal is cheap, since a program may be able to ask for it in a loop. It reads each word of the maps at most twice,
//! and most not at all if somebody was refused the same before (`pages::free_map`); then, in an arena of at most 512 pages,
//! each slot. In larger ones nobody looks at slots: what is being given back is counted (`pages::passing`), and if there
//! was nothing, there is no space. That a run without an alignment is refused is remembered until something is given back
//! (`pages::refused`): who asks for as many pages again, or for more, gets the same answer without a search. (But not what is
//! refused in any context while scratch is somewhere: it may be had by who may wait.)
//!
//! In the larger ones pages that are being *allocated* count as taken, as they will be; if an allocation gives up instead,
//! because a fault scratched its pages, that is a moment later.

use crate::addr::PageRange;
use crate::arch::Arch;
use crate::arena::{AllocError, Arena, Context};
use crate::pages::{Avoid, Moment};
use crate::platform::Platform;
use crate::sync::Ordering;

/// How many races an allocation may lose before it says that the arena is busy.
const LOSSES: u32 = 64;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// The lowest run, from a fraction of the extent in 2^-16 on, and then below it: then this CPU's start is no good any more.
    pub(super) fn find_run(
        &self,
        count: u32,
        align: u32,
        context: Context,
        from: u16,
    ) -> Result<PageRange, AllocError> {
        if self.maps.was_refused(count) {
            return self.no_space();
        }
        let before = self.maps.before_search();
        let found = self.maps.find(count, align, Avoid::Tainted, from).or_else(|| match context {
            Context::MayWait => self.maps.find(count, align, Avoid::Nothing, from),
            Context::Any => None,
        });
        let found = found.ok_or_else(|| self.no_run(count, align, context, before))?;
        self.leave_if_below(self.maps.bit_of(found.first().number()), from);
        Ok(found)
    }

    /// Goes back to the lowest pages if the page with this bit was found below the CPU's own start.
    #[inline]
    pub(super) fn leave_if_below(&self, bit: u32, from: u16) {
        if from != 0 && self.maps.is_below(bit, from) {
            self.moved.full(self.cpu());
        }
    }

    /// Where this CPU begins to search.
    #[inline]
    pub(super) fn start(&self) -> u16 {
        self.moved.start(|| self.cpu())
    }

    /// Claims the lowest run, which may have been found already.
    ///
    /// Who lost a race goes on at a place of its own, so that CPUs that met once do not keep meeting (`moved`). Each loss is
    /// another's gain, so all together always move on.
    pub(super) fn claim_run(
        &self,
        count: u32,
        align: u32,
        context: Context,
        foreseen: Option<PageRange>,
    ) -> Result<PageRange, AllocError> {
        let mut found = foreseen.map_or_else(|| self.find_run(count, align, context, self.start()), Ok)?;
        for _ in 0..LOSSES {
            if self.maps.claim(found).is_ok() {
                return Ok(found);
            }
            found = self.find_run(count, align, context, self.moved.lost(self.cpu()))?;
        }
        Err(AllocError::Busy(self.reclaimable()))
    }

    /// What a request is refused with that was refused before.
    #[cold]
    #[inline(never)]
    pub(super) fn no_space(&self) -> Result<PageRange, AllocError> {
        Err(AllocError::NoSpace(self.reclaimable()))
    }

    /// Why there is no run: because none would be there even if all operations had ended, or because of those that have not.
    #[cold]
    fn no_run(&self, count: u32, align: u32, context: Context, before: Moment) -> AllocError {
        let busy = if self.maps.is_small() {
            self.would_be_run(count, align, context)
        } else {
            !self.maps.none_given_back_since(before)
        };
        if !busy && align == 1 {
            let left_alone = if context == Context::MayWait { Avoid::Nothing } else { Avoid::Tainted };
            self.maps.note_refused(count, left_alone, before);
        }
        let reclaimable = self.reclaimable();
        if busy { AllocError::Busy(reclaimable) } else { AllocError::NoSpace(reclaimable) }
    }

    /// Whether there is a run if pages in passing state are free, of a small extent.
    fn would_be_run(&self, count: u32, align: u32, context: Context) -> bool {
        let mut run = 0;
        self.layout.extent().numbers().any(|page| {
            let marked = || self.maps.tainted.pages().bits().test(self.maps.bit_of(page), Ordering::Acquire);
            let open = !self.maps.is_claimed(page) || self.is_passing(page);
            let starts = run > 0 || page & (align - 1) == 0;
            run = if open && starts && !(context == Context::Any && marked()) { run + 1 } else { 0 };
            run == count
        })
    }
}
