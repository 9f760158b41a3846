//! Faults of programs: a page is given, the instruction runs again, or the access is refused.
//!
//! At most two looks at the slot, one at the map of claimed pages, one allocation of one page: a bounded amount of work,
//! which waits for nothing. What is in the middle of somebody's operation is never a reason to end a program: it gets
//! [`Retry`](ProgramFaultOutcome::Retry), and when that operation is over the next fault finds an answer. The scratch page
//! is not put anywhere: it is for the kernel.
//!
//! A page that is there, and a fault all the same, is over with the next run of the instruction: somebody was faster, or a TLB
//! behind. Where the loaded tables do not lead to the page it would come for ever; and who is in the middle of an operation may
//! be a thread that this CPU never lets go on. So the answers that say `Retry` are counted as the kernel's own faults are
//! (`rows`): a long row of them, on one CPU at one address with no other answer in between, is refused, for the reason that the
//! last has.

use super::rows;
use crate::addr::{PAGE_SHIFT, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::{AllocError, AllocRequest, Arena, Context};
use crate::platform::Platform;
use crate::slot::{Owner, SlotState};
use crate::sync::Ordering;
use crate::views::{
    FaultPolicy, Listed, ProgramAccess, ProgramFault, ProgramFaultOutcome, Refusal, ViewId, ViewRights,
};

/// The instruction runs again; and why the program is told otherwise when that does not end.
struct Again(Refusal);

/// Somebody is in the middle of an operation.
const BUSY: Again = Again(Refusal::Busy);

impl<P: Platform, A: Arch> Arena<P, A> {
    /// What becomes of a fault that a program took in this view: by the view's policy it gets a page, or the access is refused
    /// and the kernel ends the program, or tells it. `Refused` and `PageGiven` are counted ([`Stats`](crate::Stats)).
    ///
    /// Context: *any*; with interrupts on or off. It calls the frame source, by the policy *lazy*.
    ///
    /// # Examples
    /// ```
    /// use kernel_arena::arch::x86_64::decode_program_fault;
    /// use kernel_arena::views::{ProgramFaultOutcome, Refusal, ViewId};
    /// use kernel_arena::{Arena, Platform};
    ///
    /// enum Next { Resume, Wait, End }
    ///
    /// /// What the page-fault handler does with a fault of user mode.
    /// fn program_fault<P: Platform>(arena: &Arena<P>, view: ViewId, cr2: u64, error_code: u64, rip: u64) -> Next {
    ///     let Some(fault) = decode_program_fault(cr2, error_code, rip) else { return Next::End };
    ///     match arena.handle_program_fault(view, &fault) {
    ///         ProgramFaultOutcome::PageGiven | ProgramFaultOutcome::Retry => Next::Resume,
    ///         // Memory is short, a page is not let go, or scratch is there until `reclaim`: that is not its doing.
    ///         ProgramFaultOutcome::Refused(Refusal::NoFrame | Refusal::Busy | Refusal::Scratched) => Next::Wait,
    ///         ProgramFaultOutcome::Refused(_) | ProgramFaultOutcome::NotOurs => Next::End,
    ///     }
    /// }
    /// ```
    pub fn handle_program_fault(&self, view: ViewId, fault: &ProgramFault) -> ProgramFaultOutcome {
        let Some((view, offset)) = self.views.find(view).and_then(|view| Some((view, view.offset_of(fault.address)?)))
        else {
            return ProgramFaultOutcome::NotOurs;
        };
        let page = PageIndex::masked((offset >> PAGE_SHIFT & 0xffff_ffff) as u32);
        let outcome = match self.answer(view, page, fault.access) {
            Ok(outcome) => {
                self.row(self.cpu()).end();
                outcome
            }
            Err(Again(reason)) if self.row(self.cpu()).is_stuck(rows::of_a_program(offset)) => {
                ProgramFaultOutcome::Refused(reason)
            }
            Err(Again(_)) => ProgramFaultOutcome::Retry,
        };
        let counters = &self.shared.0.counters;
        match outcome {
            ProgramFaultOutcome::PageGiven => _ = counters.pages_given.fetch_add(1, Ordering::Relaxed),
            ProgramFaultOutcome::Refused(_) => _ = counters.refused.fetch_add(1, Ordering::Relaxed),
            // Whoever installed the page may not have come to its barrier yet.
            ProgramFaultOutcome::Retry => A::observe(),
            ProgramFaultOutcome::NotOurs => {}
        }
        outcome
    }

    fn answer(&self, view: Listed, page: PageIndex, access: ProgramAccess) -> Result<ProgramFaultOutcome, Again> {
        let refused = |refusal| Ok(ProgramFaultOutcome::Refused(refusal));
        if access == ProgramAccess::Execute {
            return refused(Refusal::NotExecutable);
        }
        if access == ProgramAccess::Write && view.rights() == ViewRights::ReadOnly {
            return refused(Refusal::ReadOnlyView);
        }
        if !self.layout.extent().contains(page) {
            return refused(Refusal::OutsideExtent);
        }
        match self.state(page.number()) {
            SlotState::Mapped(_, Owner::Kernel) | SlotState::Deferred(_, Owner::Kernel) => refused(Refusal::KernelPage),
            SlotState::Mapped(..) | SlotState::Deferred(..) => Err(Again(Refusal::Unreachable)),
            SlotState::Reserved(_) | SlotState::ScratchOverReserved(_) => refused(Refusal::Reserved),
            SlotState::Foreign(_) => Ok(ProgramFaultOutcome::NotOurs),
            // Whoever has claimed it is about to change the slot, or to un-claim it.
            SlotState::Scratch | SlotState::Vacant | SlotState::Vacated(_) if self.maps.is_claimed(page.number()) => {
                Err(BUSY)
            }
            // It may have been healed since the first look, its number given up after that: then it is another's page, or
            // nobody's.
            SlotState::Scratch if self.state(page.number()) != SlotState::Scratch => Err(BUSY),
            SlotState::Scratch => refused(Refusal::Scratched),
            SlotState::Vacant | SlotState::Vacated(_) => match view.policy() {
                FaultPolicy::Segv => refused(Refusal::Policy),
                FaultPolicy::Lazy => self.give(page),
            },
        }
    }

    fn give(&self, page: PageIndex) -> Result<ProgramFaultOutcome, Again> {
        let request = AllocRequest::new(PageCount::ONE, Owner::Program)
            .exactly_at(PageRange::of(page.number(), 1).to_ptr())
            .in_context(Context::Any);
        match self.alloc_pages(request) {
            Ok(_) => Ok(ProgramFaultOutcome::PageGiven),
            Err(AllocError::OutOfFrames) => Ok(ProgramFaultOutcome::Refused(Refusal::NoFrame)),
            Err(AllocError::Foreign { .. }) => Ok(ProgramFaultOutcome::NotOurs),
            // Somebody was faster, or a fault of the kernel has put scratch there in between: the next fault tells.
            Err(_) => Err(BUSY),
        }
    }
}
