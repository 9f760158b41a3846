//! The runner beside `rbpf`: an operation is an instruction of a program that both can run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kernel_arena::access::Memory;
use kernel_arena::{ArenaPtr, ProgramAddr, ProgramBase};
use kernel_arena_bpf::{Budget, Hosts, Insn, Program, Runner, Stack};

use super::{page, window};
use crate::harness::{Case, Work, ours, peer};

/// How often the loop of each program goes round; a word of the page each time.
const TURNS: i32 = 500;

const fn insn(opcode: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
    Insn::new(opcode, dst, src, offset, immediate)
}

/// r1 is where a page is. What is in the loop, which r3 counts.
fn looped(body: &[Insn]) -> Vec<Insn> {
    let back = -2 - i16::try_from(body.len()).expect("a body is short");
    [
        &[insn(0xb7, 0, 0, 0, 1), insn(0xb7, 3, 0, 0, TURNS)][..],
        body,
        &[insn(0x07, 3, 0, 0, -1), insn(0x55, 3, 0, back, 0), insn(0x95, 0, 0, 0, 0)],
    ]
    .concat()
}

fn programs() -> [(&'static str, Vec<Insn>); 5] {
    let next = insn(0x07, 1, 0, 0, 8);
    let arithmetic = [
        insn(0x0f, 0, 3, 0, 0),
        insn(0x27, 0, 0, 0, 31),
        insn(0xbf, 4, 0, 0, 0),
        insn(0x77, 4, 0, 0, 7),
        insn(0xaf, 0, 4, 0, 0),
        insn(0x04, 4, 0, 0, 5),
        insn(0x5f, 4, 3, 0, 0),
        insn(0x1f, 0, 4, 0, 0),
    ];
    let branches = [
        insn(0xbf, 4, 0, 0, 0),
        insn(0x57, 4, 0, 0, 1),
        insn(0x15, 4, 0, 2, 0),
        insn(0x27, 0, 0, 0, 3),
        insn(0x05, 0, 0, 1, 0),
        insn(0x77, 0, 0, 0, 1),
        insn(0x07, 0, 0, 0, 1),
        insn(0xa5, 0, 0, 1, 1000),
        insn(0x57, 0, 0, 0, 0xff),
    ];
    let loads = [insn(0x79, 4, 1, 0, 0), insn(0x0f, 0, 4, 0, 0), insn(0x61, 4, 1, 4, 0), insn(0x0f, 0, 4, 0, 0), next];
    let stores = [insn(0x7b, 1, 3, 0, 0), insn(0x6b, 1, 3, 2, 0), insn(0x72, 1, 0, 5, 7), next];
    let both = [insn(0x79, 4, 1, 0, 0), insn(0x0f, 4, 3, 0, 0), insn(0x7b, 1, 4, 8, 0), next];
    [
        ("arithmetic", looped(&arithmetic)),
        ("branches", looped(&branches)),
        ("loads", looped(&loads)),
        ("stores", looped(&stores)),
        ("loads and stores", looped(&both)),
    ]
}

/// A program, run to its end again and again.
struct Run<F> {
    run: F,
    instructions: usize,
}

impl<F: FnMut()> Work for Run<F> {
    fn batch(&mut self, operations: usize) -> Duration {
        let started = Instant::now();
        (0..operations / self.instructions).for_each(|_| (self.run)());
        started.elapsed()
    }

    fn step(&self) -> usize {
        self.instructions
    }
}

pub(super) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    let case = |(name, code): (&'static str, Vec<Insn>)| -> Box<dyn FnOnce() -> Case> {
        Box::new(move || beside(name, code.leak()))
    };
    programs().into_iter().map(case).collect()
}

fn beside(name: &str, code: &'static [Insn]) -> Case {
    let (data, stack) = (page(0), page(1));
    let memory: &'static Memory<'static, window::Process> =
        Box::leak(Box::new(window::arena().memory().expect("it is shared")));
    let bytes: *mut u8 = window::arena().layout().to_kernel(data).as_mut_ptr();
    let stack = Stack::new(stack.cast(), 8, 512).expect("it is aligned");
    let base = ProgramBase::new(ProgramAddr::new(0)).expect("a multiple of 4 GiB");
    let program = Program::check(code, Hosts::NONE).expect("it is well-formed");
    let runner = Runner::new(program, stack, base).with_budget(Budget::new(u64::MAX));
    let raw: &'static [u8] = code.iter().flat_map(|insn| insn.to_bytes()).collect::<Vec<_>>().leak();
    let rbpf = rbpf::EbpfVmRaw::new(Some(raw)).expect("its verifier agrees");
    let arguments = |page: ArenaPtr<u8>| [page.offset().into(), 4096, 0, 0, 0];
    let run_ours = move || runner.run(memory, program.start(), arguments(data), &mut ());
    let run_theirs = move || {
        // SAFETY: a page that is mapped, and nobody else accesses at the moment.
        let page = unsafe { std::slice::from_raw_parts_mut(bytes, 4096) };
        rbpf.execute_program(page).expect("it ends")
    };
    let zero = || memory.copy_out(data, &[0; 4096]).expect("it is there");
    zero();
    let ended = run_ours();
    zero();
    assert_eq!((ended.result, ended.holes), (Ok(run_theirs()), 0), "{name}: both end with the same");
    let instructions = usize::try_from(ended.spent).expect("a few thousand");
    let subjects = vec![
        ours(Run { run: move || _ = black_box(run_ours()), instructions }),
        peer("rbpf", Run { run: move || _ = black_box(run_theirs()), instructions }),
    ];
    let name = format!("an instruction of bytecode: {name}");
    Case { group: "programs", name, threads: 1, at: None, subjects }
}
