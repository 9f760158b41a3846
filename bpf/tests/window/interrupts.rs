//! A program that an interrupt runs in the middle of another's: a timer's callback, say.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::{ProgramId, ViolationKind};
use kernel_arena_bpf::{Ended, Hosts, Program, Runner, Stack};

use super::{ID, at, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};
use crate::plain::base;

/// The interrupted program's page, the callback's, and that of its stack.
const MINE: u32 = 40;
const ITS: u32 = 41;
const ITS_STACK: u32 = 42;
const CALLBACK: ProgramId = ProgramId::new(88).unwrap();

/// Counts a word in the arena up, and runs over a hole.
fn callback<F: Format>(m: &Machine<F>) -> Ended {
    let code = [load(0, 1, 0), add(0, 1), store(1, 0, 0), store(10, -8, 0), store(1, 0x4000, 0), load(0, 10, -8), EXIT];
    let program = Program::check(&code, Hosts::NONE).unwrap();
    let stack = Stack::new(at(ITS_STACK, 0), 8, 512).unwrap();
    let runner = Runner::new(program, stack, base()).for_program(CALLBACK);
    runner.run(&m.memory(0), program.start(), [u64::from(ITS) << 12, 0, 0, 0, 0], &mut ())
}

/// T63, T168: the callback reaches the arena by plain pointers, its hole is its own, and the program that was interrupted sees nothing
/// of either.
fn a_program_runs_in_an_interrupt_of_another<F: Format>() {
    let mut points = 0;
    for point in 0.. {
        let m = machine::<F>(&[MINE, ITS, ITS_STACK]);
        m.memory(0).store(at(MINE, 0), &3u64);
        let ran = Rc::new(Cell::new(0));
        let count = Rc::clone(&ran);
        m.interrupt_at(point, move |m| {
            let ended = callback(m);
            assert_eq!((ended.result, ended.holes), (Ok(1), 1));
            count.set(count.get() + 1);
        });
        // Reads its word, puts it on its stack, and adds both: with a hole of its own in between.
        let code = [
            load(2, 1, 0),
            store(10, -8, 2),
            load(3, 1, 0x4000),
            load(0, 10, -8),
            insn(0x0f, 0, 2, 0, 0),
            insn(0x0f, 0, 3, 0, 0),
            EXIT,
        ];
        let ended = run(&m, &code, [u64::from(MINE) << 12, 0, 0, 0, 0]);
        assert_eq!((ended.result, ended.holes), (Ok(6), 1), "interrupted at {point}");
        let interrupted = m.interrupted();
        m.clear_hooks();
        assert_eq!(ran.get(), u32::from(interrupted));
        assert_eq!(m.memory(0).load::<u64>(at(ITS, 0)), u64::from(interrupted));
        let mut seen: Vec<_> = std::iter::from_fn(|| m.arena().take_violation()).collect();
        seen.sort_by_key(|seen| seen.program == Some(CALLBACK));
        let (own, its) = ((ID, ViolationKind::Read), (Some(CALLBACK), ViolationKind::Write));
        let expected = if interrupted { vec![own, its] } else { vec![own] };
        assert_eq!(seen.iter().map(|seen| (seen.program, seen.kind)).collect::<Vec<_>>(), expected);
        m.finish();
        if !interrupted {
            points = point;
            break;
        }
    }
    // Each of its accesses looks for its page once, and asks where that is.
    assert!(points >= 3, "{points} points");
}
each_format!(a_program_runs_in_an_interrupt_of_another);
