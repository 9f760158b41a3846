//! One object, whatever it is, through everything: parsed, loaded, checked, run from each function, asked for each name, reported
//! on; and any instructions, checked and run. Shared by the tests with broken objects and the fuzz targets.

use kernel_arena::ArenaPtr;
use kernel_arena_bpf::object::Object;
use kernel_arena_bpf::{Budget, Host, Hosts, Insn, OnHole, Program, Report, Runner, Stack};

use crate::plain::{Plain, base};

/// How far an object came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Came {
    Nowhere,
    Parsed,
    Loaded,
    Ran,
}

/// Some pages of data.
const DATA: u32 = 0x40;
const PAGES: u32 = 8;
/// The stack's page.
const STACK: u32 = 0x20;
/// Instructions that a run may take.
const BUDGET: u64 = 2000;

/// What programs may call.
const HOSTS: &[Host<u64>] = &[
    Host { number: 1, name: "host_say", function: |call| call.arguments()[1] },
    Host { number: 7, name: "host_double", function: |call| *call.state() },
];

/// Puts an object through everything: it may be refused anywhere, and panic nowhere.
pub(crate) fn through(bytes: &[u8]) -> Came {
    let told = |error: &dyn core::fmt::Display| assert!(!error.to_string().is_empty());
    let object = match Object::parse(bytes) {
        Ok(object) => object,
        Err(refused) => {
            told(&refused);
            return Came::Nowhere;
        }
    };
    // Each instruction is in the file, or a trap behind one of 128 sections.
    assert!(object.needs().instructions as usize <= bytes.len() / 8 + 128);
    let mut code = vec![Insn::default(); object.needs().instructions as usize];
    let window = Plain::new((DATA..DATA + PAGES).chain([STACK]));
    let hosts = Hosts::new(HOSTS).unwrap();
    let data = ArenaPtr::new(DATA << 12).unwrap();
    let loaded = match object.load(&mut code, data, base(), |name| hosts.number_of(name), &window) {
        Ok(loaded) => loaded,
        Err(refused) => {
            told(&refused);
            return Came::Parsed;
        }
    };
    assert_eq!(window.misses.borrow().len(), 0, "what a loader finds missing is no program's hole");
    // Enough of them: each search goes through all symbols.
    for index in (0..object.needs().instructions + 2).take(200) {
        let (_, _) = (loaded.symbol(index), loaded.line(index));
    }
    assert_eq!(loaded.variable(" "), None);
    let program = match Program::check(loaded.code(), hosts) {
        Ok(program) => program,
        Err(refused) => {
            told(&refused);
            return Came::Loaded;
        }
    };
    let stack = Stack::new(ArenaPtr::new(STACK << 12).unwrap(), 8, 512).unwrap();
    let runner = Runner::new(program, stack, base()).with_budget(Budget::new(BUDGET)).on_hole(OnHole::Continue);
    for function in loaded.functions().take(20) {
        let Some(entry) = program.entry(function.instruction) else { continue };
        let ended = runner.run(&window, entry, [(DATA << 12).into(), 3, 0xffff_fff0, u64::MAX, 0], &mut 5);
        told(&Report::new("fuzzed", &ended).with_object(&loaded));
    }
    Came::Ran
}

/// Puts bytes through the check as instructions, and runs what passes.
pub(crate) fn code_through(bytes: &[u8]) -> Came {
    let code: Vec<Insn> =
        bytes.chunks_exact(8).filter_map(<[u8]>::first_chunk).map(|insn| Insn::from_bytes(*insn)).collect();
    let program = match Program::check(&code, Hosts::new(HOSTS).unwrap()) {
        Ok(program) => program,
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            return Came::Nowhere;
        }
    };
    let stack = Stack::new(ArenaPtr::new(STACK << 12).unwrap(), 8, 512).unwrap();
    let run = || {
        let window = Plain::new((DATA..DATA + PAGES).chain([STACK]));
        let runner = Runner::new(program, stack, base()).with_budget(Budget::new(BUDGET)).on_hole(OnHole::Continue);
        let ended = runner.run(&window, program.start(), [(DATA << 12).into(), 3, 0xffff_fff0, u64::MAX, 0], &mut 5);
        assert_eq!(ended.holes, window.misses.borrow().len() as u64, "each hole is told");
        ended
    };
    let first = run();
    assert_eq!(first, run(), "the same once more");
    assert!((first.instruction as usize) < code.len());
    // It is charged for a stretch of instructions at its end.
    assert!(first.spent <= BUDGET + code.len() as u64, "{first:?}");
    assert!(!Report::new("fuzzed", &first).to_string().is_empty());
    Came::Ran
}
