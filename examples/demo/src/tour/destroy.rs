//! The end of the arena.

use alloc::format;

use support::Machine;

use crate::KernelArena;
use crate::report::{Report, Stop};

/// Destroys the arena; `frames` is how many there were before it was created.
pub(crate) fn destroy(
    report: &Report,
    machine: &'static Machine,
    arena: KernelArena,
    frames: usize,
) -> Result<(), Stop> {
    report.section("The end", "Destroying an arena gives back all that it was lent.");
    let stats = arena.stats();
    report.figure("pages in use", stats.claimed_pages);
    report.figure("violations", format!("{}, of which {} lost", stats.violations, stats.violations_lost));
    report.figure("TLB shootdowns", stats.shootdowns);
    report.check(arena.validate().is_ok(), "after all that, every page-table entry is as it should be");
    let words = arena.layout().metadata_words();

    let back = arena.destroy().expect("no view is attached");
    report.check(back.pages > 0, format!("destroyed, with {} pages still allocated", back.pages));
    let free = machine.frames().free_count();
    report.check(free == frames, format!("every frame is back: {free} are free, as there were before"));
    report.check(back.metadata.len() == words, "so is the metadata");
    let vacant = back.platform.window().entries() == [0; 5];
    report.check(vacant, "the five page-table entries that were lent are zero again");
    Ok(())
}
