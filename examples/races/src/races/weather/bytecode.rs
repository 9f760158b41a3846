//! A bytecode program in heavy weather: it reads and writes wherever it likes in the race's arena, in and beside the extent, while
//! pages come and go there.
//!
//! What it reads at the places of canaries names the page it is read in, or is nothing; what it writes names the page it was meant
//! for; what is on its stack stays. Each access without a page is one violation.

use alloc::format;

use kernel_arena::{AllocError, AllocRequest, Context, Owner, ProgramAddr, ProgramBase, ProgramId};
use kernel_arena_bpf::{Budget, Hosts, Insn, Program, Runner, Stack};
use support::Random;

use crate::check::{Checked, Failure, equal};
use crate::races::churn::{WILD, named};
use crate::site::{Site, pages};
use crate::tally::{Event, count_all};

/// Turns of a run: four accesses to anybody's pages each, and two to its stack.
const TURNS: u64 = 24;
/// Pages that it goes for: eight before the extent, the extent, and some behind it.
const BEFORE: u32 = 8;
const BESIDE: u64 = 24;
/// Instructions of a turn, at most, and more than all others.
const INSTRUCTIONS: u64 = 64;

/// Where it believes that the window is, and for whom holes are recorded.
const BASE: ProgramBase = ProgramBase::new(ProgramAddr::new(0x7f00_0000_0000)).expect("a multiple of 4 GiB");
const NAME: ProgramId = ProgramId::new(11).expect("not 0");

/// Goes to pages by chance (r1), so many (r2), of so many (r4) from one on (r3). There it reads where owners have canaries, and
/// writes where this CPU may (r5). Ends with a word that does not name its page, or 0.
const CODE: &[Insn] = &[
    // The next page: its number in r6, its offset in r7.
    Insn::new(0x27, 1, 0, 0, 0x5851_f42d),
    Insn::new(0x07, 1, 0, 0, 0x1405_7b7f),
    Insn::new(0xbf, 6, 1, 0, 0),
    Insn::new(0x77, 6, 0, 0, 33),
    Insn::new(0x9f, 6, 4, 0, 0),
    Insn::new(0x0f, 6, 3, 0, 0),
    Insn::new(0xbf, 7, 6, 0, 0),
    Insn::new(0x67, 7, 0, 0, 12),
    // The first canary.
    Insn::new(0x79, 8, 7, 8, 0),
    Insn::new(0x15, 8, 0, 4, 0),
    Insn::new(0xbf, 0, 8, 0, 0),
    Insn::new(0x57, 8, 0, 0, 0xff_ffff),
    Insn::new(0x1d, 8, 6, 1, 0),
    Insn::new(0x95, 0, 0, 0, 0),
    // The second.
    Insn::new(0x79, 8, 7, 4088, 0),
    Insn::new(0x15, 8, 0, 4, 0),
    Insn::new(0xbf, 0, 8, 0, 0),
    Insn::new(0x57, 8, 0, 0, 0xff_ffff),
    Insn::new(0x1d, 8, 6, 1, 0),
    Insn::new(0x95, 0, 0, 0, 0),
    // A word that names the page, stored, or exchanged.
    Insn::new(0x0f, 7, 5, 0, 0),
    Insn::new(0xbf, 8, 5, 0, 0),
    Insn::new(0x67, 8, 0, 0, 24),
    Insn::new(0x4f, 8, 6, 0, 0),
    Insn::new(0x45, 1, 0, 2, 0x1000),
    Insn::new(0x7b, 7, 8, 0, 0),
    Insn::new(0x05, 0, 0, 1, 0),
    Insn::new(0xdb, 7, 8, 0, 0xe1),
    // How many turns are left goes by the stack, where others only read.
    Insn::new(0x7b, 10, 2, -16, 0),
    Insn::new(0x79, 2, 10, -16, 0),
    Insn::new(0x07, 2, 0, 0, -1),
    Insn::new(0x55, 2, 0, -32, 0),
    Insn::new(0xb7, 0, 0, 0, 0),
    Insn::new(0x95, 0, 0, 0, 0),
];

/// One run on this CPU, if there is a page for its stack. Gives how many holes it met.
pub(super) fn run(site: &Site, cpu: u32, random: &mut Random) -> Result<Option<u64>, Failure> {
    let request = AllocRequest::new(pages(1), Owner::Allocator).in_context(Context::Any);
    let page = match site.alloc(request) {
        Ok(page) => page,
        Err(AllocError::NoSpace(_) | AllocError::Busy(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let memory = site.arena.memory()?;
    let stack = Stack::new(page.to_ptr(), 8, Stack::FRAME_BYTES)?;
    let runner: Runner<'_, ()> = Runner::new(Program::check(CODE, Hosts::NONE)?, stack, BASE)
        .for_program(NAME)
        .with_budget(Budget::new(TURNS * INSTRUCTIONS));
    let extent = site.arena.layout().extent();
    let first = u64::from(extent.first().number() - BEFORE);
    let number = u64::from(extent.count().get()) + BESIDE;
    let own_word = WILD + 8 * u64::from(cpu);
    let ended = runner.run(&memory, runner.program().start(), [random.bits(), TURNS, first, number, own_word], &mut ());
    count_all(Event::Hole, ended.holes);
    let freed = site.free(page.first().number(), 1, Owner::Allocator);
    judge(ended.result.map_err(|reason| Failure::new(format!("bytecode: {reason}")))?)?;
    freed?;
    Ok(Some(ended.holes))
}

/// A word that it brings back was not written for the page that it was read in.
fn judge(word: u64) -> Checked {
    equal("a word that bytecode read, and the page that it names", (word, named(word)), (0, 0))
}
