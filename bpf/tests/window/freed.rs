//! Pages that come and go while a program uses them.

use kernel_arena::{Access, ProgramHole};
use kernel_arena_bpf::{Call, Host, Hosts, OnHole, Program, Reason, Runner};

use super::{ID, alloc, free, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};
use crate::plain::{base, stack};

fn free_one<F: Format>(call: &mut Call<'_, Machine<F>>) -> u64 {
    let page = call.arguments()[0] >> 12;
    free(call.state(), page as u32);
    0
}

fn alloc_one<F: Format>(call: &mut Call<'_, Machine<F>>) -> u64 {
    let page = call.arguments()[0] >> 12;
    alloc(call.state(), page as u32);
    0
}

/// The kernel frees what the program holds a pointer to, and allocates it again: in between there is a hole.
fn a_page_is_freed_by_a_function_that_the_program_calls<F: Format>() {
    let m = machine::<F>(&[40]);
    let table = [
        Host { number: 0, name: "free", function: free_one::<F> },
        Host { number: 1, name: "alloc", function: alloc_one::<F> },
    ];
    let code = [
        insn(0x7a, 1, 0, 0, 11),
        load(6, 1, 0),
        host(0),
        load(7, 1, 0),
        insn(0x7a, 1, 0, 0, 12),
        host(1),
        load(8, 1, 0),
        insn(0x7a, 1, 0, 0, 13),
        load(9, 1, 0),
        EXIT,
    ];
    let program = Program::check(&code, Hosts::new(&table).unwrap()).unwrap();
    let runner = Runner::new(program, stack(), base()).for_program(ID.unwrap());
    let mut state = m.clone();
    for page in [40u32, 40] {
        let ended = runner.run(&m.memory(1), program.start(), [u64::from(page) << 12, 0, 0, 0, 0], &mut state);
        assert_eq!((ended.result, ended.holes), (Ok(0), 2));
        assert_eq!(ended.registers[6..10], [11, 0, 0, 13], "a page that comes back is a new one");
    }
    let ended = runner.on_hole(OnHole::Stop).run(&m.memory(1), program.start(), [40 << 12, 0, 0, 0, 0], &mut state);
    let hole = ProgramHole { program: ID, instruction: 3, offset: 40 << 12, access: Access::Read, bytes: 8 };
    assert_eq!((ended.first_hole, ended.instruction), (Some(hole), 3));
    assert!(matches!(ended.result, Err(Reason::Stopped(_))));
    drop(state);
    m.finish();
}
each_format!(a_page_is_freed_by_a_function_that_the_program_calls);

/// Another CPU frees the page at any step of an access: it is made, or it is a hole, and the next one is a hole.
fn a_page_is_freed_between_any_two_steps<F: Format>() {
    let accesses =
        [load(3, 1, 0), store(1, 0, 2), insn(0xdb, 1, 3, 0, 1), insn(0xdb, 1, 3, 0, 0x41), insn(0xdb, 3, 1, 0, 0x100)];
    for access in accesses {
        for points in 0.. {
            let m = machine::<F>(&[40]);
            m.write(0, super::at(40, 0), 5).unwrap();
            m.interrupt_at(points, |m| m.on_cpu(1, || free(m, 40)));
            let code = [mov(0, 0), access, load(0, 1, 0), EXIT];
            let ended = run(&m, &code, [40 << 12, 6, 0, 0, 0]);
            let (interrupted, seen) = (m.interrupted(), m.arena().stats());
            assert!(ended.result.is_ok(), "{access:?} {points}: {ended:?}");
            assert_eq!(seen.violations, ended.holes, "{access:?} {points}: no other kind, and no page of scratch");
            assert_eq!((seen.tainted_pages, ended.holes <= 2), (0, true), "{access:?} {points}");
            m.clear_hooks();
            // It stood on the page to its end, or met the hole at the end at the latest.
            let is_there = run(&m, &[load(0, 1, 0), EXIT], [40 << 12, 0, 0, 0, 0]).holes == 0;
            assert_eq!(is_there, !interrupted, "{access:?} {points}");
            m.finish();
            if !interrupted {
                break;
            }
        }
    }
}
each_format!(a_page_is_freed_between_any_two_steps);
