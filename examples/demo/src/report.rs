//! What the tour prints: headings, figures, statements with their verdict, and the summary.
//!
//! A statement is printed by [`Report::check`] and by nothing else, so none goes unchecked. The lines fit 100 columns and
//! can be read without the colours.

use alloc::format;
use alloc::string::String;
use core::cell::Cell;
use core::fmt::{Display, Write};

use support::{ARCHITECTURE, ExitCode, exceptions_taken, println};

use crate::fault::Faults;

const WIDTH: usize = 100;
/// What precedes a statement.
const MARGIN: usize = 7;

/// Whether to print in colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// As the terminal has them.
    On,
    /// Text alone.
    Off,
}

/// Why the tour cannot go on.
#[derive(Debug)]
pub(crate) struct Stop(pub(crate) String);

impl Stop {
    pub(crate) fn because(why: &str) -> Self {
        Self(String::from(why))
    }
}

impl<E: core::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self(format!("{error}"))
    }
}

/// How text stands out (ECMA-48, 8.3.117).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Red,
    Green,
    Yellow,
    Magenta,
    Cyan,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Red => "1;31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Magenta => "35",
            Self::Cyan => "36",
        }
    }
}

/// The tour's report.
#[derive(Debug)]
pub(crate) struct Report {
    colours: Colours,
    sections: Cell<u32>,
    checks: Cell<u32>,
    failed: Cell<u32>,
}

impl Report {
    pub(crate) const fn new(colours: Colours) -> Self {
        Self { colours, sections: Cell::new(0), checks: Cell::new(0), failed: Cell::new(0) }
    }

    /// `text`, standing out.
    pub(crate) fn paint(&self, paint: Paint, text: impl Display) -> String {
        match self.colours {
            Colours::On => format!("\x1b[{}m{text}\x1b[0m", paint.code()),
            Colours::Off => format!("{text}"),
        }
    }

    /// The first lines.
    pub(crate) fn title(&self) {
        println!("\n{}", self.paint(Paint::Bold, format!("kernel-arena on {ARCHITECTURE}: a tour")));
        println!("Memory that a kernel shares with sandboxed programs by 32-bit pointers, and that no wild");
        println!("access turns into a crash. Each line marked `ok` was checked just before it was printed.");
    }

    /// Starts a section.
    pub(crate) fn section(&self, title: &str, words: &[&str]) {
        self.sections.set(self.sections.get() + 1);
        let mut heading = format!("-- {}. {title} ", self.sections.get());
        while heading.len() < WIDTH {
            heading.push('-');
        }
        defmt::info!("section {}: {=str}", self.sections.get(), title);
        println!("\n{}", self.paint(Paint::Bold, heading));
        for line in words {
            println!("{line}");
        }
        println!();
    }

    /// Prints the rest of a statement that is too long for one line.
    pub(crate) fn more(&self, column: usize, text: impl Display) {
        println!("{:width$}{text}", "", width = MARGIN + column);
    }

    /// Prints a figure, which is no statement.
    pub(crate) fn figure(&self, name: &str, value: impl Display) {
        println!("       {name:<16} {value}");
    }

    /// Prints the head of a table whose rows are statements.
    pub(crate) fn columns(&self, head: impl Display) {
        println!("{}", self.paint(Paint::Bold, format!("       {head}")));
    }

    /// Prints a statement and whether it holds.
    pub(crate) fn check(&self, holds: bool, statement: impl Display) {
        self.checks.set(self.checks.get() + 1);
        let mut line = String::new();
        if holds {
            line.push_str(&self.paint(Paint::Green, "ok"));
            line.push_str("     ");
        } else {
            self.failed.set(self.failed.get() + 1);
            defmt::error!("does not hold: {}", defmt::Display2Format(&statement));
            line.push_str(&self.paint(Paint::Red, "FAILED"));
            line.push(' ');
        }
        // A string takes all that is written.
        let _ = write!(line, "{statement}");
        println!("{line}");
    }

    /// Prints the last lines, and gives the kernel's verdict.
    pub(crate) fn verdict(&self) -> ExitCode {
        self.section("The verdict", &[]);
        let faults = Faults::so_far();
        let taken = exceptions_taken();
        self.figure("CPU exceptions", taken);
        self.figure("", format!("{} wild accesses, recovered by an arena", faults.recovered));
        self.figure("", format!("{} declined, given up by this kernel", faults.declined));
        self.check(taken == faults.recovered + faults.declined, "no exception went elsewhere");
        println!();
        let (checks, failed) = (self.checks.get(), self.failed.get());
        defmt::info!("the tour ends: {} statements, {} of them false", checks, failed);
        if failed == 0 {
            println!("{}", self.paint(Paint::Green, format!("All {checks} statements hold.")));
            ExitCode::Passed
        } else {
            println!("{}", self.paint(Paint::Red, format!("{failed} of {checks} statements do not hold.")));
            ExitCode::Failed
        }
    }
}
