//! A window that is nothing but bytes: some pages are there, the others are holes. What is missed is written down.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use kernel_arena::access::Width;
use kernel_arena::{ArenaPtr, ProgramAddr, ProgramBase, ProgramHole};
use kernel_arena_bpf::{Change, Ended, Hosts, Insn, Program, Runner, Stack, Window};

const PAGE: u64 = 0x1000;

/// Pages by number; offsets may lie behind the last one that a window has.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    pages: RefCell<BTreeMap<u64, Box<[u8; 0x1000]>>>,
    pub(crate) misses: RefCell<Vec<ProgramHole>>,
    /// How many accesses there were.
    pub(crate) accesses: Cell<u64>,
}

impl Plain {
    /// With these pages.
    pub(crate) fn new(pages: impl IntoIterator<Item = u32>) -> Self {
        let plain = Self::default();
        plain.pages.borrow_mut().extend(pages.into_iter().map(|page| (page.into(), Box::new([0; 0x1000]))));
        plain
    }

    /// The bytes of a page.
    pub(crate) fn page(&self, page: u32) -> [u8; 0x1000] {
        *self.pages.borrow()[&page.into()]
    }

    /// Reads and then writes as many bytes, all of them or none.
    fn touch(&self, at: u32, bytes: usize, mut each: impl FnMut(usize, &mut u8)) -> Option<()> {
        self.accesses.set(self.accesses.get() + 1);
        let mut pages = self.pages.borrow_mut();
        let places = u64::from(at)..u64::from(at) + bytes as u64;
        if !places.clone().all(|at| pages.contains_key(&(at / PAGE))) {
            return None;
        }
        for (n, at) in places.enumerate() {
            each(n, &mut pages.get_mut(&(at / PAGE)).unwrap()[(at % PAGE) as usize]);
        }
        Some(())
    }

    fn get(&self, at: u32, bytes: usize) -> Option<u64> {
        let mut word = [0; 8];
        self.touch(at, bytes, |n, byte| word[n] = *byte)?;
        Some(u64::from_le_bytes(word))
    }

    fn put(&self, at: u32, bytes: usize, value: u64) -> Option<()> {
        self.touch(at, bytes, |n, byte| *byte = value.to_le_bytes()[n])
    }
}

impl Window for Plain {
    fn load(&self, at: u32, width: Width) -> Option<u64> {
        self.get(at, width.bytes())
    }
    fn store(&self, at: u32, width: Width, value: u64) -> Option<()> {
        self.put(at, width.bytes(), value)
    }
    fn load_acquire(&self, at: u32, width: Width) -> Option<u64> {
        assert_eq!(at as usize % width.bytes(), 0);
        self.get(at, width.bytes())
    }
    fn store_release(&self, at: u32, width: Width, value: u64) -> Option<()> {
        assert_eq!(at as usize % width.bytes(), 0);
        self.put(at, width.bytes(), value)
    }
    fn change32(&self, at: u32, change: Change<u32>) -> Option<u32> {
        assert_eq!(at % 4, 0);
        let was = self.get(at, 4)? as u32;
        let now = match change {
            Change::Add(value) => was.wrapping_add(value),
            Change::Or(value) => was | value,
            Change::And(value) => was & value,
            Change::Xor(value) => was ^ value,
            Change::Exchange(value) => value,
            Change::CompareExchange { current, new } => {
                if was == current {
                    new
                } else {
                    was
                }
            }
        };
        self.put(at, 4, now.into()).map(|()| was)
    }
    fn change64(&self, at: u32, change: Change<u64>) -> Option<u64> {
        assert_eq!(at % 8, 0);
        let was = self.get(at, 8)?;
        let now = match change {
            Change::Add(value) => was.wrapping_add(value),
            Change::Or(value) => was | value,
            Change::And(value) => was & value,
            Change::Xor(value) => was ^ value,
            Change::Exchange(value) => value,
            Change::CompareExchange { current, new } => {
                if was == current {
                    new
                } else {
                    was
                }
            }
        };
        self.put(at, 8, now).map(|()| was)
    }
    fn write(&self, at: u32, bytes: &[u8]) -> usize {
        (0..bytes.len()).take_while(|n| self.put(at + *n as u32, 1, bytes[*n].into()).is_some()).count()
    }
    fn missed(&self, hole: &ProgramHole) {
        self.misses.borrow_mut().push(*hole);
    }
}

/// The upper half of pointers.
pub(crate) const UPPER: u64 = 0x70_0000_0000;

pub(crate) fn base() -> ProgramBase {
    ProgramBase::new(ProgramAddr::new(UPPER)).unwrap()
}

/// The stack's page, and the offset behind it.
pub(crate) const STACK: u32 = 0x20;
pub(crate) const TOP: u32 = (STACK + 1) << 12;

/// Eight frames in the stack's page.
pub(crate) fn stack() -> Stack {
    Stack::new(ArenaPtr::new(STACK << 12).unwrap(), 8, 512).unwrap()
}

/// A runner of a program without host functions.
pub(crate) fn runner(code: &[Insn]) -> Runner<'_, ()> {
    let program = Program::check(code, Hosts::NONE).unwrap_or_else(|refused| panic!("{refused}"));
    Runner::new(program, stack(), base())
}

/// Runs a program from its start, on these pages and that of the stack.
pub(crate) fn run(code: &[Insn], arguments: [u64; 5], pages: &[u32]) -> (Ended, Plain) {
    let window = Plain::new(pages.iter().copied().chain([STACK]));
    let runner = runner(code);
    let ended = runner.run(&window, runner.program().start(), arguments, &mut ());
    (ended, window)
}
