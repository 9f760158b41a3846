//! A view that is taken away is gone for everybody, and its number is nobody's.

use kernel_arena::platform::FlushScope;
use kernel_arena::sync::Ordering;
use kernel_arena::views::{DetachRefused, FaultPolicy, ProgramFaultOutcome, ViewRights};
use kernel_arena::{ProgramAddr, ProgramBase, WINDOW_SIZE};

use super::{POLICIES, attached, fault, seen};
use crate::machine::{Cause, Format, IN_USE, Kind, Machine, Point, Sabotage, TlbMode};

fn after_detaching_no_cpu_reaches_anything_there<F: Format>() {
    let m = Machine::<F>::builder().cpus(3).build();
    let page = m.alloc(2);
    let view = attached(&m, FaultPolicy::Lazy);
    m.cpu(2).switch_to(1);
    let (address, base, id) = (seen(page, &view), view.base(), view.id());
    for cpu in [1, 2] {
        m.cpu(cpu).user().write_u64(address, 5).unwrap();
    }
    m.take_flushes();
    // That nobody remembers anything of it, the machine checks.
    let lent = m.detach(0, view).unwrap();
    assert!(lent.is_zero());
    let flushes = m.take_flushes();
    assert_eq!(flushes.len(), 1);
    assert_eq!((flushes[0].ranges.len(), flushes[0].scope), (1, FlushScope::Tables));
    assert_eq!(flushes[0].ranges[0].start().value(), base.address().value());
    assert_eq!(flushes[0].ranges[0].size_bytes(), WINDOW_SIZE);
    for cpu in [1, 2] {
        let missing = m.cpu(cpu).user().read_u64(address).unwrap_err();
        assert_eq!(missing.cause, Cause::Missing { level: 1 });
        assert!(m.cpu(cpu).read_u64(address).is_err(), "nor does the kernel");
    }
    for kind in [Kind::Read, Kind::Write, Kind::Fetch] {
        assert_eq!(m.fault(0, id, address.value(), kind), ProgramFaultOutcome::NotOurs);
    }
    assert_eq!(m.read(0, page), Ok(5), "the kernel's view stays");
    m.finish();
}

/// Until the flush is over its program may still reach the pages, and none of them can become another's meanwhile.
fn a_view_is_detached_under_a_program_that_runs<F: Format>() {
    let m = Machine::<F>::builder().tlb(TlbMode::Lazy).build();
    let page = m.alloc(2);
    let view = attached(&m, FaultPolicy::Segv);
    let address = seen(page, &view);
    m.cpu(1).user().write_u64(address, 5).unwrap();
    let second = kernel_arena::VirtAddr::new(address.value() + 0x1000);
    m.hook(Point::BeforeFlush, move |m| {
        m.on_cpu(1, || {
            assert_eq!(m.cpu(1).user().read_u64(address), Ok(5), "it is remembered");
            // The walk cache leads there, too, though the entry is gone.
            assert_eq!(m.cpu(1).user().read_u64(second), Ok(0));
        });
    });
    let _lent = m.detach(0, view).unwrap();
    m.clear_hooks();
    assert!(m.cpu(1).user().read_u64(address).is_err());
    assert!(m.cpu(1).user().read_u64(second).is_err());
    m.finish();
}

/// A page that is freed while the view is unlinked and not flushed yet is flushed there, too.
fn a_page_that_is_freed_during_a_detach_is_flushed_in_the_view<F: Format>() {
    let m = Machine::<F>::builder().tlb(TlbMode::Lazy).build();
    let page = m.alloc(1);
    let view = attached(&m, FaultPolicy::Segv);
    let (address, base, id) = (seen(page, &view), view.base(), view.id());
    m.cpu(1).user().write_u64(address, 5).unwrap();
    m.interrupt_at(0, move |m| {
        // Its program's last answer does not wait for the flush: with `Retry` it would be at its fault all the while.
        let outcome = m.on_cpu(1, || m.fault(0, id, address.value(), Kind::Read));
        assert_eq!(outcome, ProgramFaultOutcome::NotOurs);
        m.on_cpu(0, || m.free(page, 1));
        let last = m.take_flushes().pop().unwrap();
        assert!(last.ranges.iter().any(|range| range.start() == address), "{last:?} in {base:?}");
    });
    m.detach(0, view).unwrap();
    assert!(m.interrupted());
    m.finish();
}

fn an_old_number_is_nobodys_though_the_view_comes_again<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().views(1).build();
        let page = m.alloc(1);
        let view = attached(&m, policy);
        let (old, address) = (view.id(), seen(page, &view).value());
        assert_eq!(m.fault(0, old, address, Kind::Read), ProgramFaultOutcome::Retry);
        let lent = m.detach(0, view).unwrap();
        let view = m.attach(0, lent, ViewRights::ReadWrite, policy).unwrap();
        assert_ne!(view.id(), old);
        assert_eq!(m.fault(0, old, address, Kind::Read), ProgramFaultOutcome::NotOurs);
        assert_eq!(fault(&m, &view, page, Kind::Read), ProgramFaultOutcome::Retry);
        m.detach(0, view).unwrap();
        m.finish();
    }
}

/// The same place in the list, the same base: only the number differs.
fn a_view_of_another_arena_is_not_detached_and_its_number_is_not_known<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).views(1).build();
    let page = m.alloc(1);
    let view = attached(&m, FaultPolicy::Lazy);
    let base = view.base().address().value();
    let other = m.attach(1, m.lend_at(1, 0, base), ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();
    assert_eq!(m.fault(1, view.id(), base + 0x3000, Kind::Write), ProgramFaultOutcome::NotOurs);
    m.take_flushes();
    let Err(DetachRefused(view)) = m.arena_at(1).detach_view(view) else { panic!("another arena's") };
    assert_eq!(m.take_flushes(), []);
    m.cpu(1).user().write_u64(seen(page, &view), 1).unwrap();
    assert_eq!(Some(view.base()), ProgramBase::new(ProgramAddr::new(base)));
    m.detach(0, view).unwrap();
    m.detach(1, other).unwrap();
    m.finish();
}

fn a_view_that_is_left_keeps_its_arena_from_being_destroyed<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    for tag in [0, 1, 1] {
        m.attach_view(1, tag);
    }
    // `finish` destroys: refused with the number of views, then, when they are detached, done.
    m.finish();
}

/// A mapper or the processor may have set bits in an entry: it is unlinked all the same.
fn an_entry_in_which_bits_were_set_is_unlinked<F: Format>() {
    const IGNORED: u64 = 1 << 9;
    let m = Machine::<F>::builder().build();
    let page = m.alloc(1);
    let view = attached(&m, FaultPolicy::Segv);
    let address = seen(page, &view);
    for entry in [0, 2] {
        view.entries().words()[entry].fetch_or(IGNORED, Ordering::Relaxed);
    }
    m.cpu(1).user().write_u64(address, 1).unwrap();
    let lent = m.detach(0, view).unwrap();
    assert!(lent.is_zero());
    assert!(m.cpu(1).user().read_u64(address).is_err());
    // What somebody else has put there stays his.
    let view = m.attach(0, lent, ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    view.entries().words()[3].store(IN_USE, Ordering::Relaxed);
    let lent = m.detach(0, view).unwrap();
    let words = lent.words().map(|word| word.load(Ordering::Relaxed));
    assert_eq!(words, [0, 0, 0, IN_USE]);
    m.finish();
}

/// What the machine would say if the arena did not flush a view that goes.
fn a_detach_without_its_flush_is_caught<F: Format>() {
    let said = crate::machine::failure(|| {
        let m = Machine::<F>::builder().build();
        m.alloc(1);
        let view = attached(&m, FaultPolicy::Lazy);
        m.sabotage(Sabotage::Views);
        let _ = m.detach(0, view);
    });
    assert!(said.contains("remembers a view"), "{said}");
}

each_format!(
    after_detaching_no_cpu_reaches_anything_there,
    a_view_is_detached_under_a_program_that_runs,
    a_page_that_is_freed_during_a_detach_is_flushed_in_the_view,
    an_old_number_is_nobodys_though_the_view_comes_again,
    a_view_of_another_arena_is_not_detached_and_its_number_is_not_known,
    a_view_that_is_left_keeps_its_arena_from_being_destroyed,
    an_entry_in_which_bits_were_set_is_unlinked,
    a_detach_without_its_flush_is_caught,
);
