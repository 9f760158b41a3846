//! What the tour prints: headings, figures, statements with their verdict, and the summary.
//!
//! A statement is printed by [`Report::check`] and by nothing else, so none goes unchecked. What is longer than a line of
//! 80 columns is broken between words ([`text`](crate::text)), and all can be read without the colours. The last line is
//! `All N statements hold.`, by which whoever booted the kernel knows that it came to its end.

use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::fmt::Display;

use support::{ARCHITECTURE, ExitCode, exceptions_taken, println};

use crate::fault::{self, Faults};
use crate::text::{WIDTH, wrapped};

/// What precedes a statement.
const MARGIN: usize = 7;
/// The column of a figure's value, from the margin on.
const VALUE: usize = 17;

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
        paragraph(
            "Memory that a kernel shares with sandboxed programs by 32-bit pointers, and that no wild access turns into \
             a crash. Each statement marked `ok` was checked just before it was printed.",
        );
    }

    /// Starts a section.
    pub(crate) fn section(&self, title: &str, words: &str) {
        self.sections.set(self.sections.get() + 1);
        let mut heading = format!("-- {}. {title} ", self.sections.get());
        while heading.len() < WIDTH {
            heading.push('-');
        }
        defmt::info!("section {}: {=str}", self.sections.get(), title);
        println!("\n{}", self.paint(Paint::Bold, heading));
        paragraph(words);
        println!();
    }

    /// Prints a figure, which is no statement.
    pub(crate) fn figure(&self, name: &str, value: impl Display) {
        let mut lines = wrapped(&value.to_string(), MARGIN + VALUE).into_iter();
        println!("{:MARGIN$}{name:<16} {}", "", lines.next().unwrap_or_default());
        lines.for_each(|line| println!("{:width$}{line}", "", width = MARGIN + VALUE));
    }

    /// Prints what somebody else has said, each of its lines broken where it is too long.
    pub(crate) fn quote(&self, text: &str) {
        for line in text.lines() {
            let indent = MARGIN + line.len() - line.trim_start().len();
            for part in wrapped(line.trim_start(), indent) {
                println!("{:indent$}{}", "", self.paint(Paint::Yellow, part));
            }
        }
        println!();
    }

    /// Prints the head of a table whose rows are statements.
    pub(crate) fn columns(&self, head: impl Display) {
        println!("{:MARGIN$}{}", "", self.paint(Paint::Bold, head));
    }

    /// Prints a statement and whether it holds.
    pub(crate) fn check(&self, holds: bool, statement: impl Display) {
        self.check_row(holds, "", statement);
    }

    /// Prints a statement that is the row of a table: where its last cell is too long, it goes on in its own column.
    pub(crate) fn check_row(&self, holds: bool, cells: &str, last: impl Display) {
        self.checks.set(self.checks.get() + 1);
        let mark = if holds {
            self.paint(Paint::Green, "ok") + "     "
        } else {
            self.failed.set(self.failed.get() + 1);
            defmt::error!("does not hold: {=str}{}", cells, defmt::Display2Format(&last));
            self.paint(Paint::Red, "FAILED") + " "
        };
        let column = MARGIN + cells.len();
        let mut lines = wrapped(&last.to_string(), column).into_iter();
        println!("{mark}{cells}{}", lines.next().unwrap_or_default());
        lines.for_each(|line| println!("{:column$}{line}", ""));
    }

    /// Prints the last lines, and gives the kernel's verdict.
    pub(crate) fn verdict(&self) -> ExitCode {
        self.section("The verdict", "Each exception of the CPU was an access of this tour.");
        let faults = Faults::so_far();
        let taken = exceptions_taken();
        self.figure("CPU exceptions", taken);
        self.figure("", format!("{} wild accesses, recovered by an arena", faults.recovered));
        self.figure("", format!("{} declined, given up by this kernel", faults.declined));
        self.figure("", format!("{} at a hole, where an access stopped", fault::stopped()));
        self.figure("", format!("{} of the program's", fault::of_programs()));
        let known = faults.recovered + faults.declined + fault::stopped() + fault::of_programs();
        self.check(taken == known, "no exception went elsewhere");
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

/// Prints words from the margin on.
fn paragraph(words: &str) {
    wrapped(words, 0).iter().for_each(|line| println!("{line}"));
}
