//! What compilers make of plain C: data that refer to each other, switches, local functions, recursion, copies, atomics.

use kernel_arena_bpf::Reason;
use std::sync::atomic::Ordering;

use crate::ground::each;
use crate::machine::Format;

fn data_refer_to_each_other<F: Format>() {
    each::<F>("numbers", |g| {
        // 1212, the third and the fifth square, and an `f`.
        assert_eq!(g.call("linked", &[]), 1212 + 9 + 25 + 102, "{}", g.name);
        // The kernel finds what the program does, and changes it.
        let [number, other, name]: [u64; 3] = g.memory.load(g.variable("first"));
        assert_eq!((number, other), (1, g.to_program(g.variable::<[u64; 3]>("second"))), "{}", g.name);
        let text = kernel_arena::ArenaPtr::<[u8; 6]>::from_low_bits(name).unwrap();
        assert_eq!(&g.memory.load(text), b"first\0", "{}", g.name);
        assert_eq!(name >> 32, other >> 32, "{}: an address is a program's", g.name);
        g.memory.store(g.variable::<u64>("second"), &3);
        assert_eq!(g.call("linked", &[]), 1313 + 9 + 25 + 102, "{}", g.name);
    });
}
each_format!(data_refer_to_each_other);

fn what_is_not_given_is_zero<F: Format>() {
    each::<F>("numbers", |g| {
        assert_eq!(g.call("cleared", &[5]), 0, "{}", g.name);
        let zeros: [u64; 100] = g.memory.load(g.variable("zeros"));
        assert!((5..).zip(zeros).all(|(expected, is)| expected == is), "{}", g.name);
        assert_ne!(g.call("cleared", &[0]), 0, "{}", g.name);
    });
}
each_format!(what_is_not_given_is_zero);

/// What the source says, in Rust.
#[expect(clippy::cast_possible_truncation, reason = "that is what is tried")]
fn chosen(a: u64, b: u64, which: u32) -> u64 {
    match which {
        0 => a.wrapping_add(b),
        1 => a.wrapping_sub(b),
        2 => a.wrapping_mul(b),
        3 => a.checked_div(b).unwrap_or(0),
        4 => a % (b | 1),
        5 => a << (b & 63),
        6 => (a as i64 >> (b & 63)) as u64,
        7 => (a as u32 / (b as u32 | 1)).into(),
        40 => a.swap_bytes(),
        41 => i64::from(a as i8) as u64,
        42 => i64::from(a as i16) as u64,
        43 => i64::from(a as i32) as u64,
        1000 => (a > b).into(),
        1001 => (a as i64 > b as i64).into(),
        1002 => ((a as i32) < (b as i32)).into(),
        _ => u64::MAX,
    }
}

fn a_switch_and_arithmetic_are_as_in_rust<F: Format>() {
    let numbers = [0, 1, 2, 7, 0x80, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63, u64::MAX, 0x1234_5678_9abc_def0];
    each::<F>("numbers", |g| {
        for which in (0..10).chain(38..45).chain(998..1004) {
            for a in numbers {
                for b in [0, 1, 3, 31, 64, 0xffff_ffff, u64::MAX] {
                    let is = g.call("chosen", &[a, b, which.into()]);
                    assert_eq!(is, chosen(a, b, which), "{}: {a:#x} {b:#x} {which}", g.name);
                }
            }
        }
    });
}
each_format!(a_switch_and_arithmetic_are_as_in_rust);

fn functions_call_each_other_and_themselves<F: Format>() {
    each::<F>("numbers", |g| {
        assert_eq!([0, 1, 5, 6].map(|n| g.call("recursion", &[n])), [0, 1, 5, 8], "{}", g.name);
        assert_eq!(g.run("too_deep", &[1]).result, Err(Reason::TooDeep), "{}", g.name);
        assert_eq!((0..8).map(|n| g.call("prime", &[n])).sum::<u64>(), 77, "{}", g.name);
        // Structures go from the arena to the stack and back.
        assert_eq!(g.call("copied", &[10]), 2000 + 0xff8000 + 11, "{}", g.name);
        let there: [u32; 6] = g.memory.load(g.variable("there"));
        assert_eq!(there, [11, -2i32 as u32, 3, 0xff8000, 2000, 0], "{}", g.name);
    });
}
each_format!(functions_call_each_other_and_themselves);

fn atomics_do_what_they_say<F: Format>() {
    let changes: [fn(u64, u64, u64) -> u64; 6] = [
        |was, a, _| was.wrapping_add(a),
        |was, a, _| was | a,
        |was, a, _| was & a,
        |was, a, _| was ^ a,
        |_, a, _| a,
        |was, a, b| if was == a { b } else { was },
    ];
    each::<F>("atomics", |g| {
        let (word, wide) = (g.variable::<u32>("word"), g.variable::<u64>("wide"));
        for (which, change) in (0u64..).zip(changes) {
            for (was, a) in [(0xffff_ffff_u32, 2_u32), (0x0ff0_00ff, 0x8000_ff0f), (7, 7)] {
                let b = 0x8765_4321;
                g.memory.store(word, &was);
                let old = g.call("on_word", &[which, a.into(), b]);
                assert_eq!(old, was.into(), "{}: {which}: what was there, without an upper half", g.name);
                let now = change(was.into(), a.into(), b) & 0xffff_ffff;
                assert_eq!(u64::from(g.memory.load(word)), now, "{}: {which} of {was:#x}", g.name);
                let (was, a) = (u64::from(was) << 32 | 1, u64::from(a) << 32 | 1);
                g.memory.store(wide, &was);
                assert_eq!(g.call("on_wide", &[which, a, b]), was, "{}: {which}", g.name);
                assert_eq!(g.memory.load(wide), change(was, a, b), "{}: {which} of {was:#x}", g.name);
            }
        }
        g.memory.store(word, &1);
        g.memory.store(wide, &1);
        g.call("unanswered", &[0xff]);
        assert_eq!((g.memory.load(word), g.memory.load(wide)), (0x100, 0xff_0000_0001), "{}", g.name);
    });
}
each_format!(atomics_do_what_they_say);

fn messages_go_both_ways<F: Format>() {
    each::<F>("order", |g| {
        let message = g.variable::<u64>("box");
        let full = kernel_arena::ArenaPtr::<u32>::new(message.offset() + 8).unwrap();
        let flag = g.memory.atomic(full).unwrap();
        assert_eq!(g.call("take", &[]), 0, "{}", g.name);
        // From the kernel.
        g.memory.store(message, &55);
        flag.store(1, Ordering::Release);
        assert_eq!((g.call("put", &[1]), g.call("take", &[]), g.call("take", &[])), (0, 55, 0), "{}", g.name);
        // From the program.
        assert_eq!((g.call("put", &[66]), flag.load(Ordering::Acquire)), (1, 1), "{}", g.name);
        assert_eq!(g.memory.load(message), 66, "{}", g.name);
    });
}
each_format!(messages_go_both_ways);
