//! What a wild access to a page that was freed costs.

use kernel_arena::{Access, Fault, FaultOutcome, InstructionAddr, SlotState};

use super::{alloc, defer, page, request, state};
use crate::machine::{Format, Machine};

/// A wild access to each page of 1 to `last`: how many shootdowns that took.
fn flushes_of_wild_accesses<F: Format>(m: &Machine<F>, last: u32) -> usize {
    m.take_flushes();
    for number in 1..=last {
        m.read(0, page(number)).unwrap();
    }
    m.take_flushes().len()
}

/// Where break-before-make is demanded, a free leaves nothing to be flushed by a fault, however many pages it frees.
fn a_fault_on_a_page_that_was_freed_flushes_nothing<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 80).build();
    for round in 0..2 {
        for count in [1, 2, 70] {
            m.free(m.alloc(count), count);
            assert!((1..=count).all(|number| state(&m, page(number)) == SlotState::Vacant || !F::BREAK_BEFORE_MAKE));
            assert_eq!(flushes_of_wild_accesses(&m, count), 0, "round {round}, {count} freed just now");
            m.arena().reclaim();
        }
        // Those that reclaim itself has freed.
        let queued = m.alloc(70);
        assert_eq!(defer(&m, queued, 70), Ok(()));
        m.arena().reclaim();
        assert_eq!(flushes_of_wild_accesses(&m, 70), 0, "round {round}, freed by reclaim");
        m.arena().reclaim();
    }
    m.finish();
}

/// A free that has not come to its flush is not settled, whoever reclaims meanwhile, nor is anybody's way to a page blocked. A
/// fault that comes then flushes the page before it puts scratch there, which stays.
fn what_is_being_freed_is_not_settled<F: Format>() {
    for count in [1, 4] {
        let m = Machine::<F>::builder().extent(1, 8).build();
        m.free(m.alloc(8), 8);
        let at = m.alloc(count);
        m.write(1, at, 7).unwrap();
        m.hook(crate::machine::Point::BeforeFlush, move |m| {
            m.arena().reclaim();
            let vacated = matches!(state(m, at), SlotState::Vacated(_));
            assert!(vacated, "settled before its flush: {:?}", state(m, at));
            assert!(alloc(m, request(1).exactly_at(page(8))).is_ok(), "another page is free as ever");
            m.free(page(8), 1);
            m.take_flushes();
            let address = m.arena().layout().to_kernel(at);
            let fault = Fault { address, access: Access::Read, instruction: InstructionAddr::new(0) };
            assert_eq!(m.arena().handle_kernel_fault(&fault), FaultOutcome::Recovered);
            let flushes = m.take_flushes().len();
            assert_eq!(flushes, usize::from(F::BREAK_BEFORE_MAKE), "flushes of a fault before that of the free");
        });
        m.free(at, count);
        m.clear_hooks();
        assert_eq!(state(&m, at), SlotState::Scratch);
        assert_eq!(m.arena().reclaim().healed_pages, 1);
        assert_eq!(m.arena().stats().claimed_pages, 0);
        m.finish();
    }
}

/// Faults at any moment of a free leave scratch that is marked, or come before the page is gone.
fn scratch_of_any_moment_of_a_free_is_healed<F: Format>() {
    for count in [1, 2] {
        for point in 0.. {
            let m = Machine::<F>::builder().extent(1, 2).build();
            let at = m.alloc(count);
            m.interrupt_at(point, move |m| {
                for number in 1..=count {
                    m.read(0, page(number)).unwrap();
                }
            });
            m.free(at, count);
            if !m.interrupted() {
                break;
            }
            assert_eq!(m.arena().validate(), Ok(()));
            m.arena().reclaim();
            assert!((1..=count).all(|number| state(&m, page(number)).is_vacant()));
            m.finish();
        }
    }
}

each_format!(
    a_fault_on_a_page_that_was_freed_flushes_nothing,
    what_is_being_freed_is_not_settled,
    scratch_of_any_moment_of_a_free_is_healed,
);
