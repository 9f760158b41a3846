//! Frames, budget, host functions, and how runs end.

use kernel_arena::access::Width;
use kernel_arena::{Access, ArenaPtr, ProgramHole, ProgramId};
use kernel_arena_bpf::{
    Budget, Call, Cause, Host, Hosts, Insn, MAX_FRAMES, OnHole, Program, Reason, Runner, Stack, StackError,
};

use crate::assembler::*;
use crate::plain::{Plain, STACK, TOP, UPPER, base, run, runner, stack};

#[test]
fn a_program_starts_with_its_arguments_and_nothing_else() {
    let (ended, _) = run(&[EXIT], [1, 2, 3, 4, u64::MAX], &[]);
    assert_eq!(ended.registers, [0, 1, 2, 3, 4, u64::MAX, 0, 0, 0, 0, UPPER | u64::from(TOP)]);
    assert_eq!((ended.result, ended.instruction, ended.spent), (Ok(0), 0, 1));
    assert_eq!((ended.value(), ended.holes, ended.first_hole), (Some(0), 0, None));
}

#[test]
fn a_function_finds_r6_to_r9_and_its_frame_as_they_were() {
    let code = [
        mov(6, 6),
        mov(7, 7),
        mov(8, 8),
        mov(9, 9),
        store(10, -8, 6),
        local(5),
        // The sum of what is still there, and of the frame's word.
        load(0, 10, -8),
        insn(0x0f, 0, 6, 0, 0),
        insn(0x0f, 0, 9, 0, 0),
        insn(0x0f, 0, 1, 0, 0),
        EXIT,
        // The other function changes all that it can, in its own frame.
        mov(6, -1),
        mov(7, -1),
        mov(8, -1),
        mov(9, -1),
        mov(1, 100),
        store(10, -8, 6),
        copy(2, 10),
        EXIT,
    ];
    let (ended, window) = run(&code, [0; 5], &[]);
    assert_eq!(ended.result, Ok(6 + 6 + 9 + 100), "r1 is the callee's");
    let r10 = UPPER | u64::from(TOP);
    assert_eq!((ended.registers[2], ended.registers[10]), (r10 - 512, r10));
    assert_eq!((ended.registers[7], ended.registers[8]), (7, 8));
    assert_eq!((window.page(STACK)[0xff8], window.page(STACK)[0xdf8]), (6, 0xff));
}

/// A program that writes over all of its stack and around it still returns to where it was called.
#[test]
fn return_addresses_are_out_of_reach() {
    let mut code = vec![mov(6, 42), local(2), copy(0, 6), EXIT, mov(3, -1)];
    code.extend((-4096..4096).step_by(8).map(|offset| store(10, offset, 3)));
    code.push(EXIT);
    let (ended, window) = run(&code, [0; 5], &[STACK + 1, STACK - 1]);
    assert_eq!(ended.result, Ok(42));
    assert_eq!(window.page(STACK), [0xff; 0x1000]);
}

#[test]
fn calls_go_as_deep_as_the_stack_has_frames() {
    // f(n) = n == 0 ? 0 : 1 + f(n - 1)
    let code = [copy(0, 1), insn(0x15, 1, 0, 3, 0), add(1, -1), local(-4), add(0, 1), EXIT];
    for frames in 1..=MAX_FRAMES as u8 {
        let place = Stack::new(ArenaPtr::new(STACK << 12).unwrap(), frames, 64).unwrap();
        let runner = runner(&code).with_stack(place);
        let depth = |n| {
            let window = Plain::new([STACK]);
            runner.run(&window, runner.program().start(), [n, 0, 0, 0, 0], &mut ())
        };
        assert_eq!(depth(u64::from(frames) - 1).result, Ok(u64::from(frames) - 1));
        let deeper = depth(u64::from(frames));
        assert_eq!((deeper.result, deeper.instruction), (Err(Reason::TooDeep), 3));
        assert_eq!(u64::from(TOP - 0x1000) | UPPER, deeper.registers[10] - 64, "it stands in the lowest frame");
    }
}

#[test]
fn a_stack_lies_in_the_window() {
    let at = |offset| ArenaPtr::new(offset).unwrap();
    assert_eq!(Stack::new(at(0x1000), 0, 512), Err(StackError::Frames { frames: 0 }));
    assert_eq!(Stack::new(at(0x1000), 17, 512), Err(StackError::Frames { frames: 17 }));
    for (offset, bytes) in [(0x1004, 512), (0x1000, 0), (0x1000, 500)] {
        assert_eq!(Stack::new(at(offset), 8, bytes), Err(StackError::Misaligned));
    }
    for (offset, bytes) in [(0xffff_f000, 512), (0xffff_fff8, 8), (8, 0x2000_0000), (8, u32::MAX - 7)] {
        assert_eq!(Stack::new(at(offset), 8, bytes), Err(StackError::LeavesWindow), "{offset:#x}");
    }
    assert_eq!(Stack::new(at(0xffff_f000), 7, 512).unwrap().bytes(), 7 * 512);
}

#[test]
fn a_loop_ends_with_the_budget() {
    let budget = |code: &[Insn], instructions| {
        let runner = runner(code).with_budget(Budget::new(instructions));
        runner.run(&Plain::new([STACK]), runner.program().start(), [0; 5], &mut ())
    };
    for instructions in [0, 1, 2, 10, 1000] {
        let ended = budget(&[ja(-1)], instructions);
        assert_eq!((ended.result, ended.spent, ended.instruction), (Err(Reason::OutOfBudget), instructions.max(1), 0));
        let ended = budget(&[add(0, 1), insn(0x06, 0, 0, 0, -2)], instructions);
        assert_eq!((ended.result, ended.spent), (Err(Reason::OutOfBudget), instructions.next_multiple_of(2).max(2)));
        assert_eq!(ended.registers[0] * 2, ended.spent);
        let ended = budget(&[add(0, 1), jne(0, 0, -2), EXIT], instructions);
        assert_eq!(ended.result, Err(Reason::OutOfBudget));
    }
    // Calls in place of loops: two to the power of the depth.
    let doubling: Vec<Insn> = (0..15).flat_map(|_| [local(2), local(1), EXIT]).chain([add(0, 1), EXIT]).collect();
    let stack = Stack::new(ArenaPtr::new(STACK << 12).unwrap(), 16, 8).unwrap();
    let ended = |instructions| {
        let runner = runner(&doubling).with_stack(stack).with_budget(Budget::new(instructions));
        runner.run(&Plain::new([STACK]), runner.program().start(), [0; 5], &mut ())
    };
    assert_eq!(ended(1_000_000).result, Ok(1 << 15));
    assert_eq!(ended(1_000).result, Err(Reason::OutOfBudget));
    // Forwards nothing is charged that was not run.
    let (ended, _) =
        run(&[ja(3), mov(0, 0), mov(0, 0), mov(0, 0), mov(1, 3), add(1, -1), jne(1, 0, -2), EXIT], [0; 5], &[]);
    assert_eq!((ended.result, ended.spent), (Ok(0), 2 + 3 * 2 + 1));
}

#[test]
fn what_a_function_does_is_counted() {
    let (ended, _) = run(&[local(2), mov(1, 1), EXIT, mov(0, 1), mov(0, 2), EXIT], [0; 5], &[]);
    assert_eq!((ended.result, ended.spent), (Ok(2), 1 + 3 + 2));
}

/// A `may_goto` leaves a loop when the reserve begins, and the rest of the program is run.
#[test]
fn may_goto_jumps_when_the_reserve_begins() {
    let code = [may_goto(2), add(1, 1), ja(-3), copy(0, 1), EXIT];
    let with = |budget| {
        let runner = runner(&code).with_budget(budget);
        runner.run(&Plain::new([STACK]), runner.program().start(), [0; 5], &mut ())
    };
    let ended = with(Budget::new(800));
    assert_eq!(
        (ended.result, ended.spent),
        (Ok(233), 233 * 3 + 3),
        "700 are spent at the 234th turn's first instruction"
    );
    assert_eq!(with(Budget::new(800).with_reserve(800)).result, Ok(0));
    assert_eq!(with(Budget::new(800).with_reserve(900)).result, Ok(0));
    // Without a reserve there is nothing left to leave the loop with.
    assert_eq!(with(Budget::new(800).with_reserve(0)).result, Err(Reason::OutOfBudget));
    assert_eq!((Budget::new(800).reserve(), Budget::new(800).instructions()), (100, 800));
    // An inner and an outer loop end, both.
    let nested = [may_goto(5), add(2, 1), may_goto(2), add(1, 1), ja(-3), ja(-6), copy(0, 2), EXIT];
    let runner = runner(&nested).with_budget(Budget::new(10_000));
    let ended = runner.run(&Plain::new([STACK]), runner.program().start(), [0; 5], &mut ());
    assert_eq!((ended.result, ended.spent < 10_000), (Ok(1), true));
}

/// What the host functions of these tests work on.
#[derive(Default)]
struct Kernel {
    calls: Vec<[u64; 5]>,
}

type KernelCall<'a> = Call<'a, Kernel>;

const HOSTS: &[Host<Kernel>] = &[
    Host {
        number: 5,
        name: "note",
        function: |call: &mut KernelCall<'_>| {
            let arguments = call.arguments();
            call.state().calls.push(arguments);
            arguments.iter().fold(0, |sum, argument| sum.wrapping_add(*argument))
        },
    },
    Host {
        number: 1,
        name: "stop",
        function: |call: &mut KernelCall<'_>| {
            call.stop(17);
            1
        },
    },
    Host {
        number: 2,
        name: "eject",
        function: |call: &mut KernelCall<'_>| {
            call.eject(u64::MAX);
            2
        },
    },
    Host {
        number: 3,
        name: "slow",
        function: |call: &mut KernelCall<'_>| {
            call.spend(u64::MAX);
            3
        },
    },
    Host {
        number: 4,
        name: "deref",
        function: |call: &mut KernelCall<'_>| {
            let Some(pointer) = call.pointer::<u64>(0) else { return 0xbad };
            assert_eq!((call.pointer::<u8>(5), call.program()), (None, ProgramId::new(3)));
            call.window().load(pointer.offset(), Width::Eight).unwrap_or(0xdead)
        },
    },
];

fn with_hosts(code: &[Insn], arguments: [u64; 5]) -> (kernel_arena_bpf::Ended, Kernel) {
    const TABLE: Hosts<'_, Kernel> = match Hosts::new(HOSTS) {
        Ok(hosts) => hosts,
        Err(_) => panic!("names and numbers differ"),
    };
    let program = Program::check(code, TABLE).unwrap_or_else(|refused| panic!("{refused}"));
    let runner = Runner::new(program, stack(), base()).for_program(ProgramId::new(3).unwrap());
    let mut kernel = Kernel::default();
    let ended = runner.run(&Plain::new([STACK]), program.start(), arguments, &mut kernel);
    (ended, kernel)
}

#[test]
fn a_host_function_gets_five_registers_and_gives_r0() {
    for kind in [0, 2] {
        let (ended, kernel) = with_hosts(&[mov(6, 9), insn(0x85, 0, kind, 0, 5), EXIT], [1, 2, 3, 4, u64::MAX]);
        assert_eq!((ended.result, kernel.calls), (Ok(9), vec![[1, 2, 3, 4, u64::MAX]]));
        assert_eq!(ended.registers[..7], [9, 1, 2, 3, 4, u64::MAX, 9]);
    }
}

#[test]
fn a_host_function_can_end_the_run() {
    let (ended, _) = with_hosts(&[mov(0, 5), host(1), EXIT], [0; 5]);
    assert_eq!(ended.result, Err(Reason::Stopped(Cause::Host { number: 1, code: 17 })));
    assert_eq!((ended.instruction, ended.spent, ended.registers[0]), (1, 2, 5));
    let (ended, _) = with_hosts(&[host(2), EXIT], [0; 5]);
    assert_eq!(ended.result, Err(Reason::Ejected(Cause::Host { number: 2, code: u64::MAX })));
    // What it spends ends the run at the next call, which is not made.
    let (ended, kernel) = with_hosts(&[host(3), host(5), EXIT], [0; 5]);
    assert_eq!((ended.result, ended.spent, kernel.calls.len()), (Err(Reason::OutOfBudget), u64::MAX, 0));
}

#[test]
fn a_pointer_of_an_argument_is_its_low_half_or_null() {
    let code = [store(10, -8, 2), copy(1, 10), add(1, -8), host(4), EXIT];
    assert_eq!(with_hosts(&code, [0, 77, 0, 0, 0]).0.result, Ok(77));
    let code = [host(4), EXIT];
    assert_eq!(with_hosts(&code, [0xffff_ffff_0000_0000, 0, 0, 0, 0]).0.result, Ok(0xbad));
    assert_eq!(with_hosts(&code, [0x5000, 0, 0, 0, 0]).0.result, Ok(0xdead));
}

#[test]
fn the_trap_ends_a_run_wherever_it_stands() {
    for trap in [Insn::TRAP, insn(0x85, 0, 2, 0, i32::MIN)] {
        let (ended, _) = run(&[mov(0, 1), trap, EXIT], [0; 5], &[]);
        assert_eq!((ended.result, ended.instruction, ended.spent), (Err(Reason::Trap), 1, 2));
    }
}

#[test]
fn a_hole_goes_on_stops_or_ejects() {
    let code = [mov(0, 1), load(0, 1, 8), mov(2, 3), EXIT];
    let (id, offset) = (ProgramId::new(9), 0x5008);
    let hole = ProgramHole { program: id, instruction: 1, offset, access: Access::Read, bytes: 8 };
    for (policy, result) in [
        (OnHole::Continue, Ok(0)),
        (OnHole::Stop, Err(Reason::Stopped(Cause::Hole(hole)))),
        (OnHole::Eject, Err(Reason::Ejected(Cause::Hole(hole)))),
    ] {
        let runner = runner(&code).on_hole(policy).for_program(id.unwrap());
        let window = Plain::new([STACK]);
        let ended = runner.run(&window, runner.program().start(), [0x5000, 0, 5, 0, 0], &mut ());
        assert_eq!((ended.result, ended.holes, ended.first_hole), (result, 1, Some(hole)));
        assert_eq!((ended.registers[0], ended.registers[2]), (0, if result.is_ok() { 3 } else { 0 }));
        assert_eq!(*window.misses.borrow(), [hole]);
    }
}

#[test]
fn the_first_of_several_holes_is_the_one_that_is_told() {
    let code = [load(0, 1, 8), load(2, 1, 16), load(3, 1, 24), EXIT];
    let runner = runner(&code);
    let window = Plain::new([STACK]);
    let ended = runner.run(&window, runner.program().start(), [0x5000, 0, 0, 0, 0], &mut ());
    assert_eq!((ended.holes, ended.first_hole.map(|hole| (hole.instruction, hole.offset))), (3, Some((0, 0x5008))));
    assert_eq!(window.misses.borrow().len(), 3, "each is recorded");
}

#[test]
fn an_entry_of_another_program_is_refused() {
    let long = [mov(0, 0), mov(0, 0), mov(0, 0), EXIT];
    let entry = Program::check(&long, Hosts::<()>::NONE).unwrap().entry(2).unwrap();
    let [low, high] = wide(0, 1);
    for code in [&[EXIT][..], &[mov(0, 0), low, high, EXIT]] {
        let runner = runner(code);
        let ended = runner.run(&Plain::new([]), entry, [0; 5], &mut ());
        assert_eq!((ended.result, ended.spent), (Err(Reason::NoSuchEntry), 0));
    }
    assert_eq!(runner(&long).run(&Plain::new([]), entry, [0; 5], &mut ()).spent, 2);
}

#[test]
fn reasons_are_sentences() {
    let miss = ProgramHole { program: None, instruction: 4, offset: -8, access: Access::Write, bytes: 2 };
    for (reason, text) in [
        (
            Reason::Misaligned { offset: -3, width: Width::Four },
            "an atomic of 4 bytes at offset -0x3, which is no multiple of that",
        ),
        (Reason::Stopped(Cause::Hole(miss)), "stopped: write of 2 bytes at offset -0x8, where there is no page"),
        (Reason::Ejected(Cause::Host { number: 3, code: 18 }), "ejected: host function 3 said so, with 0x12"),
        (Reason::OutOfBudget, "its budget is spent"),
    ] {
        assert_eq!(reason.to_string(), text);
    }
}
