//! Runs programs: where the stack is, what holes lead to, how long a run may take.

mod alu;
mod interpreter;
mod memory;
mod stack;

use core::fmt;

use kernel_arena::{ProgramBase, ProgramId};

use crate::budget::Budget;
use crate::ended::{Ended, Reason};
use crate::program::{Entry, Program};
use crate::window::Window;

pub use stack::{MAX_FRAMES, Stack, StackError};

use interpreter::Run;

/// What becomes of a run when an access finds no page. In each case the load gave 0, or the store was dropped, and the window took
/// note of it ([`Window::missed`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnHole {
    /// It goes on.
    #[default]
    Continue,
    /// It ends, with [`Reason::Stopped`].
    Stop,
    /// It ends, with [`Reason::Ejected`]: the kernel throws the program out, and whatever belongs to it.
    Eject,
}

/// A program, and how it is run. Nothing is kept between runs, so many may run at once, each with a stack of its own.
pub struct Runner<'a, S> {
    program: Program<'a, S>,
    stack: Stack,
    base: ProgramBase,
    budget: Budget,
    on_hole: OnHole,
    id: Option<ProgramId>,
}

impl<'a, S> Runner<'a, S> {
    /// Runs a program with this stack. The upper half of its pointers, as a cast to program makes them, is that of `base`: any
    /// that the program has not got otherwise will do; what a loader has written into code and data has to be the same.
    ///
    /// Without further ado the [budget](Budget) is a million instructions, and a run goes on after a hole.
    pub fn new(program: Program<'a, S>, stack: Stack, base: ProgramBase) -> Self {
        Self { program, stack, base, budget: Budget::default(), on_hole: OnHole::default(), id: None }
    }

    /// The same with another budget.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The same with another policy on holes.
    #[must_use]
    pub fn on_hole(self, on_hole: OnHole) -> Self {
        Self { on_hole, ..self }
    }

    /// The same for a program with a name, which each hole is recorded with. (For what host functions do there is
    /// [`Arena::work_for`](kernel_arena::Arena::work_for).)
    #[must_use]
    pub fn for_program(self, id: ProgramId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The same with another stack: one for each CPU, say.
    #[must_use]
    pub fn with_stack(self, stack: Stack) -> Self {
        Self { stack, ..self }
    }

    /// The program.
    pub const fn program(&self) -> &Program<'a, S> {
        &self.program
    }

    /// Runs the program from an entry on, until it ends or is ended. Context: that of the window's accesses (for an arena's:
    /// *any*), and of the host functions.
    ///
    /// `arguments` are `r1` to `r5`; a pointer among them is its offset, with or without the upper half of the base. What is on
    /// the stack is what was there.
    pub fn run<W: Window>(&self, window: &W, entry: Entry, arguments: [u64; 5], state: &mut S) -> Ended {
        match self.program.entry(entry.index()) {
            Some(entry) => Run::new(self, window).from(entry, arguments, state),
            None => Ended {
                result: Err(Reason::NoSuchEntry),
                instruction: entry.index(),
                registers: [0; 11],
                spent: 0,
                holes: 0,
                first_hole: None,
            },
        }
    }
}

// Not derived: a derive would ask the same of `S`.
impl<S> Clone for Runner<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Runner<'_, S> {}

impl<S> fmt::Debug for Runner<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("program", &self.program)
            .field("stack", &self.stack)
            .field("budget", &self.budget)
            .field("on_hole", &self.on_hole)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
