//! What is no mask.

use kernel_arena::masks::{ChangeError, KernelMask, MaskError, MaskSpan, PerCpuMasks, PlaceError, SharedMask, words};
use kernel_arena::platform::CpuCount;

use super::{END, START, at, cpu, header, hole, ids, machine, taken};
use crate::machine::Format;

fn any_number_is_a_pointer_and_its_low_half_counts<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    header(&memory, START, [0, 8, 2]);
    for above in [0, 1, 0x7000, 0xffff_ffff] {
        assert_eq!(taken(&memory, above << 32 | u64::from(START), 8), Ok((0, 8)));
        assert_eq!(taken(&memory, above << 32, 8), Err(MaskError::Null));
    }
    for misaligned in (START + 1)..(START + 8) {
        let error = PlaceError::Misaligned { offset: misaligned };
        assert_eq!(taken(&memory, misaligned.into(), 8), Err(MaskError::Place(error)));
    }
    assert_eq!(m.exceptions(), 0);
    m.finish();
}
each_format!(any_number_is_a_pointer_and_its_low_half_counts);

fn a_span_that_leaves_the_ids_is_refused<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    let said = |base, nr| {
        header(&memory, START, [base, nr, u32::MAX]);
        taken(&memory, START.into(), 100)
    };
    for base in [100, 101, 8192, u32::MAX - 1, u32::MAX] {
        for nr in [0, 1, 100, u32::MAX] {
            assert_eq!(said(base, nr), Err(MaskError::Base { base }));
        }
    }
    // Their sum is near 2^32, or beyond it.
    for (base, nr) in [(0, 101), (1, 100), (99, 2), (0, u32::MAX), (1, u32::MAX), (99, u32::MAX), (50, u32::MAX - 50)] {
        assert_eq!(said(base, nr), Err(MaskError::Count { base, nr }));
    }
    for (base, nr) in [(0, 100), (0, 0), (99, 1), (99, 0), (37, 63)] {
        assert_eq!(said(base, nr), Ok((base, nr)));
    }
    m.finish();
}
each_format!(a_span_that_leaves_the_ids_is_refused);

fn a_mask_with_too_little_room_is_refused<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    for nr in [0, 1, 63, 64, 65, 128, 8192] {
        let needed = u32::try_from(words(nr)).unwrap();
        for alloc_words in [0, 1, needed - 1] {
            header(&memory, START, [0, nr, alloc_words]);
            let refused = if alloc_words < needed {
                Err(MaskError::Room { alloc_words, needed: needed.into() })
            } else {
                Ok((0, nr))
            };
            assert_eq!(taken(&memory, START.into(), 8192), refused);
        }
        for alloc_words in [needed, needed + 1, u32::MAX] {
            header(&memory, START, [0, nr, alloc_words]);
            assert_eq!(taken(&memory, START.into(), 8192), Ok((0, nr)));
        }
    }
    m.finish();
}
each_format!(a_mask_with_too_little_room_is_refused);

fn a_mask_that_leaves_the_window_is_refused<F: Format>() {
    let m = crate::machine::Machine::<F>::builder().extent((1 << 20) - 2, 2).build();
    let all = kernel_arena::AllocRequest::new(kernel_arena::PageCount::new(2).unwrap(), kernel_arena::Owner::Program);
    m.arena().alloc_pages(all).unwrap();
    let memory = m.memory(0);
    // The header itself.
    let leaves = |offset, bytes| Err(MaskError::Place(PlaceError::LeavesWindow { offset, bytes }));
    assert_eq!(taken(&memory, 0xffff_fff8, 8), leaves(0xffff_fff8, 16));
    // Three words of 100 ids end with the window, or behind it.
    let last = 0u32.wrapping_sub(16 + 3 * 8);
    header(&memory, last, [0, 100, 3]);
    assert_eq!(taken(&memory, last.into(), 100), Ok((0, 100)));
    header(&memory, last + 8, [0, 100, 3]);
    assert_eq!(taken(&memory, (last + 8).into(), 100), leaves(last + 8, 40));
    assert_eq!(m.exceptions(), 0);
    m.finish();
}
each_format!(a_mask_that_leaves_the_window_is_refused);

/// Each field of a header and each word may be where no page is; nothing is scratched for it.
fn a_mask_without_a_page_is_a_hole<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    assert_eq!(taken(&memory, END.into(), 8), Err(MaskError::Hole(hole(&m, END))));
    let halved = END - 8;
    for (field, value) in [(0, 0u32), (4, 8)] {
        memory.try_store(at(halved + field), &value).unwrap();
    }
    assert_eq!(taken(&memory, halved.into(), 8), Err(MaskError::Hole(hole(&m, END))));
    // Its second word has no page.
    let offset = END - 24;
    header(&memory, offset, [0, 100, 3]);
    super::word(&memory, offset, 0, 0);
    let mask = SharedMask::snapshot(&memory, offset.into(), ids(100)).unwrap();
    let none = hole(&m, END);
    assert_eq!((mask.set(cpu(3)), mask.test(cpu(3)), mask.test(cpu(64))), (Ok(false), Ok(true), Err(none)));
    assert_eq!((mask.set(cpu(64)), mask.clear(cpu(99))), (Err(ChangeError::Hole(none)), Err(ChangeError::Hole(none))));
    assert_eq!((mask.weight(), mask.is_empty()), (Err(none), Ok(false)));
    assert_eq!(mask.iter().collect::<Vec<_>>(), [Ok(cpu(3)), Err(none)]);
    assert_eq!((mask.next_set(cpu(0)), mask.next_set(cpu(4))), (Ok(Some(cpu(3))), Err(none)));
    assert_eq!((mask.is_subset(&mask), mask.intersects(&mask)), (Err(none), Ok(true)));
    for changed in [mask.or(&mask), mask.and(&mask), mask.and_not(&mask), mask.copy(&mask)] {
        assert_eq!(changed, Err(ChangeError::Hole(none)));
    }
    let span = MaskSpan::new(0, 100, ids(100)).unwrap();
    assert_eq!(KernelMask::new(at(offset), span).unwrap().set(&memory, [1, 1]), Err(none));
    let stats = m.arena().stats();
    assert_eq!((stats.violations, stats.tainted_pages), (0, 0));
    m.finish();
}
each_format!(a_mask_without_a_page_is_a_hole);

#[test]
fn no_mask_of_the_kernels_leaves_the_window() {
    let span = ids(8192).span();
    assert_eq!(KernelMask::bytes(span), 16 + 129 * 8);
    let last = 0u32.wrapping_sub(16 + 129 * 8);
    assert!(KernelMask::new(at(last), span).is_ok());
    let bytes = 16 + 129 * 8;
    assert_eq!(KernelMask::new(at(last + 8), span), Err(PlaceError::LeavesWindow { offset: last + 8, bytes }));
    assert_eq!(KernelMask::new(at(last + 4), span), Err(PlaceError::Misaligned { offset: last + 4 }));
    let (many, layout) =
        (CpuCount::new(1 << 16).unwrap(), PerCpuMasks::layout(CpuCount::new(1 << 16).unwrap(), ids(8192)));
    assert_eq!(layout.size(), (1 << 16) * 1088);
    let last = 0u32.wrapping_sub(u32::try_from(layout.size()).unwrap());
    let masks = PerCpuMasks::new(at(last), many, ids(8192)).unwrap();
    assert_eq!(masks.of(cpu(0xffff)).unwrap().ptr().offset(), 0u32.wrapping_sub(1088));
    assert!(PerCpuMasks::new(at(last + 64), many, ids(8192)).is_err());
    assert!(PerCpuMasks::new(at(last + 4), many, ids(8192)).is_err());
}
