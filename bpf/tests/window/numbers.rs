//! An address is a number: what upstream's newest tests ask of that, each by its number there.

use kernel_arena::{Context, FreeError, ViolationKind};
use kernel_arena_bpf::{Call, Host, Hosts, Program, Refused, Runner};

use super::{FIRST, alloc, at, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};
use crate::plain::{TOP, UPPER, base, stack};

/// U7: the upper half of an address is ignored, and kept.
fn garbage_above_an_address_is_ignored_and_kept<F: Format>() {
    let m = machine::<F>(&[40]);
    for garbage in [0, 1, 0xffff_ffff, 0xdead_beef, 0x8000_0000, UPPER >> 32] {
        let address = garbage << 32 | 0x2_8010;
        let ended = run(&m, &[store(1, 8, 2), load(0, 1, 8), EXIT], [address, garbage ^ 5, 0, 0, 0]);
        assert_eq!((ended.result, ended.registers[1], ended.holes), (Ok(garbage ^ 5), address, 0));
    }
    m.finish();
}
each_format!(garbage_above_an_address_is_ignored_and_kept);

/// U7: an address is worked out before what is loaded takes its place, or 0 does.
fn a_load_into_its_own_base_has_the_right_address<F: Format>() {
    let m = machine::<F>(&[40]);
    m.memory(0).store(at::<u64>(40, 24), &0x2_8000);
    assert_eq!(run(&m, &[load(1, 1, 24), copy(0, 1), EXIT], [0x2_8000, 0, 0, 0, 0]).result, Ok(0x2_8000));
    let acquire = insn(0xdb, 1, 1, 24, 0x100);
    assert_eq!(run(&m, &[acquire, copy(0, 1), EXIT], [0x2_8000, 0, 0, 0, 0]).result, Ok(0x2_8000));
    for load in [load(1, 1, 24), acquire, insn(0x81, 1, 1, 24, 0)] {
        let ended = run(&m, &[load, copy(0, 1), EXIT], [0x2_9000, 0, 0, 0, 0]);
        assert_eq!(ended.result, Ok(0), "{load:?}");
        assert_eq!(ended.first_hole.map(|hole| hole.offset), Some(0x2_9018), "{load:?}");
    }
    m.finish();
}
each_format!(a_load_into_its_own_base_has_the_right_address);

/// U7, T53: r0 is the pointer of a compare-exchange, what is compared, and where the answer goes.
fn a_compare_exchange_goes_through_r0<F: Format>() {
    let m = machine::<F>(&[40]);
    let code = [copy(0, 1), insn(0xdb, 0, 2, 8, 0xf1), EXIT];
    m.memory(0).store(at::<u64>(40, 8), &0x2_8000);
    let ended = run(&m, &code, [0x2_8000, 9, 0, 0, 0]);
    assert_eq!((ended.result, m.memory(0).load::<u64>(at(40, 8))), (Ok(0x2_8000), 9));
    let ended = run(&m, &code, [0x2_8000, 10, 0, 0, 0]);
    assert_eq!((ended.result, m.memory(0).load::<u64>(at(40, 8))), (Ok(9), 9));
    let ended = run(&m, &code, [0x2_9000, 10, 0, 0, 0]);
    assert_eq!((ended.result, ended.first_hole.map(|hole| hole.offset)), (Ok(0), Some(0x2_9008)));
    m.finish();
}
each_format!(a_compare_exchange_goes_through_r0);

/// U7: a pointer to the stack that has lost its upper half, or was put together from numbers, is one.
fn a_stack_pointer_may_become_a_number<F: Format>() {
    let m = machine::<F>(&[]);
    let code = [
        store(10, -16, 1),
        copy(2, 10),
        insn(0x67, 2, 0, 0, 32),
        insn(0x77, 2, 0, 0, 32),
        load(0, 2, -16),
        mov(3, TOP as i32),
        load(4, 3, -16),
        insn(0x0f, 0, 4, 0, 0),
        EXIT,
    ];
    assert_eq!(run(&m, &code, [21, 0, 0, 0, 0]).result, Ok(42));
    m.finish();
}
each_format!(a_stack_pointer_may_become_a_number);

/// U9: of 32 bits a compare-exchange leaves nothing of r0's upper half, whether it succeeds or not.
fn a_narrow_compare_exchange_clears_the_upper_half<F: Format>() {
    let m = machine::<F>(&[40]);
    let exchange = insn(0xc3, 1, 2, 0, 0xf1);
    for (there, exchanged) in [(0x8000_0001u32, true), (3, false)] {
        m.memory(0).store(at(40, 0), &there);
        let ended = run(&m, &[copy(0, 3), exchange, EXIT], [0x2_8000, 5, 0xffff_ffff_8000_0001, 0, 0]);
        assert_eq!(ended.result, Ok(there.into()));
        assert_eq!(m.memory(0).load::<u32>(at(40, 0)), if exchanged { 5 } else { there });
    }
    m.finish();
}
each_format!(a_narrow_compare_exchange_clears_the_upper_half);

/// U10: the same instructions see a pointer once and a number once; neither is cut short.
fn an_instruction_that_sees_pointers_and_numbers_cuts_neither<F: Format>() {
    let m = machine::<F>(&[40]);
    // r1 = cast of r1 to the program if r2 is 1; then all is the same.
    let code = [
        insn(0x55, 2, 0, 1, 1),
        insn(0xbf, 1, 1, 1, 0x1_0000),
        add(1, 8),
        store(10, -8, 1),
        insn(0x71, 3, 1, 0, 0),
        load(0, 10, -8),
        EXIT,
    ];
    for (value, kind, expected) in [
        (0x2_8000, 1, UPPER | 0x2_8008),
        (0x1234_0002_8000, 0, 0x1234_0002_8008),
        (u64::MAX, 0, 7),
        (0x2_8000, 0, 0x2_8008),
    ] {
        assert_eq!(run(&m, &code, [value, kind, 0, 0, 0]).result, Ok(expected));
    }
    m.finish();
}
each_format!(an_instruction_that_sees_pointers_and_numbers_cuts_neither);

/// A free on behalf of a program, as a kernel would offer it: what was refused, if it was.
struct Frees<F: Format>(Machine<F>, Option<FreeError>);

fn free_pages<F: Format>(call: &mut Call<'_, Frees<F>>) -> u64 {
    let [at, pages, ..] = call.arguments();
    let Frees(m, refused) = call.state();
    *refused = m.arena().free_for_program(at, pages, Context::MayWait).err();
    u64::from(refused.is_some())
}

/// U11: a free of what lies below the arena, or is not the program's, is refused, recorded, and harms nothing.
fn a_free_below_the_arena_is_refused<F: Format>() {
    let m = machine::<F>(&[40]);
    let table = [Host { number: 1, name: "free_pages", function: free_pages::<F> }];
    let code = [host(1), EXIT];
    let program = Program::check(&code, Hosts::new(&table).unwrap()).unwrap();
    let runner = Runner::new(program, stack(), base());
    let mut state = Frees(m.clone(), None);
    let below = u64::from(FIRST - 1) << 12;
    for (at, pages) in [(below, 1), (0x1000, 1), (0, 1), (u64::MAX, 1), (UPPER | below, 3), (below, u64::MAX)] {
        let _recorded = std::iter::from_fn(|| m.arena().take_violation()).count();
        let before = m.arena().stats();
        let ended = runner.run(&m.memory(0), program.start(), [at, pages, 0, 0, 0], &mut state);
        assert_eq!((ended.result, state.1.is_some()), (Ok(1), true), "{at:#x}, {pages}");
        assert_eq!(m.arena().stats().claimed_pages, before.claimed_pages);
        let kind = m.arena().take_violation().map(|seen| seen.kind);
        assert_eq!(kind, Some(ViolationKind::InvalidFree), "{at:#x}, {pages}");
    }
    m.validate();
    let ended = runner.run(&m.memory(0), program.start(), [UPPER | 0x2_8000, 1, 0, 0, 0], &mut state);
    assert_eq!((ended.result, state.1), (Ok(0), None), "its own page");
    alloc(&m, 40);
    drop(state);
    m.finish();
}
each_format!(a_free_below_the_arena_is_refused);

/// U12: an instruction that nobody knows is refused before the program runs, on a path that it never takes, too.
#[test]
fn an_unknown_instruction_is_never_met() {
    for opcode in [0x00, 0x8d, 0xe7, 0xf7, 0xff, 0x2e ^ 0xf0] {
        let code = [mov(0, 0), EXIT, insn(opcode, 0, 0, 0, 0), EXIT];
        let refused =
            Program::check(&code, Hosts::<()>::NONE).map(drop).map_err(|error| (error.instruction, error.refused));
        if opcode == 0x2e ^ 0xf0 {
            assert_eq!(refused, Ok(()), "jsle32, to see that the others are refused for what they are");
        } else if opcode == 0x8d {
            assert_eq!(refused, Err((2, Refused::CallThroughRegister)));
        } else {
            assert_eq!(refused, Err((2, Refused::UnknownOpcode(opcode))));
        }
    }
}
