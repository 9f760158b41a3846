//! How long a run may take: instructions, so that the same run always ends at the same place.
//!
//! They are counted where the flow of control goes back or calls, and nowhere else: between two such places a program runs
//! forwards, at most once over its length. So a run ends after its budget and the length of its program (times the frames that it
//! returns from), whatever it does. Each slot of eight bytes that was executed counts as one instruction.

/// How many instructions a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    all: u64,
    before_reserve: u64,
}

impl Budget {
    /// So many. The last eighth of them is kept in reserve: when it is begun, each `may_goto` jumps, and what is left is for what
    /// the program still has to do.
    pub const fn new(instructions: u64) -> Self {
        Self { all: instructions, before_reserve: instructions - instructions / 8 }
    }

    /// The same with another reserve, of all of it at most.
    #[must_use]
    pub const fn with_reserve(self, instructions: u64) -> Self {
        Self { before_reserve: self.all.saturating_sub(instructions), ..self }
    }

    /// All of them.
    pub const fn instructions(self) -> u64 {
        self.all
    }

    /// Those of them that are kept in reserve.
    pub const fn reserve(self) -> u64 {
        self.all - self.before_reserve
    }
}

impl Default for Budget {
    /// A million.
    fn default() -> Self {
        Self::new(1_000_000)
    }
}

/// What is spent of a budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    budget: Budget,
    spent: u64,
}

impl Meter {
    pub(crate) const fn new(budget: Budget) -> Self {
        Self { budget, spent: 0 }
    }

    pub(crate) const fn spend(&mut self, instructions: u64) {
        self.spent = self.spent.saturating_add(instructions);
    }

    pub(crate) const fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether there is nothing left to go on with.
    pub(crate) const fn is_over(&self) -> bool {
        self.spent >= self.budget.all
    }

    /// Whether with these instructions the reserve is begun.
    pub(crate) const fn is_in_reserve(&self, instructions: u64) -> bool {
        self.spent.saturating_add(instructions) >= self.budget.before_reserve
    }
}
