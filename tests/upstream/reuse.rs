//! The same address again: over the scratch page, and after a free, with TLBs that remember what was there before.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::{AllocError, Context, Owner, Reclaimed, ReserveError};

use super::{NOTHING, ONE, TLB_MODES, alloc, defer, index, page, request, sleepless};
use crate::machine::{Format, Machine, Point, TlbMode, count};

/// A machine whose CPU 1 uses another address space than CPU 0.
fn machine<F: Format>(extent: u32, tlb: TlbMode) -> Machine<F> {
    let m = Machine::<F>::builder().extent(1, extent).tlb(tlb).build();
    m.cpu(1).switch_to(1);
    m
}

/// Every CPU sees what every other writes to this page, under every tag.
fn shared_by_all<F: Format>(m: &Machine<F>, number: u32) {
    for (cpu, other) in [(0, 1), (1, 0)] {
        for tag in [0, 1] {
            m.cpu(other).switch_to(tag);
            let value = 0x100 + cpu as u64 * 16 + u64::from(tag);
            m.write(cpu, page(number), value).unwrap();
            assert_eq!(m.read(other, page(number)), Ok(value));
            assert_eq!(m.peek(m.at(page(number))), Some(value));
        }
    }
}

/// N1: upstream once failed here for ever. N2: on x86_64 it flushes nothing, so other CPUs may go on using scratch.
fn a_page_that_holds_scratch_can_be_allocated_and_every_cpu_sees_it<F: Format>() {
    for tlb in TLB_MODES {
        let m = machine::<F>(4, tlb);
        for cpu in [0, 1, 0] {
            m.write(cpu, page(2), 0xbad).unwrap();
        }
        assert_eq!(alloc(&m, request(1).exactly_at(page(2))), Ok(page(2)), "{tlb:?}");
        assert_eq!([m.read(0, page(2)), m.read(1, page(2))], [Ok(0), Ok(0)]);
        shared_by_all(&m, 2);
        assert_eq!(m.arena().stats().violations, 1);
        m.finish();
    }
}

/// Who stores to a page that is missing writes to the scratch page. `reclaim` zeroes it, whoever has healed the page.
fn what_was_stored_is_gone_though_an_allocation_healed_the_page<F: Format>() {
    let m = machine::<F>(4, TlbMode::Eager);
    m.write(0, page(2), 0xbad).unwrap();
    assert_eq!(alloc(&m, request(1).exactly_at(page(2))), Ok(page(2)));
    assert_eq!(m.arena().stats().tainted_pages, 0);
    assert_eq!(m.read(0, page(3)), Ok(0xbad), "not zeroed yet");
    m.arena().reclaim();
    assert_eq!(m.read(0, page(3)), Ok(0));
    // Healed by somebody else, and nothing else to do.
    m.write(0, page(3), 0xbad).unwrap();
    assert_eq!(alloc(&m, request(1).exactly_at(page(3))), Ok(page(3)));
    assert_eq!(m.arena().reclaim(), Reclaimed::default());
    assert_eq!(m.read(0, page(4)), Ok(0));
    m.finish();
}

/// N1: the same for many pages at once, in whatever order they hold scratch.
fn pages_of_which_some_hold_scratch_can_be_allocated_together<F: Format>() {
    for pattern in 0..32u32 {
        let m = machine::<F>(5, TlbMode::Eager);
        for number in (0..5).filter(|n| pattern >> n & 1 != 0) {
            m.write(1, page(1 + number), 0xbad).unwrap();
        }
        m.take_flushes();
        assert_eq!(alloc(&m, request(5)), Ok(page(1)));
        assert_eq!(m.take_flushes().len(), usize::from(pattern != 0), "one for all");
        (1..=5).for_each(|number| shared_by_all(&m, number));
        m.finish();
    }
}

/// N1: another CPU, or this one in an interrupt, scratches the page while it is being allocated.
fn a_page_that_is_scratched_at_any_moment_of_its_allocation_can_be_allocated<F: Format>() {
    for (tlb, cpu, scratched) in [(TlbMode::Eager, 0, false), (TlbMode::Lazy, 1, false), (TlbMode::Eager, 1, true)] {
        for point in 0.. {
            let m = machine::<F>(3, tlb);
            if scratched {
                m.write(1, page(2), 0xbad).unwrap();
            }
            m.interrupt_at(point, move |m| m.on_cpu(cpu, || m.write(cpu, page(2), 0xbad).unwrap()));
            assert_eq!(alloc(&m, request(2).exactly_at(page(2))), Ok(page(2)), "interrupted at {point}");
            let interrupted = m.interrupted();
            m.clear_hooks();
            shared_by_all(&m, 2);
            shared_by_all(&m, 3);
            m.finish();
            if !interrupted {
                assert!(point > 8, "{point} points");
                break;
            }
        }
    }
}

/// Until a page that leaves its owner is free again nobody gets it, by any name. While it is, it is `Busy`: in passing.
fn not_to_be_had<F: Format>(m: &Machine<F>, number: u32) {
    let exactly = request(1).exactly_at(page(number));
    for request in [exactly, exactly.in_context(Context::Any), request(1), sleepless(1)] {
        assert!(matches!(m.arena().alloc_pages(request), Err(AllocError::Busy(_))), "{request:?}");
    }
    let busy = ReserveError::Busy { page: index(number) };
    assert_eq!(m.arena().reserve_pages(page(number), ONE, Owner::Kernel), Err(busy));
}

/// N3: upstream gives the address out before TLBs have forgotten it.
fn a_freed_address_is_not_reusable_before_the_flush<F: Format>() {
    for (tlb, moment) in TLB_MODES
        .into_iter()
        .flat_map(|tlb| [Point::BeforeFlush, Point::AfterFlush, Point::FrameFree].map(|moment| (tlb, moment)))
    {
        let m = machine::<F>(1, tlb);
        m.alloc(1);
        m.write(1, page(1), 1).unwrap();
        let times = Rc::new(Cell::new(0));
        let count = Rc::clone(&times);
        m.hook(moment, move |m| {
            count.set(count.get() + 1);
            m.on_cpu(1, || not_to_be_had(m, 1));
        });
        m.free(page(1), 1);
        assert_eq!(times.replace(0), 1, "{moment:?}");
        m.clear_hooks();

        // The same when the free was deferred, and when it is scratch that goes.
        m.alloc(1);
        m.write(1, page(1), 1).unwrap();
        assert_eq!(defer(&m, page(1), 1), Ok(()));
        let count = Rc::clone(&times);
        m.hook(moment, move |m| {
            count.set(count.get() + 1);
            m.on_cpu(1, || not_to_be_had(m, 1));
        });
        m.arena().reclaim();
        assert_eq!(times.replace(0), 1, "{moment:?}");
        m.clear_hooks();
        assert_eq!(m.alloc(1), page(1), "now it is free");
        m.finish();
    }
}

/// N3: the same for what held scratch.
fn a_healed_address_is_not_reusable_before_the_flush<F: Format>() {
    for moment in [Point::BeforeFlush, Point::AfterFlush] {
        let m = machine::<F>(1, TlbMode::Eager);
        m.write(1, page(1), 1).unwrap();
        let times = Rc::new(Cell::new(0));
        let count = Rc::clone(&times);
        m.hook(moment, move |m| {
            count.set(count.get() + 1);
            m.on_cpu(1, || not_to_be_had(m, 1));
        });
        m.arena().reclaim();
        assert_eq!(times.get(), 1, "{moment:?}");
        m.clear_hooks();
        assert_eq!(alloc(&m, sleepless(1)), Ok(page(1)));
        m.finish();
    }
}

/// N3: a CPU that goes on using a page while it is being freed reaches the old frame or the scratch page, never the
/// next owner's.
fn a_stale_translation_never_reaches_the_next_owner<F: Format>() {
    for tlb in [TlbMode::Eager, TlbMode::Lazy] {
        let m = machine::<F>(4, tlb);
        m.alloc(1);
        m.write(1, page(1), 1).unwrap();
        let old = m.frame_of(m.at(page(1))).unwrap();
        m.hook(Point::BeforeFlush, move |m| {
            // Another owner's page, while CPU 1 still remembers where the old one was.
            let theirs = m.arena().alloc_pages(sleepless(1)).unwrap().to_ptr();
            assert_ne!(theirs, page(1));
            assert_ne!(m.frame_of(m.at(theirs)), Some(old), "the frame is not free yet");
            m.write(1, page(1), 0xbad).unwrap();
            assert_eq!(m.read(0, theirs), Ok(0));
        });
        m.free(page(1), 1);
        m.clear_hooks();
        assert_eq!(m.exceptions(), 0, "it was a stale translation that CPU 1 used");
        assert_eq!(alloc(&m, request(1).exactly_at(page(1))), Ok(page(1)));
        assert_eq!([m.read(0, page(1)), m.read(1, page(1))], [Ok(0), Ok(0)]);
        shared_by_all(&m, 1);
        m.finish();
    }
}

/// N3: a store at any moment of a free and of the allocation after it.
fn a_store_at_any_moment_of_a_reuse_is_lost_or_the_new_owners<F: Format>() {
    for tlb in TLB_MODES {
        for point in 0.. {
            let m = machine::<F>(1, tlb);
            m.alloc(1);
            m.write(1, page(1), 1).unwrap();
            m.interrupt_at(point, |m| m.on_cpu(1, || m.write(1, page(1), 0xbad).unwrap()));
            m.free(page(1), 1);
            let early = m.interrupted();
            assert_eq!(m.alloc(1), page(1));
            let interrupted = m.interrupted();
            m.clear_hooks();
            let found = m.read(0, page(1));
            assert!(found == Ok(0) || !early && found == Ok(0xbad), "{found:?}, interrupted at {point}");
            shared_by_all(&m, 1);
            assert_eq!(m.arena().free_pages(page(1), count(1), Owner::Program), Ok(()));
            m.arena().reclaim();
            assert_eq!(alloc(&m, sleepless(2)), Err(AllocError::Outside));
            assert_eq!(m.arena().stats().claimed_pages, 0);
            assert_eq!(m.finish(), 0);
            if !interrupted {
                break;
            }
        }
    }
}

/// I9: what is `Busy` in the middle of a free was named with what `reclaim` would bring back: nothing.
fn busy_names_what_reclaim_would_bring_back<F: Format>() {
    let m = machine::<F>(2, TlbMode::Eager);
    assert_eq!(m.alloc(2), page(1));
    m.hook(Point::BeforeFlush, |m| assert_eq!(alloc(m, sleepless(1)), Err(AllocError::Busy(NOTHING))));
    m.free(page(2), 1);
    m.finish();
}

each_format!(
    a_page_that_holds_scratch_can_be_allocated_and_every_cpu_sees_it,
    what_was_stored_is_gone_though_an_allocation_healed_the_page,
    pages_of_which_some_hold_scratch_can_be_allocated_together,
    a_page_that_is_scratched_at_any_moment_of_its_allocation_can_be_allocated,
    a_freed_address_is_not_reusable_before_the_flush,
    a_healed_address_is_not_reusable_before_the_flush,
    a_stale_translation_never_reaches_the_next_owner,
    a_store_at_any_moment_of_a_reuse_is_lost_or_the_new_owners,
    busy_names_what_reclaim_would_bring_back,
);
