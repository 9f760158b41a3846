//! Programs: typed access to what they share, and bytecode.

use core::hint::black_box;

use kernel_arena::{ArenaPtr, ProgramAddr, ProgramBase};
use kernel_arena_bpf::{Hosts, Insn, Program, Runner, Stack};
use support::check::{Failure, equal};

use super::{Case, shared};
use crate::site::Site;
use crate::steady::{count, steady};

pub(super) const CASES: &[Case] = &[
    shared("access::load_8_bytes", load),
    shared("access::try_load_8_bytes", try_load),
    shared("access::store_8_bytes", store),
    shared("access::copy_in_256_bytes", copy_in),
    shared("bytecode::run_of_nothing", |site| run(site, &[MOV_R0_7, EXIT], 7)),
    shared("bytecode::run_of_100_turns", |site| run(site, &TURNS, 5050)),
];

/// A value that was written, and read back by somebody else's means.
const VALUE: u64 = 0x0102_0304_0506_0708;

fn with_word(site: &Site<'_>, access: impl Fn(ArenaPtr<u64>) -> Result<u64, Failure>) -> Result<u64, Failure> {
    let page = site.alloc(1)?;
    let word = page.to_ptr().cast();
    site.arena.memory()?.store(word, &VALUE);
    let counted = steady(|_| access(word));
    site.free(page)?;
    counted
}

fn load(site: &Site<'_>) -> Result<u64, Failure> {
    let memory = site.arena.memory()?;
    with_word(site, |word| {
        let (counted, value) = count(|| memory.load(black_box(word)));
        equal("the value", value, VALUE)?;
        Ok(counted)
    })
}

fn try_load(site: &Site<'_>) -> Result<u64, Failure> {
    let memory = site.arena.memory()?;
    with_word(site, |word| {
        let (counted, value) = count(|| memory.try_load(black_box(word)));
        equal("the value", value.ok(), Some(VALUE))?;
        Ok(counted)
    })
}

fn store(site: &Site<'_>) -> Result<u64, Failure> {
    let memory = site.arena.memory()?;
    with_word(site, |word| {
        let (counted, ()) = count(|| memory.store(black_box(word), &black_box(VALUE + 1)));
        equal("the value", memory.load(word), VALUE + 1)?;
        Ok(counted)
    })
}

fn copy_in(site: &Site<'_>) -> Result<u64, Failure> {
    let memory = site.arena.memory()?;
    with_word(site, |word| {
        let mut into = [1u64; 32];
        let (counted, copied) = count(|| memory.copy_in(black_box(word), black_box(&mut into)));
        copied?;
        equal("the first words", [into[0], into[1], into[31]], [VALUE, 0, 0])?;
        Ok(counted)
    })
}

const MOV_R0_7: Insn = Insn::new(0xb7, 0, 0, 0, 7);
const EXIT: Insn = Insn::new(0x95, 0, 0, 0, 0);
/// Adds the numbers from 100 down to 1, by way of a word of the window that r1 names.
const TURNS: [Insn; 9] = [
    Insn::new(0xb7, 0, 0, 0, 0),   // r0 = 0
    Insn::new(0xb7, 3, 0, 0, 100), // r3 = 100
    Insn::new(0x7b, 1, 3, 0, 0),   // *(u64 *)(r1) = r3
    Insn::new(0x79, 4, 1, 0, 0),   // r4 = *(u64 *)(r1)
    Insn::new(0x0f, 0, 4, 0, 0),   // r0 += r4
    Insn::new(0x07, 3, 0, 0, -1),  // r3 -= 1
    Insn::new(0x55, 3, 0, -5, 0),  // if r3 != 0 goto -5
    Insn::new(0x05, 0, 0, 0, 0),   // goto +0
    EXIT,
];

fn run(site: &Site<'_>, code: &[Insn], value: u64) -> Result<u64, Failure> {
    let (data, stack) = (site.alloc(1)?, site.alloc(1)?);
    let memory = site.arena.memory()?;
    let base = ProgramBase::new(ProgramAddr::new(0)).ok_or_else(|| Failure::new("it is a multiple of 4 GiB"))?;
    let program = Program::check(code, Hosts::NONE)?;
    let runner = Runner::new(program, Stack::new(stack.to_ptr(), 8, Stack::FRAME_BYTES)?, base);
    let arguments = [data.to_ptr().offset().into(), 0, 0, 0, 0];
    let counted = steady(|_| {
        let (counted, ended) = count(|| runner.run(&memory, program.start(), black_box(arguments), &mut ()));
        equal("the value, and holes", (ended.result, ended.holes), (Ok(value), 0))?;
        Ok(counted)
    });
    site.free(data)?;
    site.free(stack)?;
    counted
}
