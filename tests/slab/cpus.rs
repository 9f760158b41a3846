//! CPUs and interrupts of the tests: a thread says which (CPU, level) it stands for, and what is to interrupt it where.
//!
//! An allocator can be seen to do something only where it calls what was lent: its sources, and the CPU's name. These are the
//! *points* at which an interrupt may come; it runs one level above what it interrupts. Interrupts are not interrupted.

use std::cell::{Cell, RefCell};

use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel};

type Interrupt = Box<dyn FnOnce()>;

thread_local! {
    static HERE: Cell<Option<CpuLevel>> = const { Cell::new(Some(CpuLevel { cpu: CpuId::new(0), level: 0 })) };
    static DUE: RefCell<Option<(u64, Interrupt)>> = const { RefCell::new(None) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
    static NEXT_NAME: Cell<Option<CpuLevel>> = const { Cell::new(None) };
    static IDLE: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

/// The CPUs: what the thread says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus;

impl CpuIdentity for Cpus {
    fn current(&self) -> Option<CpuLevel> {
        // Now and then is enough: it is asked in every operation.
        let asked = ASKED.get() + 1;
        ASKED.set(asked);
        if asked % 17 == 0 {
            point();
        }
        HERE.get()
    }

    fn bind(&self) {
        if let Some(name) = NEXT_NAME.take() {
            HERE.set(Some(name));
        }
    }

    fn count(&self) -> CpuCount {
        CpuCount::new(64).unwrap()
    }

    fn lend_idle(&self, each: &mut dyn FnMut(CpuId)) {
        // Each number is nobody else's while it is lent: an interrupt does not find it.
        let mut lent = Vec::new();
        while let Some(cpu) = IDLE.with_borrow_mut(Vec::pop) {
            point();
            each(CpuId::new(cpu));
            lent.push(cpu);
        }
        IDLE.with_borrow_mut(|idle| idle.extend(lent));
    }
}

/// From now on these CPUs are down.
pub(crate) fn idle(cpus: impl IntoIterator<Item = u16>) {
    IDLE.set(cpus.into_iter().collect());
}

fn at<R>(name: Option<CpuLevel>, run: impl FnOnce() -> R) -> R {
    let was = HERE.replace(name);
    let result = run();
    HERE.set(was);
    result
}

/// Runs something on a CPU at an interrupt level. Threads start on CPU 0 at level 0.
pub(crate) fn on<R>(cpu: u16, level: u8, run: impl FnOnce() -> R) -> R {
    at(Some(CpuLevel { cpu: CpuId::new(cpu), level }), run)
}

/// Runs something on a CPU that the kernel cannot name.
pub(crate) fn nameless<R>(run: impl FnOnce() -> R) -> R {
    at(None, run)
}

/// Runs something on a CPU that gets its name when an allocator asks for it.
pub(crate) fn named_on_demand<R>(cpu: u16, run: impl FnOnce() -> R) -> R {
    NEXT_NAME.set(Some(CpuLevel { cpu: CpuId::new(cpu), level: 0 }));
    let result = nameless(run);
    NEXT_NAME.set(None);
    result
}

/// Has an interrupt come once, `points` points from now on (0: at the next one).
pub(crate) fn interrupt_at(points: u64, interrupt: impl FnOnce() + 'static) {
    ASKED.set(0);
    DUE.set(Some((points, Box::new(interrupt))));
}

/// Takes the interrupt back; says whether it has come.
pub(crate) fn interrupted() -> bool {
    DUE.take().is_none()
}

/// What was lent was called.
pub(crate) fn point() {
    if INTERRUPTED.get() {
        return;
    }
    let Some((points, interrupt)) = DUE.take() else { return };
    match points.checked_sub(1) {
        Some(points) => DUE.set(Some((points, interrupt))),
        None => {
            INTERRUPTED.set(true);
            let raised = HERE.get().map(|here| CpuLevel { level: here.level + 1, ..here });
            at(raised, interrupt);
            INTERRUPTED.set(false);
        }
    }
}
