//! The arena's pages in the terminal: one character a page, 64 a line, lines without anything to see left out.

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use kernel_arena::{Owner, PageIndex, SlotState};
use support::println;

use crate::KernelArena;
use crate::report::{Paint, Report};
use crate::text::WIDTH;

const LINE_PAGES: u32 = 64;

/// Characters, what they mean, and their colour.
const LEGEND: [(char, &str, Option<Paint>); 8] = [
    ('.', "free", None),
    ('K', "kernel's", Some(Paint::Cyan)),
    ('P', "program's", Some(Paint::Green)),
    ('A', "an allocator's", Some(Paint::Green)),
    ('r', "reserved", Some(Paint::Yellow)),
    ('d', "deferred", Some(Paint::Magenta)),
    ('x', "scratch", Some(Paint::Red)),
    ('X', "scratch over reserved", Some(Paint::Red)),
];

/// In place of pages outside the extent.
const OUTSIDE: char = ' ';

/// Draws the pages of the extent.
pub(crate) fn draw(report: &Report, arena: &KernelArena) {
    let extent = arena.layout().extent();
    let first = extent.first().number();
    let extent_end = first + extent.count().get();
    let lines = first / LINE_PAGES..extent_end.div_ceil(LINE_PAGES);
    println!();
    let mut hidden: Option<Range<u32>> = None;
    for line in lines {
        let start = line * LINE_PAGES;
        let text: String = (start..start + LINE_PAGES).map(|page| character(arena, page)).collect();
        if text.chars().any(|char| !matches!(char, '.' | OUTSIDE)) {
            print_hidden(hidden.take());
            println!("  page {start:>5}  {}", paint(report, &text));
        } else {
            let end = (start + LINE_PAGES).min(extent_end);
            hidden = Some(hidden.map_or(start, |hidden| hidden.start)..end);
        }
    }
    print_hidden(hidden);
    print_legend(report, arena);
}

fn print_hidden(pages: Option<Range<u32>>) {
    if let Some(pages) = pages {
        println!("  page {:>5}  ... all free up to page {}", pages.start, pages.end - 1);
    }
}

/// The meaning of the characters that occur.
fn print_legend(report: &Report, arena: &KernelArena) {
    println!();
    let (mut line, mut length) = (String::new(), 0);
    for (char, meaning, _) in LEGEND {
        if arena.layout().extent().pages().any(|page| character(arena, page.number()) == char) {
            // Without the codes of the colour, and with the space around.
            let entry = 3 + 2 + meaning.len();
            if length + entry > WIDTH {
                println!("{line}");
                (line, length) = (String::new(), 0);
            }
            line += &format!(
                "{}{} {meaning}",
                if length == 0 { "  " } else { "   " },
                paint(report, char.encode_utf8(&mut [0; 4]))
            );
            length += entry;
        }
    }
    println!("{line}");
}

fn character(arena: &KernelArena, page: u32) -> char {
    match PageIndex::new(page).and_then(|page| arena.page_state(page)) {
        None => OUTSIDE,
        Some(SlotState::Vacant | SlotState::Vacated(_)) => '.',
        Some(SlotState::Reserved(_)) => 'r',
        Some(SlotState::Scratch) => 'x',
        Some(SlotState::ScratchOverReserved(_)) => 'X',
        Some(SlotState::Mapped(_, Owner::Kernel)) => 'K',
        Some(SlotState::Mapped(_, Owner::Program)) => 'P',
        Some(SlotState::Mapped(_, Owner::Allocator)) => 'A',
        Some(SlotState::Deferred(..)) => 'd',
        Some(SlotState::Foreign(_)) => '?',
    }
}

/// Colours a line, one run of equal characters at a time.
fn paint(report: &Report, text: &str) -> String {
    let mut painted = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let (run, after) = rest.split_at(rest.find(|other| other != char).unwrap_or(rest.len()));
        match LEGEND.iter().find(|(known, ..)| *known == char) {
            Some((_, _, Some(paint))) => painted.push_str(&report.paint(*paint, run)),
            _ => painted.push_str(run),
        }
        rest = after;
    }
    painted
}
