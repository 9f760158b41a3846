//! What ran on which CPU, as a picture: a letter for each slice.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use schedule::timeline::{By, Slice, Timeline};
use support::println;

use crate::report::{Paint, Report};
use crate::text::WIDTH;

/// The columns of a picture's head: who chose, and the CPU.
const HEAD: usize = 23;
/// The columns for how many slices are left out.
const TAIL: usize = 7;

/// Draws what was chosen by each of these, one after the other, with a line for each CPU.
pub(crate) fn draw(report: &Report, timeline: &Timeline, cpus: usize, choosers: &[(By, &str, Paint)]) {
    for (by, name, paint) in choosers {
        for cpu in 0..cpus {
            let slices: Vec<Slice> = timeline.of(cpu).into_iter().filter(|slice| slice.by == *by).collect();
            let name = if cpu == 0 { *name } else { "" };
            println!("       {name:<8} CPU {cpu:<2} {}", line(report, &slices, *paint));
        }
    }
    println!("\n       A letter is a slice of a task; a CPU did them from left to right.\n");
}

/// The first slices of a CPU, and how many more there were.
fn line(report: &Report, slices: &[Slice], paint: Paint) -> String {
    let shown = slices.len().min(WIDTH - HEAD - TAIL);
    let letters: String = slices[..shown].iter().map(letter).collect();
    let more = match slices.len() - shown {
        0 => String::new(),
        more => format!(" + {more}"),
    };
    format!("{}{more}", report.paint(paint, letters))
}

/// A task's letter.
fn letter(slice: &Slice) -> char {
    char::from(b'A' + slice.task.number() % 26)
}
