//! Each instruction against a table of what RFC 9669 says that it gives: written from its text, by hand, with no regard to the
//! interpreter.

mod arithmetic;
mod atomics;
mod jumps;
mod memory;
mod moves;

use std::collections::BTreeSet;

use kernel_arena_bpf::{Hosts, Insn, Program};

use crate::assembler::*;
use crate::plain::run;

/// A program, and what it ends with.
pub(crate) struct Vector {
    what: String,
    code: Vec<Insn>,
    arguments: [u64; 5],
    r0: u64,
}

impl Vector {
    /// Of one instruction that changes r0 and may read r1, with what they hold before.
    fn of_one(insn: Insn, r0: u64, r1: u64, expected: u64) -> Self {
        let what = format!("{insn:?} of {r0:#x} and {r1:#x}");
        let code = [&wide(0, r0)[..], &wide(1, r1), &[insn, EXIT]].concat();
        Self { what, code, arguments: [0; 5], r0: expected }
    }
}

fn all() -> Vec<Vector> {
    let mut all = arithmetic::vectors();
    all.extend(moves::vectors());
    all.extend(jumps::vectors());
    all.extend(memory::vectors());
    all.extend(atomics::vectors());
    all
}

#[test]
fn each_vector_ends_as_the_rfc_says() {
    for vector in all() {
        let (ended, window) = run(&vector.code, vector.arguments, &[]);
        let (what, expected) = (vector.what, vector.r0);
        assert_eq!(ended.result, Ok(expected), "{what}: {expected:#x}, and not {:x?}", ended.result);
        assert_eq!((ended.holes, window.misses.borrow().len()), (0, 0), "{what}");
    }
}

/// Whatever the check lets through, some vector runs: opcode by opcode, and what else says what is done.
#[test]
fn each_instruction_has_a_vector() {
    let kind = |insn: &Insn| {
        let opcode = insn.opcode();
        let is_atomic = opcode & 7 == 3 && opcode & 0xe0 == 0xc0;
        let has_kinds = matches!(opcode, 0xbc | 0xbf | 0x34 | 0x37 | 0x3c | 0x3f | 0x94 | 0x97 | 0x9c | 0x9f);
        let offset = if has_kinds { insn.offset() } else { 0 };
        let is_swap = matches!(opcode, 0xd4 | 0xd7 | 0xdc);
        let is_cast = opcode == 0xbf && offset == 1;
        (opcode, offset, if is_atomic || is_swap || is_cast { insn.immediate() } else { 0 })
    };
    let tried: BTreeSet<_> = all().iter().flat_map(|vector| &vector.code).map(kind).collect();
    for opcode in 0..=255 {
        for offset in [0, 1, 8, 16, 32] {
            for immediate in [0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 0x100, 0x110, 16, 32, 64, 0x1_0000]
            {
                let one = insn(opcode, 0, 0, offset, immediate);
                let is_accepted = |code: &[Insn]| Program::check(code, Hosts::<()>::NONE).is_ok();
                // Jumps have where to go.
                let code = [&[one][..], &[mov(0, 0); 64], &[EXIT]].concat();
                let accepted = is_accepted(&code);
                assert!(!accepted || tried.contains(&kind(&one)), "{one:?} is never tried");
            }
        }
    }
    // What the program above cannot have: a second half, and other programs' calls.
    for insn in [wide(0, 0)[0], local(0), host(1)] {
        assert!(insn.opcode() == 0x85 || tried.contains(&kind(&insn)), "{insn:?}");
    }
}
