//! A view that is attached shows the arena at once, and one that was not leaves no trace of having been tried.

use std::cell::Cell;

use kernel_arena::platform::{FlushScope, ViewEntries};
use kernel_arena::sync::{AtomicU64, Ordering};
use kernel_arena::views::{AttachError, FaultPolicy, ViewRights};
use kernel_arena::{Owner, PageCount, ProgramAddr, WINDOW_SIZE};

use super::{attached, seen};
use crate::machine::{Format, IN_USE, Lent, Machine};

fn a_view_shows_the_pages_of_now_and_those_of_later<F: Format>() {
    let m = Machine::<F>::builder().build();
    let before = m.alloc(1);
    m.write(0, before, 7).unwrap();
    let view = attached(&m, FaultPolicy::Segv);
    assert_eq!(m.take_flushes(), [], "nothing is taken away");
    assert_eq!(m.cpu(1).user().read_u64(seen(before, &view)), Ok(7));
    let after = m.alloc(2);
    m.cpu(1).user().write_u64(seen(after, &view), 8).unwrap();
    assert_eq!(m.read(0, after), Ok(8));
    assert_eq!(m.exceptions(), 0);
    m.cpu(1).switch_to(0);
    assert!(m.cpu(1).user().read_u64(seen(before, &view)).is_err(), "in another address space");
    m.cpu(1).switch_to(1);
    m.free(before, 1);
    assert!(m.cpu(1).user().read_u64(seen(before, &view)).is_err());
    m.detach(0, view).unwrap();
    m.finish();
}

/// Entries at which the machine looks whenever the arena asks for them: so TLBs know what is linked before it is unlinked.
struct Watched<F: Format> {
    lent: Lent,
    machine: Machine<F>,
    asked: Cell<u32>,
}

// SAFETY: as the machine's own.
unsafe impl<F: Format> ViewEntries for Watched<F> {
    fn view_base(&self) -> ProgramAddr {
        self.lent.view_base()
    }

    unsafe fn view_entries(&self) -> [&AtomicU64; 4] {
        self.asked.set(self.asked.get() + 1);
        self.machine.validate();
        self.lent.words()
    }
}

fn a_view_that_does_not_fit_whole_is_taken_back_and_flushed<F: Format>() {
    for taken in 0..4 {
        let m = Machine::<F>::builder().views(1).build();
        m.alloc(3);
        let lent = m.lend(0, 1);
        lent.words()[taken].store(IN_USE, Ordering::Relaxed);
        let watched = Watched { lent: lent.clone(), machine: m.clone(), asked: Cell::new(0) };
        let refused = m.arena().attach_view(watched, ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap_err();
        assert_eq!(refused.error, AttachError::EntryInUse);
        let words: Vec<u64> = lent.words().iter().map(|word| word.load(Ordering::Relaxed)).collect();
        assert_eq!(words, [0, 1, 2, 3].map(|n| if n == taken { IN_USE } else { 0 }), "as they were");
        assert_eq!(refused.entries.asked.get(), 1 + u32::from(taken > 0), "linked, and unlinked");
        let flushes = m.take_flushes();
        assert_eq!(flushes.len(), usize::from(taken > 0));
        for flush in flushes {
            assert_eq!(flush.scope, FlushScope::Tables);
            let whole = flush.ranges[0];
            assert_eq!((flush.ranges.len(), whole.size_bytes()), (1, WINDOW_SIZE));
            assert_eq!(whole.start().value(), lent.view_base().value());
        }
        m.check_forgotten(&lent);
        drop(refused);
        // Its place in the list is free again.
        lent.words()[taken].store(0, Ordering::Relaxed);
        let view = m.attach(0, lent, ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();
        m.detach(0, view).unwrap();
        m.finish();
    }
}

fn a_view_that_is_attached_is_not_attached_again<F: Format>() {
    let m = Machine::<F>::builder().views(2).build();
    let page = m.alloc(1);
    let view = attached(&m, FaultPolicy::Segv);
    let again = m.attach(0, view.entries().clone(), ViewRights::ReadOnly, FaultPolicy::Lazy).unwrap_err();
    assert_eq!(again.error, AttachError::EntryInUse);
    m.cpu(1).user().write_u64(seen(page, &view), 1).unwrap();
    // Refused in vain, it takes no place.
    let other = m.attach(0, m.lend(0, 0), ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    let third = m.attach(0, m.lend(0, 0), ViewRights::ReadWrite, FaultPolicy::Segv).unwrap_err();
    assert_eq!(third.error, AttachError::NoRoom);
    m.detach(0, view).unwrap();
    let third = m.attach(0, third.entries, ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    for view in [other, third] {
        m.detach(0, view).unwrap();
    }
    m.finish();
}

/// U5: while entries of one arena are linked, pages of another are freed, and nothing of the first one's goes.
fn a_free_in_one_arena_leaves_a_view_that_is_being_attached_to_another_alone<F: Format>() {
    struct Freeing<F: Format>(Lent, Machine<F>, Cell<bool>);
    // SAFETY: as the machine's own.
    unsafe impl<F: Format> ViewEntries for Freeing<F> {
        fn view_base(&self) -> ProgramAddr {
            self.0.view_base()
        }
        unsafe fn view_entries(&self) -> [&AtomicU64; 4] {
            if self.2.take() {
                let all = self.1.arena().layout().extent();
                for page in all.pages().map(|page| kernel_arena::PageRange::new(page, PageCount::ONE).unwrap()) {
                    let _ = self.1.arena().free_pages(page.to_ptr(), PageCount::ONE, Owner::Program);
                }
            }
            self.0.words()
        }
    }
    let m = Machine::<F>::builder().arenas(2).build();
    m.alloc(4);
    let request = kernel_arena::AllocRequest::new(PageCount::ONE, Owner::Program);
    let other = m.arena_at(1).alloc_pages(request).unwrap().to_ptr();
    let address = m.arena_at(1).layout().to_kernel(other);
    m.cpu(0).write_u64(address, 9).unwrap();
    let lent = m.lend(1, 1);
    let entries = Freeing(lent, m.clone(), Cell::new(true));
    let view = m.arena_at(1).attach_view(entries, ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    m.cpu(1).switch_to(1);
    assert_eq!(m.cpu(1).user().read_u64(other.to_program(view.base())), Ok(9));
    assert_eq!(m.arena().stats().claimed_pages, 0);
    let entries = m.arena_at(1).detach_view(view).unwrap();
    assert!(entries.0.is_zero());
    drop(entries);
    m.finish();
}

each_format!(
    a_view_shows_the_pages_of_now_and_those_of_later,
    a_view_that_does_not_fit_whole_is_taken_back_and_flushed,
    a_view_that_is_attached_is_not_attached_again,
    a_free_in_one_arena_leaves_a_view_that_is_being_attached_to_another_alone,
);
