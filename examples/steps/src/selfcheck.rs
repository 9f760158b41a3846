//! Checks of the checks: that stepping sees each instruction, and that an intruder's mistake would be seen.

use core::arch::naked_asm;

use crate::bench::Bench;
use crate::check::{Checked, equal, holds};
use crate::interrupt::{Schedule, Tally, interrupt, trace};
use crate::intruder::{Frames, Visitor};
use crate::site::{FRESH, page};

/// A check.
#[derive(Debug)]
pub(crate) struct SelfCheck {
    /// Its name.
    pub(crate) name: &'static str,
    /// Makes it.
    pub(crate) body: fn(&Bench) -> Checked,
}

/// All of them.
pub(crate) const CHECKS: &[SelfCheck] = &[
    SelfCheck { name: "each_instruction_more_is_a_point_more", body: more_instructions },
    SelfCheck { name: "points_are_the_instructions_in_order", body: in_order },
    SelfCheck { name: "a_string_instruction_is_one_point", body: string_instruction },
    SelfCheck { name: "an_access_that_is_no_fault_is_noticed", body: no_fault },
];

macro_rules! slides {
    ($($name:ident: $count:literal;)*) => {$(
        #[unsafe(naked)]
        extern "C" fn $name() {
            naked_asm!(concat!(".rept ", $count), "nop", ".endr", "ret")
        }
    )*};
}

slides! {
    nothing: "0";
    one: "1";
    a_hundred: "100";
}

fn step(function: extern "C" fn()) -> Tally {
    interrupt(Schedule::Every, &|_| Ok(()), || function()).1
}

fn more_instructions(_: &Bench) -> Checked {
    let base = step(nothing);
    equal("points of one instruction more", step(one).points - base.points, 1)?;
    equal("points of a hundred more", step(a_hundred).points - base.points, 100)?;
    equal("visits, one a point", base.visits, base.points)?;
    equal("faults", base.faults, 0)
}

fn in_order(_: &Bench) -> Checked {
    let mut instructions = alloc::vec::Vec::with_capacity(1024);
    let slide: extern "C" fn() = a_hundred;
    trace(&mut instructions, || slide());
    let start = slide as *const () as u64;
    let from = instructions.iter().position(|instruction| *instruction == start);
    let slide = &instructions[from.unwrap_or(0)..][..101.min(instructions.len())];
    let size = slide[1] - slide[0];
    holds("they follow one another", size > 0 && slide.windows(2).all(|pair| pair[1] - pair[0] == size))
}

/// Fills 4096 bytes by a string instruction, where there are any, or does nothing.
#[unsafe(naked)]
extern "C" fn fill() {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        "mov rdx, rdi",
        "mov ecx, 4096",
        "lea rdi, [rip + 2f]",
        "xor eax, eax",
        "rep stosb",
        "mov rdi, rdx",
        "ret",
        ".pushsection .bss.steps_fill, \"aw\", @nobits",
        "2:",
        ".zero 4096",
        ".popsection",
    );
    #[cfg(not(target_arch = "x86_64"))]
    naked_asm!("nop", "nop", "nop", "nop", "nop", "nop", "ret")
}

fn string_instruction(_: &Bench) -> Checked {
    equal("points", step(fill).points - step(nothing).points, 6)
}

fn no_fault(bench: &Bench) -> Checked {
    bench.with_arena(FRESH + 8, |site| {
        // This page faults no more, whoever asks.
        for number in FRESH..FRESH + 8 {
            holds("touched", site.read(page(number)).is_some())?;
        }
        let visitor = Visitor::new(site, Frames::None);
        let (_, tally) = interrupt(Schedule::Every, &|visit| visitor.wild(visit), || a_hundred());
        holds("the intruder complained", tally.check().is_err())
    })
}
