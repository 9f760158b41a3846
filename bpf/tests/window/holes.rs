//! Holes at every edge: of pages, of the extent, of a region of 2 MiB, of both guards, 0 and 0xffffffff; by each size, in each
//! direction, and by each way to add up to the address.

use kernel_arena::{Bytecode, Owner, PageCount, ViolationKind};
use kernel_arena_bpf::Reason;

use super::{FIRST, ID, LAST, alloc, at, free, machine, run};
use crate::assembler::*;
use crate::machine::{Format, Machine};

/// The pages that are there: at both ends of the extent, one alone, and the last one of a region.
const THERE: [u32; 4] = [FIRST, 40, 511, LAST];

/// What is in all of their bytes, and what the programs here store: so it stays.
const BYTE: u8 = 0x5a;
const WORD: u64 = 0x5a5a_5a5a_5a5a_5a5a;

/// What an instruction answers in r0.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// What was there.
    Loaded,
    /// Nothing: r0 is as it was.
    Nothing,
}
use Answer::{Loaded, Nothing};

/// Opcode, immediate value, bytes, whether it writes, and the answer: of each kind of access. r1 is the address.
#[rustfmt::skip]
const ACCESSES: &[(u8, i32, u8, ViolationKind, Answer)] = &[
    (0x71, 0, 1, READ, Loaded), (0x69, 0, 2, READ, Loaded), (0x61, 0, 4, READ, Loaded), (0x79, 0, 8, READ, Loaded),
    (0x91, 0, 1, READ, Loaded), (0x89, 0, 2, READ, Loaded), (0x81, 0, 4, READ, Loaded),
    (0x72, 0x5a5a_5a5a, 1, WRITE, Nothing), (0x6a, 0x5a5a_5a5a, 2, WRITE, Nothing), (0x62, 0x5a5a_5a5a, 4, WRITE, Nothing),
    (0x73, 0, 1, WRITE, Nothing), (0x6b, 0, 2, WRITE, Nothing), (0x63, 0, 4, WRITE, Nothing), (0x7b, 0, 8, WRITE, Nothing),
    (0xd3, 0x100, 1, READ, Loaded), (0xcb, 0x100, 2, READ, Loaded), (0xc3, 0x100, 4, READ, Loaded), (0xdb, 0x100, 8, READ, Loaded),
    (0xd3, 0x110, 1, WRITE, Nothing), (0xcb, 0x110, 2, WRITE, Nothing), (0xc3, 0x110, 4, WRITE, Nothing), (0xdb, 0x110, 8, WRITE, Nothing),
    // Or and and with what is there, and an exchange for it.
    (0xc3, 0x40, 4, WRITE, Nothing), (0xdb, 0x50, 8, WRITE, Nothing), (0xc3, 0x41, 4, WRITE, Loaded), (0xdb, 0x51, 8, WRITE, Loaded),
    (0xc3, 0xe1, 4, WRITE, Loaded), (0xdb, 0xe1, 8, WRITE, Loaded),
    // Compared with what is not there.
    (0xc3, 0xf1, 4, WRITE, Loaded), (0xdb, 0xf1, 8, WRITE, Loaded),
];
const READ: ViolationKind = ViolationKind::Read;
const WRITE: ViolationKind = ViolationKind::Write;

/// The accesses at these offsets, each on its own, against what is there.
fn check_all<F: Format>(m: &Machine<F>, offsets: impl Iterator<Item = i64>) {
    let base = m.arena().layout().base().value();
    let before = m.arena().stats();
    let frames = m.frames_in_use();
    let mut holes = 0;
    for offset in offsets {
        for &(opcode, immediate, bytes, kind, answer) in ACCESSES {
            let is_atomic = opcode & 0xe3 == 0xc3;
            let is_there =
                (offset..offset + i64::from(bytes)).all(|at| THERE.iter().any(|page| at >> 12 == i64::from(*page)));
            for by in [0, i16::MIN, i16::MAX] {
                let register = offset - i64::from(by);
                let Ok(low) = u32::try_from(register) else { continue };
                let what = format!("{opcode:x} {immediate:x} of {bytes} at {offset:#x}: {low:#x} {by:+}");
                // A load has the address on the right side, an atomic what it fetches there.
                let insn = match (opcode & 7, immediate) {
                    (1, _) | (_, 0x100) => insn(opcode, 0, 1, by, immediate),
                    (2, _) => insn(opcode, 1, 0, by, immediate),
                    _ => insn(opcode, 1, 2, by, immediate),
                };
                // What is fetched ends in r2, but for a compare-exchange.
                let fetches = is_atomic && immediate < 0x100 && answer == Loaded && immediate != 0xf1;
                let last = if fetches { copy(0, 2) } else { ja(0) };
                let code = [mov(0, 7), insn, last, EXIT];
                let ended = run(m, &code, [0xdead_beef << 32 | u64::from(low), WORD, 0, 0, 0]);
                if is_atomic && offset.rem_euclid(bytes.into()) != 0 {
                    assert!(
                        matches!(ended.result, Err(Reason::Misaligned { offset: seen, .. }) if seen == offset),
                        "{what}"
                    );
                    assert_eq!((ended.holes, ended.instruction), (0, 1), "{what}");
                    continue;
                }
                let found = if is_there { WORD >> (64 - 8 * u32::from(bytes)) } else { 0 };
                let r0 = if answer == Loaded { found } else { 7 };
                assert_eq!(ended.result, Ok(r0), "{what}");
                assert_eq!(ended.holes, u64::from(!is_there), "{what}");
                if !is_there {
                    holes += 1;
                    let seen = m.arena().take_violation().expect("it is recorded");
                    assert_eq!(seen.address.value(), base.wrapping_add_signed(offset), "{what}");
                    assert_eq!((seen.kind, seen.program), (kind, ID), "{what}");
                    assert_eq!(seen.bytecode, Some(Bytecode { instruction: 1, bytes }), "{what}");
                }
            }
        }
    }
    let after = m.arena().stats();
    assert_ne!(holes, 0);
    assert_eq!(after.violations, before.violations + holes);
    assert_eq!((after.tainted_pages, m.frames_in_use()), (before.tainted_pages, frames), "nothing is left of them");
}

fn filled<F: Format>() -> Machine<F> {
    let m = machine::<F>(&THERE);
    for page in THERE {
        m.memory(0).copy_out(at(page, 0), &[BYTE; 0x1000]).unwrap();
    }
    m
}

fn around(edge: i64) -> impl Iterator<Item = i64> {
    edge - 9..edge + 9
}

fn holes_are_seen_at_every_edge<F: Format>() {
    let m = filled::<F>();
    let page = |page: u32| i64::from(page) << 12;
    let edges = [
        page(0),
        page(1),
        page(FIRST),
        page(FIRST + 1),
        page(40),
        page(41),
        page(511),
        page(512),
        page(LAST),
        page(LAST + 1),
        // A region without a table, and between two of them.
        0x4000_0000,
        0x8000_0000,
        0xffe0_0000,
    ];
    check_all(&m, edges.into_iter().flat_map(around));
    m.finish();
}
each_format!(holes_are_seen_at_every_edge);

/// The lowest and the highest that any program can name, and both ends of the window: nothing wraps.
fn guards_are_holes<F: Format>() {
    let m = filled::<F>();
    let end = 1i64 << 32;
    let lowest = -0x8000..-0x8000 + 9;
    let highest = end + 0x7ffe - 9..end + 0x7fff;
    check_all(&m, lowest.chain(highest).chain(around(end)).chain(around(-4096)).chain(around(end + 4096)));
    m.finish();
}
each_format!(guards_are_holes);

/// A page that is freed, reserved or holds scratch is none, each time.
fn what_is_no_page_is_a_hole_each_time<F: Format>() {
    let m = filled::<F>();
    alloc(&m, 50);
    m.write(0, at(50, 0), 1).unwrap();
    free(&m, 50);
    m.arena().reserve_pages(at(60, 0), PageCount::ONE, Owner::Program).map(drop).unwrap();
    // The kernel has run over this one.
    m.memory(0).store(at::<u64>(70, 8), &WORD);
    assert_eq!(m.arena().take_violation().map(|seen| seen.kind), Some(WRITE));
    assert_eq!(m.arena().stats().tainted_pages, 1);
    for _ in 0..2 {
        check_all(&m, [50, 60, 70].into_iter().flat_map(|page| (page << 12)..(page << 12) + 9));
    }
    assert_eq!(m.memory(0).load::<u64>(at(70, 8)), WORD, "scratch is as it was");
    m.finish();
}
each_format!(what_is_no_page_is_a_hole_each_time);
