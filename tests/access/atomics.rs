//! Atomics, against those of the language; and what is refused.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use kernel_arena::access::Misaligned;
use proptest::prelude::*;

use super::{alloc, at, byte, hole, machine, nothing_is_left};
use crate::machine::Format;

const ORDERINGS: [Ordering; 5] = [Relaxed, Acquire, Release, AcqRel, SeqCst];

fn a_misaligned_word_is_refused<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    for offset in 0x1_4001..0x1_4020 {
        let misaligned = |alignment| Some(Misaligned { offset, alignment }).filter(|_| offset % alignment != 0);
        assert_eq!(memory.atomic::<u32>(at(offset)).err(), misaligned(4));
        assert_eq!(memory.atomic::<u64>(at(offset)).err(), misaligned(8));
    }
    assert_eq!(m.exceptions(), 0);
    m.finish();
}
each_format!(a_misaligned_word_is_refused);

/// No ordering is a panic, not even one that a load or a store cannot have.
fn each_ordering_is_taken<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    let word = memory.atomic::<u32>(at(byte(20, 4))).unwrap();
    for order in ORDERINGS {
        word.store(7, order);
        assert_eq!((word.load(order), word.try_load(order)), (7, Ok(7)));
        assert_eq!(word.compare_exchange(7, 8, order, order), Ok(7));
        assert_eq!(word.swap(9, order), 8);
    }
    m.finish();
}
each_format!(each_ordering_is_taken);

fn a_word_without_a_page_is_a_hole_or_scratch<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    let none = hole(&m, byte(20, 8).into());
    let word = memory.atomic::<u64>(at(byte(20, 8))).unwrap();
    assert_eq!(word.try_load(Acquire), Err(none));
    assert_eq!(word.try_store(1, Release), Err(none));
    assert_eq!(word.try_swap(1, AcqRel), Err(none));
    assert_eq!(word.try_compare_exchange(0, 1, AcqRel, Acquire), Err(none));
    assert_eq!(word.try_fetch_add(1, AcqRel), Err(none));
    assert_eq!(word.try_fetch_sub(1, AcqRel), Err(none));
    assert_eq!(word.try_fetch_and(1, AcqRel), Err(none));
    assert_eq!(word.try_fetch_or(1, AcqRel), Err(none));
    assert_eq!(word.try_fetch_xor(1, AcqRel), Err(none));
    nothing_is_left(&m);
    assert_eq!(word.fetch_add(3, AcqRel), 0);
    assert_eq!(word.try_fetch_add(3, AcqRel), Err(none), "scratch");
    assert_eq!(word.load(SeqCst), 3);
    assert_eq!(m.arena().stats().violations, 1);
    m.finish();
}
each_format!(a_word_without_a_page_is_a_hole_or_scratch);

/// Some operation, by number, on a word of the arena and on one of the language.
macro_rules! same {
    ($word:expr, $judge:expr, $operation:expr, $value:expr, $flavour:expr) => {{
        let (word, judge, value) = ($word, $judge, $value);
        let (plain, order) = ($flavour % 2 == 0, SeqCst);
        macro_rules! of {
            ($name:ident, $tried:ident) => {
                (
                    if plain { word.$name(value, order) } else { word.$tried(value, order).unwrap() },
                    judge.$name(value, order),
                )
            };
        }
        let (found, expected) = match $operation % 9 {
            0 => of!(swap, try_swap),
            1 => of!(fetch_add, try_fetch_add),
            2 => of!(fetch_sub, try_fetch_sub),
            3 => of!(fetch_and, try_fetch_and),
            4 => of!(fetch_or, try_fetch_or),
            5 => of!(fetch_xor, try_fetch_xor),
            6 => {
                if plain {
                    word.store(value, order)
                } else {
                    word.try_store(value, order).unwrap()
                }
                judge.store(value, order);
                (value, value)
            }
            7 => {
                let current = judge.load(order);
                let found = if plain {
                    word.compare_exchange(current, value, order, order)
                } else {
                    word.try_compare_exchange(current, value, order, order).unwrap()
                };
                assert_eq!(found, judge.compare_exchange(current, value, order, order));
                (value, value)
            }
            _ => {
                let found = word.compare_exchange(value, 1, order, order);
                assert_eq!(found, judge.compare_exchange(value, 1, order, order));
                (value, value)
            }
        };
        assert_eq!(found, expected);
        assert_eq!(word.load(Relaxed), judge.load(Relaxed));
    }};
}

fn run<F: Format>(operations: &[(u8, u64, u8)]) {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    let wide = memory.atomic::<u64>(at(byte(20, 0xff8))).unwrap();
    let narrow = memory.atomic::<u32>(at(byte(20, 0xff4))).unwrap();
    let (judge_wide, judge_narrow) = (AtomicU64::new(0), AtomicU32::new(0));
    for (operation, value, flavour) in operations {
        same!(&wide, &judge_wide, operation, *value, flavour);
        same!(&narrow, &judge_narrow, operation, (*value >> 7 & 0xffff_ffff) as u32, flavour);
    }
    assert_eq!(memory.load::<u32>(at(byte(20, 0xff0))), 0, "nothing beside them");
    m.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn atomics_are_those_of_the_language(operations in proptest::collection::vec(any::<(u8, u64, u8)>(), 1..40)) {
        run::<kernel_arena::arch::x86_64::X86_64>(&operations);
        run::<kernel_arena::arch::aarch64::AArch64>(&operations);
    }
}
