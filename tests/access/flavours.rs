//! What each flavour does on each kind of place.

use kernel_arena::access::{Hole, PtrField};
use kernel_arena::arch::{MODEL_STOPPED, MODEL_TRY};
use kernel_arena::{Access, Fault, FaultOutcome, KernelAddr, Owner, PageCount, SlotState, ViolationKind};

use super::{FIRST, alloc, at, byte, hole, machine, nothing_is_left};
use crate::machine::{Format, Machine};

/// Places without a page: the offset, and how a machine with them comes about.
fn holes<F: Format>() -> Vec<(&'static str, Machine<F>, u32)> {
    let with = |make: &dyn Fn(&Machine<F>)| {
        let m = machine::<F>();
        make(&m);
        m
    };
    let freed = |m: &Machine<F>| {
        alloc(m, 20);
        m.write(0, at(byte(20, 0)), 42).unwrap();
        m.arena().free_pages(at(byte(20, 0)), PageCount::ONE, Owner::Program).unwrap();
    };
    let reserved =
        |m: &Machine<F>| m.arena().reserve_pages(at(byte(20, 0)), PageCount::ONE, Owner::Program).map(drop).unwrap();
    vec![
        ("vacant", with(&|_| {}), byte(20, 8)),
        ("freed", with(&freed), byte(20, 8)),
        ("reserved", with(&reserved), byte(20, 8)),
        ("before the extent, in its leaf table", with(&|_| {}), byte(FIRST - 1, 8)),
        ("behind the extent, in its leaf table", with(&|_| {}), byte(FIRST + 64, 8)),
        ("page 0", with(&|_| {}), 8),
        ("a region without a leaf table", with(&|_| {}), 0x8000_0008),
        ("the window's last words", with(&|_| {}), 0xffff_fff0),
    ]
}

fn try_says_hole_and_leaves_nothing<F: Format>() {
    for (what, m, offset) in holes::<F>() {
        let memory = m.memory(0);
        let missing = hole(&m, offset.into());
        let faults = m.exceptions();
        assert_eq!(memory.try_load::<u8>(at(offset)), Err(missing), "{what}");
        assert_eq!(memory.try_load::<u16>(at(offset)), Err(missing), "{what}");
        assert_eq!(memory.try_load::<u32>(at(offset)), Err(missing), "{what}");
        assert_eq!(memory.try_load::<u64>(at(offset)), Err(missing), "{what}");
        assert_eq!(memory.try_load::<[u8; 3]>(at(offset)), Err(missing), "{what}");
        assert_eq!(memory.try_store(at::<u8>(offset), &1), Err(missing), "{what}");
        assert_eq!(memory.try_store(at::<u16>(offset), &1), Err(missing), "{what}");
        assert_eq!(memory.try_store(at::<u32>(offset), &1), Err(missing), "{what}");
        assert_eq!(memory.try_store(at::<u64>(offset), &1), Err(missing), "{what}");
        assert_eq!(memory.try_store(at::<[u32; 3]>(offset), &[1; 3]), Err(missing), "{what}");
        assert_eq!(m.exceptions() - faults, 10, "{what}: one fault each");
        nothing_is_left(&m);
        m.finish();
    }
}
each_format!(try_says_hole_and_leaves_nothing);

fn plain_runs_over_the_hole_and_leaves_both<F: Format>() {
    for (what, m, offset) in holes::<F>() {
        let memory = m.memory(1);
        assert_eq!(memory.load::<u32>(at(offset)), 0, "{what}");
        memory.store(at::<u64>(offset), &0x1122_3344_5566_7788);
        assert_eq!(memory.load::<u16>(at(offset)), 0x7788, "{what}: the scratch page's");
        let violation = m.arena().take_violation().expect(what);
        assert_eq!(
            (violation.address, violation.kind),
            (hole(&m, offset.into()).address, ViolationKind::Read),
            "{what}"
        );
        assert_eq!(m.arena().take_violation(), None, "{what}");
        assert_eq!(m.arena().stats().tainted_pages + m.arena().stats().tainted_regions, 1, "{what}");
        m.finish();
    }
}
each_format!(plain_runs_over_the_hole_and_leaves_both);

fn a_page_that_holds_scratch_is_a_hole_until_it_is_healed_and_allocated<F: Format>() {
    for (what, m, offset) in holes::<F>() {
        let memory = m.memory(0);
        memory.store(at::<u64>(offset), &7);
        let faults = m.exceptions();
        assert_eq!(memory.try_load::<u64>(at(offset)), Err(hole(&m, offset.into())), "{what}");
        assert_eq!(memory.try_store(at::<u64>(offset), &8), Err(hole(&m, offset.into())), "{what}");
        assert_eq!(m.exceptions(), faults, "{what}: the mark says so, without a fault");
        assert_eq!(memory.load::<u64>(at(offset)), 7, "{what}: nothing was stored");
        assert_eq!(m.arena().stats().violations, 1, "{what}");
        m.arena().reclaim();
        assert_eq!(memory.try_load::<u64>(at(offset)), Err(hole(&m, offset.into())), "{what}, healed");
        m.finish();
    }
}
each_format!(a_page_that_holds_scratch_is_a_hole_until_it_is_healed_and_allocated);

fn the_guard_is_a_hole_or_scratch<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    // The last byte of the window is all that a pointer can name; the value goes on in the guard.
    let last = at::<[u8; 9]>(0xffff_ffff);
    memory.store(at::<u8>(0xffff_ffff), &1);
    assert_eq!(memory.try_load(last), Err(hole(&m, 0xffff_ffff)));
    m.arena().reclaim();
    let before = m.arena().stats().violations;
    assert_eq!(memory.try_load(last), Err(hole(&m, 0xffff_ffff)));
    assert_eq!(m.arena().stats().violations, before);
    assert_eq!(memory.load(last), [0; 9]);
    assert_eq!(m.arena().stats().violations - before, 2, "the region, and the guard's page");
    m.finish();
}
each_format!(the_guard_is_a_hole_or_scratch);

fn a_page_that_is_there_is_the_same_to_both<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    for offset in [byte(20, 0), byte(20, 1), byte(20, 7), byte(20, 0xff8)] {
        memory.store(at::<u64>(offset), &0x0102_0304_0506_0708);
        assert_eq!(memory.try_load::<u64>(at(offset)), Ok(0x0102_0304_0506_0708));
        assert_eq!(memory.try_store(at::<u32>(offset), &0xaabb_ccdd), Ok(()));
        assert_eq!(memory.load::<u64>(at(offset)), 0x0102_0304_aabb_ccdd);
        assert_eq!(memory.try_store(at::<[u8; 3]>(offset), &[1, 2, 3]), Ok(()));
        assert_eq!(memory.try_load::<[u8; 3]>(at(offset)), Ok([1, 2, 3]));
        assert_eq!(memory.load::<u16>(at(offset)), 0x0201);
        assert_eq!(memory.load::<u8>(at(offset)), 1);
    }
    nothing_is_left(&m);
    assert_eq!(m.exceptions(), 0);
    m.finish();
}
each_format!(a_page_that_is_there_is_the_same_to_both);

fn an_access_in_two_pages_names_the_one_that_is_missing<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    let end = byte(21, 0) - 3;
    assert_eq!(memory.try_load::<u64>(at(end)), Err(hole(&m, byte(21, 0).into())));
    assert_eq!(memory.try_load::<[u8; 5]>(at(end)), Err(hole(&m, byte(21, 0).into())));
    assert_eq!(memory.try_store(at::<u64>(end), &1), Err(hole(&m, byte(21, 0).into())));
    let start = byte(20, 0) - 5;
    assert_eq!(memory.try_load::<u64>(at(start)), Err(hole(&m, start.into())));
    assert_eq!(memory.try_store(at::<u64>(start), &u64::MAX), Err(hole(&m, start.into())));
    assert_eq!(memory.load::<u64>(at(byte(20, 0))), 0, "nothing behind the hole was stored");
    nothing_is_left(&m);
    // And with scratch in the second page.
    memory.store(at::<u8>(byte(21, 4)), &9);
    assert_eq!(memory.try_load::<u64>(at(end)), Err(hole(&m, byte(21, 0).into())));
    m.finish();
}
each_format!(an_access_in_two_pages_names_the_one_that_is_missing);

/// Its page was mapped by the time that the fault is looked at: it runs again, as ever.
fn a_fault_on_a_page_that_came_meanwhile_is_spurious<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    memory.store(at::<u64>(byte(20, 0)), &5);
    m.stutter(3);
    assert_eq!(memory.try_load::<u64>(at(byte(20, 0))), Ok(5));
    assert_eq!(m.arena().stats().spurious_faults, 3);
    nothing_is_left(&m);
    m.finish();
}
each_format!(a_fault_on_a_page_that_came_meanwhile_is_spurious);

/// The fault finds the page there, and then somebody frees it: whatever the fault path does, it leaves no scratch.
fn a_page_that_goes_while_its_fault_is_looked_at_leaves_nothing<F: Format>() {
    for point in 0.. {
        let m = machine::<F>();
        alloc(&m, 20);
        m.stutter(1);
        m.interrupt_at(point, |m| m.free(at(byte(20, 0)), 1));
        let loaded = m.memory(0).try_load::<u64>(at(byte(20, 8)));
        let came = m.interrupted();
        m.clear_hooks();
        assert!(loaded == Ok(0) || came && loaded == Err(hole(&m, byte(20, 8).into())), "{point}: {loaded:x?}");
        nothing_is_left(&m);
        m.finish();
        if !came {
            assert!(point > 1, "the fault path calls the platform");
            break;
        }
    }
}
each_format!(a_page_that_goes_while_its_fault_is_looked_at_leaves_nothing);

/// Between the look at the mark and the access, or between the fault and the look at the slot, somebody scratches the page.
fn scratch_that_comes_meanwhile_is_a_hole_or_what_scratch_holds<F: Format>() {
    for point in 0.. {
        let m = machine::<F>();
        m.interrupt_at(point, |m| {
            let _any = m.read(1, at(byte(20, 0)));
        });
        let loaded = m.memory(0).try_load::<u64>(at(byte(20, 0)));
        assert!(loaded == Ok(0) || loaded == Err(hole(&m, byte(20, 0).into())), "{point}: {loaded:x?}");
        let came = u64::from(m.interrupted());
        m.clear_hooks();
        assert_eq!(m.arena().stats().violations, came, "{point}: that of the other alone");
        let slot = m.arena().page_state(kernel_arena::PageIndex::new(20).unwrap());
        assert_eq!(slot == Some(SlotState::Scratch), came == 1, "{point}");
        m.finish();
        if came == 0 {
            assert!(point > 1, "the fault path calls the platform");
            break;
        }
    }
}
each_format!(scratch_that_comes_meanwhile_is_a_hole_or_what_scratch_holds);

#[derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, Clone, Copy)]
#[repr(C)]
struct Node {
    next: PtrField<Node>,
    weight: u32,
}

fn a_list_is_followed_to_its_hole<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    alloc(&m, 22);
    let memory = m.memory(0);
    let places = [byte(20, 8), byte(22, 16), byte(20, 0xffc - 4), byte(21, 0)];
    for (n, pair) in (1..).zip(places.windows(2)) {
        memory.store(at::<Node>(pair[0]), &Node { next: at(pair[1]).into(), weight: n });
    }
    let sum = || {
        let (mut next, mut sum) = (Some(at::<Node>(places[0])), 0);
        while let Some(node) = next {
            let Node { next: following, weight } = memory.try_load(node)?;
            sum += weight;
            next = following.get();
        }
        Ok::<u32, Hole>(sum)
    };
    assert_eq!(sum(), Err(hole(&m, places[3].into())));
    memory.store(at::<Node>(places[2]), &Node { next: PtrField::NULL, weight: 3 });
    assert_eq!(sum(), Ok(6));
    nothing_is_left(&m);
    m.finish();
}
each_format!(a_list_is_followed_to_its_hole);

/// A buffer of the kernel's may lie in a private arena, and its page may be gone.
fn a_hole_on_the_kernels_side_of_a_copy_is_wild_and_no_hole_of_the_window<F: Format>() {
    for (private, offset) in
        [false, true].into_iter().flat_map(|private| [(private, 0x8000_0008), (private, byte(20, 8))])
    {
        let builder = Machine::<F>::builder().extent(FIRST, 64);
        let m = if private { builder.private() } else { builder }.build();
        let address = KernelAddr::new(m.arena().layout().base().value() + u64::from(offset));
        let stub = Fault { address, access: Access::Write, instruction: MODEL_TRY };
        if private {
            assert_eq!(m.arena().handle_kernel_fault(&stub), FaultOutcome::Recovered);
            assert_eq!(m.arena().take_violation().unwrap().address, address);
        } else {
            assert_eq!(m.arena().handle_kernel_fault(&stub), FaultOutcome::Resume(MODEL_STOPPED));
            nothing_is_left(&m);
        }
        m.finish();
    }
}
each_format!(a_hole_on_the_kernels_side_of_a_copy_is_wild_and_no_hole_of_the_window);

fn what_begins_in_a_page_and_goes_on_in_the_guard_is_a_hole_with_scratch_there_or_without<F: Format>() {
    let m = Machine::<F>::builder().extent(0xf_ffc0, 64).build();
    alloc(&m, 0xf_ffff);
    let memory = m.memory(0);
    let last = at::<[u8; 9]>(0xffff_ffff);
    let guard = hole(&m, 1 << 32);
    assert_eq!(memory.try_load(last), Err(guard));
    nothing_is_left(&m);
    memory.store(last, &[7; 9]);
    assert_eq!(m.arena().stats().violations, 1, "the guard's page");
    let faults = m.exceptions();
    assert_eq!(memory.try_load(last), Err(guard));
    assert_eq!(memory.try_store(last, &[8; 9]), Err(guard));
    assert_eq!(m.exceptions(), faults, "the mark says so, without a fault");
    assert_eq!(memory.load(last), [8, 7, 7, 7, 7, 7, 7, 7, 7], "as far as the page goes");
    m.finish();
}
each_format!(what_begins_in_a_page_and_goes_on_in_the_guard_is_a_hole_with_scratch_there_or_without);
