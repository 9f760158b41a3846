//! A heap's classes in the terminal: a line for each that is in use, with a bar for its objects.

use alloc::format;
use alloc::string::String;

use kernel_arena::heap::HeapStats;
use kernel_arena::slab::ClassStats;
use support::println;

use crate::report::{Paint, Report};

/// Characters of a bar: all objects of the class's slabs.
const BAR: usize = 34;

/// Draws the classes that have slabs, and the runs of pages.
pub(crate) fn draw(report: &Report, stats: &HeapStats) {
    println!();
    println!("{}", report.paint(Paint::Bold, "          size  slabs   live  cached   free"));
    for class in stats.slab.classes.iter().filter(|class| class.slabs > 0) {
        let ClassStats { size, slabs, live, cached, free, .. } = class;
        println!("       {size:>7} {slabs:>6} {live:>6} {cached:>7} {free:>6}  {}", bar(report, class));
    }
    if stats.run_bytes > 0 {
        println!("          runs of pages: {} KiB", stats.run_bytes >> 10);
    }
    let legend =
        [('#', Paint::Green, "live"), ('+', Paint::Yellow, "cached in magazines"), ('.', Paint::Cyan, "free in slabs")];
    let legend = legend.map(|(char, paint, meaning)| format!("{} {meaning}", report.paint(paint, char)));
    println!("\n          {}\n", legend.join("   "));
}

/// The shares of a class's objects.
fn bar(report: &Report, class: &ClassStats) -> String {
    // Ends of parts, and not their lengths, are rounded, so that the bar is always as long.
    let end = |objects: u64| (0..BAR).take_while(|place| *place as u64 * class.objects < objects * BAR as u64).count();
    let (live, cached, all) = (end(class.live), end(class.live + class.cached), end(class.objects));
    let part = |paint, char: &str, length: usize| report.paint(paint, char.repeat(length));
    part(Paint::Green, "#", live) + &part(Paint::Yellow, "+", cached - live) + &part(Paint::Cyan, ".", all - cached)
}
