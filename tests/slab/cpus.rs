//! CPUs and interrupts of the tests: a thread says which (CPU, level) it stands for, and what is to interrupt it where.
//!
//! An allocator can be seen to do something only where it calls what was lent: its sources, and the CPU's name. These are the
//! *points* at which an interrupt may come; it runs one level above what it interrupts. Interrupts are not interrupted.
//! Another thread of the same CPU comes at the same level, and so not between a hold and its release, but before and after.
//!
//! Whatever test runs: each hold is released once, by its own token, on all paths; the place is asked for in between alone;
//! and nothing else that was lent is called there.

use std::cell::{Cell, RefCell};

use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, Hold};

type Interrupt = Box<dyn FnOnce()>;

/// Who comes in between.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// A handler, one level above.
    Handler,
    /// A thread, at the same level of the same CPU.
    Thread,
}

thread_local! {
    static HERE: Cell<Option<CpuLevel>> = const { Cell::new(Some(CpuLevel { cpu: CpuId::new(0), level: 0 })) };
    static DUE: RefCell<Option<(u64, Comes, Interrupt)>> = const { RefCell::new(None) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
    static NEXT_NAME: Cell<Option<CpuLevel>> = const { Cell::new(None) };
    static IDLE: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
    /// The hold of the code that runs, by its token; what it has interrupted has its own.
    static HELD: Cell<Option<u64>> = const { Cell::new(None) };
    static HOLDS: Cell<u64> = const { Cell::new(0) };
}

/// The CPUs: what the thread says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus;

impl CpuIdentity for Cpus {
    fn hold(&self) -> Hold {
        assert_eq!(HELD.get(), None, "held twice");
        come(&[Comes::Thread]);
        let token = HOLDS.get() + 1;
        HOLDS.set(token);
        HELD.set(Some(token));
        Hold::new(token)
    }

    fn release(&self, hold: Hold) {
        assert_eq!(HELD.take(), Some(hold.word()), "released what is not held");
        come(&[Comes::Thread]);
    }

    fn current(&self) -> Option<CpuLevel> {
        assert_ne!(HELD.get(), None, "asked where nothing is held");
        // Now and then is enough: it is asked in every operation.
        let asked = ASKED.get() + 1;
        ASKED.set(asked);
        if asked % 17 == 0 {
            come(&[Comes::Handler]);
        }
        HERE.get()
    }

    fn cpu(&self) -> Option<CpuId> {
        HERE.get().map(|here| here.cpu)
    }

    fn bind(&self) {
        assert_eq!(HELD.get(), None, "bound while something is held");
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
    DUE.set(Some((points, Comes::Handler, Box::new(interrupt))));
}

/// Has another thread of the CPU come once, `points` points from now on: also before each hold and after it.
pub(crate) fn preempt_at(points: u64, thread: impl FnOnce() + 'static) {
    DUE.set(Some((points, Comes::Thread, Box::new(thread))));
}

/// How often something was held.
pub(crate) fn holds() -> u64 {
    HOLDS.get()
}

/// Takes back who was to come; says whether it has come.
pub(crate) fn interrupted() -> bool {
    DUE.take().is_none()
}

/// What was lent was called.
pub(crate) fn point() {
    assert_eq!(HELD.get(), None, "a source is called while something is held");
    come(&[Comes::Handler, Comes::Thread]);
}

/// A moment at which some may come.
fn come(who: &[Comes]) {
    if INTERRUPTED.get() {
        return;
    }
    match DUE.take() {
        Some((0, comes, interrupt)) if who.contains(&comes) => {
            INTERRUPTED.set(true);
            let held = HELD.take();
            let raise = u8::from(comes == Comes::Handler);
            let raised = HERE.get().map(|here| CpuLevel { level: here.level + raise, ..here });
            at(raised, interrupt);
            assert_eq!(HELD.replace(held), None, "what came in between has not released");
            INTERRUPTED.set(false);
        }
        Some((points, comes, interrupt)) => {
            let left = points - u64::from(who.contains(&comes));
            DUE.set(Some((left, comes, interrupt)));
        }
        None => {}
    }
}
