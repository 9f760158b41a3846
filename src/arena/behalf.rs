//! What a kernel does on a program's behalf, with the numbers that the program passed.
//!
//! A program names a page by an address of its own view, by an offset, or by anything at all. Only the low 32 bits count: they
//! are the same in every view. Null stays null: it names no page. Whatever else is wrong is found by the operations themselves,
//! which look at every slot before they change any; they are told that a program asks, so that nothing of the kernel's or an
//! allocator's goes.

use super::{AllocError, AllocRequest, Arena, Context, FreeError, ReserveError};
use crate::addr::{ArenaPtr, KernelAddr, PageCount, PageIndex, PageRange, WINDOW_SIZE};
use crate::arch::Arch;
use crate::platform::Platform;
use crate::slot::Owner;
use crate::violations::ViolationKind;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Allocates `pages` zeroed pages for a program, at the address `at` of which the low 32 bits count; where these are 0,
    /// anywhere.
    ///
    /// Context: as for [`alloc_pages`](Self::alloc_pages) in `context`.
    ///
    /// # Errors
    /// [`AllocError`]: `Outside` for a number of pages that no arena has.
    pub fn alloc_for_program(&self, at: u64, pages: u64, context: Context) -> Result<PageRange, AllocError> {
        let count = count_of(pages).ok_or(AllocError::Outside)?;
        let request = AllocRequest::new(count, Owner::Program).in_context(context);
        self.alloc_pages(match ArenaPtr::from_low_bits(at) {
            Some(page) => request.exactly_at(page),
            None => request,
        })
    }

    /// Frees `pages` pages of a program's, from the address `at` on, of which the low 32 bits count: at once in a context that
    /// may wait, else deferred.
    ///
    /// Context: as for [`free_pages`](Self::free_pages) or [`free_pages_deferred`](Self::free_pages_deferred).
    ///
    /// # Errors
    /// [`FreeError`], also recorded as a violation of the program that [`work_for`](Self::work_for) names: `NotOwner` for what
    /// is the kernel's or an allocator's, `Outside` for null and for a number of pages that no arena has.
    pub fn free_for_program(&self, at: u64, pages: u64, context: Context) -> Result<(), FreeError> {
        let (Some(page), Some(count)) = (ArenaPtr::from_low_bits(at), count_of(pages)) else {
            // Null and what is above it name the window's start.
            let address = self.layout.base().value() | at & (WINDOW_SIZE - 1);
            self.record_free(KernelAddr::new(address), ViolationKind::InvalidFree);
            return Err(FreeError::Outside);
        };
        match context {
            Context::MayWait => self.free_pages(page, count, Owner::Program),
            Context::Any => self.free_pages_deferred(page, count, Owner::Program),
        }
    }

    /// Sets `pages` pages aside for a program, from the address `at` on, of which the low 32 bits count.
    ///
    /// Context: *any*.
    ///
    /// # Errors
    /// [`ReserveError`]: `Outside` for null and for a number of pages that no arena has.
    pub fn reserve_for_program(&self, at: u64, pages: u64) -> Result<PageRange, ReserveError> {
        let (Some(page), Some(count)) = (ArenaPtr::from_low_bits(at), count_of(pages)) else {
            return Err(ReserveError::Outside);
        };
        self.reserve_pages(page, count, Owner::Program)?;
        PageRange::new(PageIndex::containing(page), count).ok_or(ReserveError::Outside)
    }
}

fn count_of(pages: u64) -> Option<PageCount> {
    PageCount::new(u32::try_from(pages).ok()?)
}
