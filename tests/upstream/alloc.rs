//! Allocation and free in an arena of two pages that end with the window: upstream's basic tests.

use kernel_arena::{AllocError, ArenaPtr, FreeError, Reclaimable, SlotState};

use super::{FIRST, NOTHING, SECOND, alloc, defer, free, guard, in_interrupt, refused, request, sleepless, two_pages};
use crate::machine::{Format, Machine};

/// The page before the extent.
const BEFORE: ArenaPtr = ArenaPtr::new(0xffff_d000).unwrap();

/// Reads the pages around and in the arena, lowest first.
fn all_four<F: Format>(m: &Machine<F>, cpu: usize) -> [u64; 4] {
    let addresses = [m.at(BEFORE), m.at(FIRST), m.at(SECOND), guard(m)];
    addresses.map(|address| m.cpu(cpu).read_u64(address).expect("it is recovered"))
}

/// T1.
fn two_pages_can_be_had_one_by_one_and_again<F: Format>() {
    let m = two_pages::<F>();
    assert_eq!([m.alloc(1), m.alloc(1)], [FIRST, SECOND]);
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::NoSpace(NOTHING));
    m.write(0, FIRST, 1).unwrap();
    m.write(1, SECOND, 2).unwrap();
    assert_eq!([m.read(1, FIRST), m.read(0, SECOND)], [Ok(1), Ok(2)]);
    m.free(SECOND, 1);
    assert_eq!(m.read(0, FIRST), Ok(1));
    assert_eq!(m.read(0, SECOND), Ok(0), "used after it was freed");
    assert_eq!(alloc(&m, request(1)), Ok(SECOND));
    assert_eq!(m.read(1, SECOND), Ok(0));
    m.write(1, SECOND, 3).unwrap();
    assert_eq!([m.read(1, FIRST), m.read(0, SECOND)], [Ok(1), Ok(3)]);
    assert_eq!(m.finish(), 2);
}

/// T2: upstream reads 0 or the old value; here it is the old value until `reclaim`, and 0 from then on.
fn two_pages_can_be_had_one_by_one_where_nothing_may_wait<F: Format>() {
    let m = two_pages::<F>();
    in_interrupt(&m, |m| {
        let got = [alloc(m, sleepless(1)), alloc(m, sleepless(1))];
        assert_eq!(got, [Ok(FIRST), Ok(SECOND)]);
        assert_eq!(refused(m, || alloc(m, sleepless(1))), AllocError::NoSpace(NOTHING));
        m.write(0, FIRST, 1).unwrap();
        m.write(1, SECOND, 2).unwrap();
        assert_eq!(defer(m, SECOND, 1), Ok(()));
        assert_eq!([m.read(1, FIRST), m.read(0, SECOND)], [Ok(1), Ok(2)]);
        let deferred = Reclaimable { deferred: 1, tainted: 0, foreign: None };
        assert_eq!(refused(m, || alloc(m, sleepless(1))), AllocError::NoSpace(deferred));
    });
    assert_eq!(m.arena().reclaim().freed_pages, 1);
    assert_eq!([m.read(1, FIRST), m.read(0, SECOND)], [Ok(1), Ok(0)]);
    assert_eq!(alloc(&m, request(1)), Ok(SECOND));
    m.finish();
}

/// T3: upstream ignores it; here it is an error, too.
fn a_free_below_the_arena_frees_nothing<F: Format>() {
    let m = two_pages::<F>();
    m.alloc(2);
    for below in [BEFORE, ArenaPtr::new(1 << 31).unwrap(), ArenaPtr::new(0x1000).unwrap()] {
        assert_eq!(refused(&m, || free(&m, below, 1)), FreeError::Outside);
        assert_eq!(refused(&m, || defer(&m, below, 1)), FreeError::Outside);
    }
    assert_eq!(refused(&m, || free(&m, BEFORE, 3)), FreeError::Outside, "not even the part that is there");
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::NoSpace(NOTHING));
    assert_eq!(m.finish(), 2);
}

/// T4.
fn stores_beside_the_arena_are_dropped<F: Format>() {
    let m = two_pages::<F>();
    assert_eq!(m.alloc(2), FIRST);
    m.write(0, FIRST, 1).unwrap();
    m.write(0, SECOND, 2).unwrap();
    assert_eq!(all_four(&m, 1), [0, 1, 2, 0]);
    m.write(0, BEFORE, 3).unwrap();
    m.cpu(1).write_u64(guard(&m), 4).unwrap();
    assert_eq!(all_four(&m, 0), [4, 1, 2, 4], "both stores met the one scratch page");
    assert_eq!(m.arena().reclaim().healed_pages, 2);
    assert_eq!(all_four(&m, 1), [0, 1, 2, 0]);
    m.free(FIRST, 2);
    assert_eq!(all_four(&m, 0), [0, 0, 0, 0]);
    assert_eq!(all_four(&m, 1), [0, 0, 0, 0]);
    assert_eq!(m.finish(), 0);
}

/// T5.
fn stores_beside_the_arena_are_dropped_where_nothing_may_wait<F: Format>() {
    let m = two_pages::<F>();
    in_interrupt(&m, |m| {
        assert_eq!(alloc(m, sleepless(2)), Ok(FIRST));
        m.write(0, FIRST, 1).unwrap();
        m.write(0, SECOND, 2).unwrap();
        assert_eq!(all_four(m, 1), [0, 1, 2, 0]);
        assert_eq!(defer(m, FIRST, 2), Ok(()));
        assert_eq!(all_four(m, 0), [0, 1, 2, 0], "until it is reclaimed");
        m.write(0, BEFORE, 3).unwrap();
        assert_eq!(all_four(m, 1), [3, 1, 2, 3]);
    });
    assert_eq!(m.arena().reclaim().freed_pages, 2);
    assert_eq!(all_four(&m, 0), [0, 0, 0, 0]);
    m.finish();
}

/// T6.
fn the_whole_arena_can_be_had_in_one_call<F: Format>() {
    for extent in [2, 64, 600] {
        let m = Machine::<F>::builder().extent(1, extent).frames(700).build();
        let all = alloc(&m, request(extent));
        assert_eq!(all, Ok(ArenaPtr::new(0x1000).unwrap()));
        assert!(super::states(&m).iter().all(|state| matches!(state, SlotState::Mapped(..))));
        assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::NoSpace(NOTHING));
        assert_eq!(refused(&m, || alloc(&m, request(extent + 1))), AllocError::Outside, "it can never be had");
        m.free(ArenaPtr::new(0x1000).unwrap(), extent);
        assert_eq!(alloc(&m, request(extent)), all);
        m.finish();
    }
}

/// T7.
fn the_whole_arena_can_be_had_in_one_call_where_nothing_may_wait<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 150).build();
    in_interrupt(&m, |m| {
        assert_eq!(alloc(m, sleepless(150)), Ok(ArenaPtr::new(0x1000).unwrap()));
        assert_eq!(refused(m, || alloc(m, sleepless(1))), AllocError::NoSpace(NOTHING));
        assert_eq!(defer(m, ArenaPtr::new(0x1000).unwrap(), 150), Ok(()));
        let deferred = Reclaimable { deferred: 150, tainted: 0, foreign: None };
        assert_eq!(refused(m, || alloc(m, sleepless(150))), AllocError::NoSpace(deferred));
    });
    assert_eq!(m.arena().reclaim().freed_pages, 150);
    in_interrupt(&m, |m| assert_eq!(alloc(m, sleepless(150)), Ok(ArenaPtr::new(0x1000).unwrap())));
    assert_eq!(m.finish(), 150);
}

each_format!(
    two_pages_can_be_had_one_by_one_and_again,
    two_pages_can_be_had_one_by_one_where_nothing_may_wait,
    a_free_below_the_arena_frees_nothing,
    stores_beside_the_arena_are_dropped,
    stores_beside_the_arena_are_dropped_where_nothing_may_wait,
    the_whole_arena_can_be_had_in_one_call,
    the_whole_arena_can_be_had_in_one_call_where_nothing_may_wait,
);
