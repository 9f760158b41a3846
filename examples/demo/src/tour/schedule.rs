//! Tasks whose order programs decide: one that runs wild, the kernel alone, and one that does well.

use alloc::format;
use alloc::vec;

use schedule::sources::{MASKS, USE_AFTER_FREE};
use schedule::tasks::{Order, Tasks};
use schedule::timeline::By;
use schedule::work::Work;
use support::Machine;

use crate::fault::REGISTRY;
use crate::report::{Paint, Report, Stop};
use crate::timeline;

const TASKS: u32 = 6;
/// How long each is.
const SLICES: u32 = 150;
/// How long the kernel goes on alone.
const REST: u32 = 8;

/// Loads a bad scheduler and a good one, and balances the books.
pub(crate) fn show(report: &Report, machine: &'static Machine) -> Result<(), Stop> {
    report.section(
        "Schedulers",
        "Bytecode, compiled from C, decides which task runs next on a CPU. Its queues lie in an arena of its own, and \
         no verifier has read it. The kernel counts what it does wrong, and throws it out after 8 violations.",
    );
    let frames = machine.frames().free_count();
    let cpus = machine.cpu_count() as usize;
    let orders = vec![Order { slices: SLICES, cpus: (1 << cpus) - 1 }; TASKS as usize];
    let work = Work::new(machine, &REGISTRY, Tasks::new(orders)).with_rest(REST);
    work.run(vec![USE_AFTER_FREE, MASKS], |_| ()).map_err(|failure| Stop(format!("{failure}")))?;
    let choosers = [
        (By::Loaded(0), "bad", Paint::Magenta),
        (By::Kernel, "kernel", Paint::Cyan),
        (By::Loaded(1), "good", Paint::Green),
    ];
    timeline::draw(report, work.timeline(), cpus, &choosers);

    let outcomes = work.outcomes();
    let [bad, good] = outcomes.as_slice() else { return Err(Stop::because("a scheduler has left no outcome")) };
    let thrown = bad.thrown.as_ref().ok_or_else(|| Stop::because("the bad scheduler was not thrown out"))?;
    report.quote(&thrown.report);
    let chosen = |by| (0..cpus).flat_map(|cpu| work.timeline().of(cpu)).filter(|slice| slice.by == by).count();
    report.check(
        bad.violations > 8,
        format!("`{}`: {} violations in {}, and it is thrown out", bad.name, bad.violations, thrown.function),
    );
    let (alone, by_good) = (chosen(By::Kernel), chosen(By::Loaded(1)));
    report.check(
        alone >= REST as usize,
        format!("the kernel goes on by itself, first come, first served: {alone} slices"),
    );
    report.check(
        good.thrown.is_none() && good.violations == 0 && by_good > 0,
        format!("the next one, `{}`, is loaded on a new arena, and stays: {by_good} slices", good.name),
    );
    let whole = work.tasks().ids().all(|task| work.tasks().done(task) == SLICES);
    report.check(whole, format!("{TASKS} tasks of {SLICES} slices: each slice was done, and none twice"));
    let back = machine.frames().free_count() == frames;
    report.check(back, "both schedulers are gone with their arenas: every frame is back");
    Ok(())
}
