//! What programs may call of the kernel's: functions by number, and by the name that an object has for them.
//!
//! A host function gets five numbers and nothing else of the program's. What a number means, and whether it is good, is the
//! function's to find out: a pointer may lead anywhere in the window.

use core::fmt;

use kernel_arena::{ArenaPtr, ProgramId};

use crate::budget::Meter;
use crate::ended::{Cause, Reason};
use crate::window::Window;

/// The number of [`Insn::TRAP`](crate::Insn::TRAP), which no function can have.
pub(crate) const TRAP: u32 = 1 << 31;

/// A function of the kernel's, for programs of state `S`; what it answers is the program's `r0`.
pub type HostFn<S> = fn(&mut Call<'_, S>) -> u64;

/// A function that programs may call.
pub struct Host<S> {
    /// What the immediate of a call says.
    pub number: u32,
    /// What an object calls it.
    pub name: &'static str,
    /// What is called.
    pub function: HostFn<S>,
}

/// The functions that programs may call. Holding one proves that each name and each number is one function's.
pub struct Hosts<'a, S>(&'a [Host<S>]);

impl<'a, S> Hosts<'a, S> {
    /// None at all.
    pub const NONE: Self = Self(&[]);

    /// Those of a table. A call finds its function at once where the numbers are those of the places in the table, else by a
    /// search from the first on.
    ///
    /// # Errors
    /// [`HostsError`]. Of a table that is a constant, an `unwrap` is found out when it is compiled.
    pub const fn new(table: &'a [Host<S>]) -> Result<Self, HostsError> {
        let mut second = 0;
        while second < table.len() {
            let number = table[second].number;
            if number == TRAP {
                return Err(HostsError::ReservedNumber { number });
            }
            let mut first = 0;
            while first < second {
                if table[first].number == number {
                    return Err(HostsError::SameNumber { number });
                }
                if is_same(table[first].name.as_bytes(), table[second].name.as_bytes()) {
                    return Err(HostsError::SameName { name: table[second].name });
                }
                first += 1;
            }
            second += 1;
        }
        Ok(Self(table))
    }

    /// The number of the function with this name: what a loader writes into a call.
    pub fn number_of(&self, name: &str) -> Option<u32> {
        self.0.iter().find(|host| host.name == name).map(|host| host.number)
    }

    /// The name of the function with this number: what a report says.
    pub fn name_of(&self, number: u32) -> Option<&'static str> {
        self.find(number).map(|host| host.name)
    }

    pub(crate) fn find(&self, number: u32) -> Option<&'a Host<S>> {
        let at_its_place = self.0.get(number as usize).filter(|host| host.number == number);
        at_its_place.or_else(|| self.0.iter().find(|host| host.number == number))
    }
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut same = a.len() == b.len();
    let mut at = 0;
    while same && at < a.len() {
        same = a[at] == b[at];
        at += 1;
    }
    same
}

/// Why a table of functions is none.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostsError {
    /// Two functions have it.
    SameNumber {
        /// The number.
        number: u32,
    },
    /// Two functions have it.
    SameName {
        /// The name.
        name: &'static str,
    },
    /// It means the end of a run.
    ReservedNumber {
        /// The number.
        number: u32,
    },
}

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameNumber { number } => write!(f, "two host functions have the number {number}: give one another"),
            Self::SameName { name } => write!(f, "two host functions have the name {name}: give one another"),
            Self::ReservedNumber { number } => {
                write!(f, "{number} is the number of the trap: give the host function another")
            }
        }
    }
}

impl core::error::Error for HostsError {}

/// A call of a host function: what it was passed, and what it may do to the run.
pub struct Call<'c, S> {
    pub(crate) arguments: [u64; 5],
    pub(crate) window: &'c dyn Window,
    pub(crate) state: &'c mut S,
    pub(crate) meter: &'c mut Meter,
    pub(crate) number: u32,
    pub(crate) instruction: u32,
    pub(crate) program: Option<ProgramId>,
    pub(crate) end: Option<Reason>,
}

impl<S> Call<'_, S> {
    /// `r1` to `r5`.
    pub const fn arguments(&self) -> [u64; 5] {
        self.arguments
    }

    /// One of them as a pointer, of which the low 32 bits count: `None` if those are 0. Arguments are counted from 0, and
    /// there is none beyond 4.
    pub fn pointer<T>(&self, argument: usize) -> Option<ArenaPtr<T>> {
        ArenaPtr::from_low_bits(*self.arguments.get(argument)?)
    }

    /// The window that the program works on, by numbers. What else the kernel has for it, such as
    /// [`Memory`](kernel_arena::access::Memory), belongs into its state.
    pub const fn window(&self) -> &dyn Window {
        self.window
    }

    /// The kernel's own state, which was passed to [`Runner::run`](crate::Runner::run).
    pub const fn state(&mut self) -> &mut S {
        self.state
    }

    /// The index of the calling instruction.
    pub const fn instruction(&self) -> u32 {
        self.instruction
    }

    /// The program that calls, if the kernel has said which.
    pub const fn program(&self) -> Option<ProgramId> {
        self.program
    }

    /// Takes the work of so many instructions from the program's budget: what takes long should cost much.
    pub const fn spend(&mut self, instructions: u64) {
        self.meter.spend(instructions);
    }

    /// Ends the run when the function returns, with [`Reason::Stopped`] and this code of the kernel's.
    pub const fn stop(&mut self, code: u64) {
        self.end = Some(Reason::Stopped(Cause::Host { number: self.number, code }));
    }

    /// Ends the run when the function returns, with [`Reason::Ejected`] and this code of the kernel's.
    pub const fn eject(&mut self, code: u64) {
        self.end = Some(Reason::Ejected(Cause::Host { number: self.number, code }));
    }
}

// Not derived: a derive would ask the same of `S`.
impl<S> Clone for Host<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Host<S> {}
impl<S> Clone for Hosts<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Hosts<'_, S> {}

impl<S> fmt::Debug for Host<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.name)
    }
}

impl<S> fmt::Debug for Hosts<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0).finish()
    }
}

impl<S> fmt::Debug for Call<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, arguments, instruction, .. } = self;
        write!(f, "call of {number} with {arguments:x?} by instruction {instruction}")
    }
}
