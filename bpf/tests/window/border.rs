//! Pointers at the border: as a program passes them to functions of the kernel's, and as the kernel passes them to a program.

use std::array;

use kernel_arena::{ArenaPtr, KernelAddr};
use kernel_arena_bpf::{Call, Ended, Host, Hosts, Insn, Program, Runner};

use super::{ID, at, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};
use crate::plain::{UPPER, base, stack};

const PAGE: u32 = 40;

/// Where a word of the page is, as a number.
fn word(index: u32) -> u64 {
    u64::from((PAGE << 12) + index * 8)
}

/// The first words of the page.
fn words<F: Format>(m: &Machine<F>) -> [u64; 5] {
    m.memory(0).load(at(PAGE, 0))
}

/// Counts the words up that five pointers name, and says which were not null.
fn count_up<F: Format>(call: &mut Call<'_, Machine<F>>) -> u64 {
    let pointers: [Option<ArenaPtr<u64>>; 5] = array::from_fn(|argument| call.pointer(argument));
    let memory = call.state().memory(1);
    let mut seen = 0;
    for (bit, pointer) in pointers.into_iter().enumerate() {
        if let Some(pointer) = pointer {
            memory.store(pointer, &(memory.load(pointer) + 1));
            seen |= 1 << bit;
        }
    }
    seen
}

/// The first must not be null, the second may.
fn add_if_there<F: Format>(call: &mut Call<'_, Machine<F>>) -> u64 {
    let (Some(to), from) = (call.pointer::<u64>(0), call.pointer::<u64>(1)) else { return u64::MAX };
    let memory = call.state().memory(1);
    let more = from.map_or(100, |from| memory.load(from));
    memory.store(to, &(memory.load(to) + more));
    more
}

/// Runs a program with these functions, 1 and 2.
fn calls<F: Format>(m: &Machine<F>, code: &[Insn], arguments: [u64; 5]) -> Ended {
    let table = [
        Host { number: 1, name: "count_up", function: count_up::<F> },
        Host { number: 2, name: "add_if_there", function: add_if_there::<F> },
    ];
    let program = Program::check(code, Hosts::new(&table).unwrap()).unwrap();
    let runner = Runner::new(program, stack(), base()).for_program(ID.unwrap());
    let mut state = m.clone();
    runner.run(&m.memory(0), program.start(), arguments, &mut state)
}

/// T78, T80: the kernel's function reads and changes the same word by a pointer, by a number and by a full address; and takes
/// five at once, of which the last may be null.
fn a_function_gets_five_pointers_of_any_form<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    let cast = insn(0xbf, 1, 1, 1, 0x1_0000);
    let forms = [
        (vec![cast, host(1), EXIT], word(0)),
        (vec![host(1), EXIT], word(0)),
        (vec![host(1), EXIT], UPPER | word(0)),
        (vec![host(1), EXIT], 0xbadc_0ffe << 32 | word(0)),
    ];
    for (times, (code, address)) in (1..).zip(forms) {
        assert_eq!(calls(&m, &code, [address, 0, 0, 0, 0]).result, Ok(1), "{code:?}, {address:#x}");
        assert_eq!(words(&m), [times, 0, 0, 0, 0], "{code:?}, {address:#x}");
    }
    let five = [word(0), UPPER | word(1), word(2), 7 << 32 | word(3), word(4)];
    assert_eq!(calls(&m, &[host(1), EXIT], five).result, Ok(0b1_1111));
    assert_eq!(words(&m), [5, 1, 1, 1, 1]);
    for null in [0, 0xbadc_0ffe << 32, UPPER] {
        let [one, two, three, four, _] = five;
        assert_eq!(calls(&m, &[host(1), EXIT], [one, two, three, four, null]).result, Ok(0b0_1111), "{null:#x}");
    }
    assert_eq!(words(&m), [8, 4, 4, 4, 1]);
    assert_eq!(m.arena().stats().violations, 0);
    m.finish();
}
each_format!(a_function_gets_five_pointers_of_any_form);

/// T81: one that must be there and one that may be null are told apart, whatever is above a null.
fn a_pointer_that_may_be_null_is_beside_one_that_may_not<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    m.memory(0).store(at(PAGE, 8), &5u64);
    for (to, from, expected, now) in [
        (word(0), word(1), 5, 5),
        (word(0), 0, 100, 105),
        (UPPER | word(0), 0xbadc_0ffe << 32, 100, 205),
        (0, word(1), u64::MAX, 205),
        (UPPER, 0, u64::MAX, 205),
    ] {
        assert_eq!(calls(&m, &[host(2), EXIT], [to, from, 0, 0, 0]).result, Ok(expected), "{to:#x}, {from:#x}");
        assert_eq!(words(&m), [now, 5, 0, 0, 0], "{to:#x}, {from:#x}");
    }
    m.finish();
}
each_format!(a_pointer_that_may_be_null_is_beside_one_that_may_not);

/// T82: what the kernel's function is led to by a pointer to nothing is the kernel's fault to recover, and the program goes on.
fn a_function_that_follows_a_wild_pointer_comes_back<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    let code = [copy(6, 2), host(1), copy(1, 6), mov(2, 0), host(1), load(0, 6, 0), EXIT];
    let ended = calls(&m, &code, [0x9_0000, word(0), 0, 0, 0]);
    assert_eq!((ended.result, ended.holes), (Ok(2), 0), "the program itself did nothing wrong");
    let seen = m.arena().take_violation().expect("it is recorded");
    assert_eq!((seen.address.value(), seen.bytecode), (m.arena().layout().base().value() + 0x9_0000, None));
    m.arena().reclaim();
    m.finish();
}
each_format!(a_function_that_follows_a_wild_pointer_comes_back);

/// T89, T90, T91: what the kernel has as an address of its own, the program gets as an offset and nothing above it; and what is null
/// for the kernel is null for the program.
fn a_program_gets_the_kernels_pointers_as_its_own<F: Format>() {
    let m = machine::<F>(&[PAGE]);
    // 0xbee if r1 is null; else one more there, and r1.
    let code = [jne(1, 0, 2), mov(0, 0xbee), EXIT, load(2, 1, 0), add(2, 1), store(1, 0, 2), copy(0, 1), EXIT];
    let passes = |address: Option<KernelAddr>| {
        let pointer = address.map(|address| m.arena().layout().to_ptr::<u64>(address).expect("it is in the window"));
        run(&m, &code, [pointer.map_or(0, |pointer| pointer.offset().into()), 0, 0, 0, 0]).result
    };
    let base = m.arena().layout().base().value();
    for (times, index) in [(1, 0), (1, 3), (2, 3)] {
        let address = KernelAddr::new(base + word(index));
        assert_eq!(passes(Some(address)), Ok(address.value() - base), "all of the register");
        assert_eq!(m.cpu(1).read_u64(address), Ok(times), "seen by the kernel");
    }
    assert_eq!(passes(None), Ok(0xbee));
    assert_eq!((words(&m), m.arena().stats().violations), ([1, 0, 0, 2, 0], 0));
    m.finish();
}
each_format!(a_program_gets_the_kernels_pointers_as_its_own);
