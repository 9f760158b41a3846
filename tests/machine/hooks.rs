//! What happens between two steps of an operation: closures of the test's, run wherever the arena calls the platform.
//!
//! A hook stands for an interrupt on the current CPU (whose level is raised while it runs) or, if it says so with
//! [`Machine::on_cpu`](super::Machine::on_cpu), for what another CPU does meanwhile. Hooks do not interrupt hooks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Where the arena calls the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A frame is to be taken.
    FrameAlloc,
    /// A frame is to be given back.
    FrameFree,
    /// A shootdown begins.
    BeforeFlush,
    /// A shootdown is over.
    AfterFlush,
    /// The CPU's name is asked for.
    CpuIdentity,
    /// A frame's pointer is asked for: before each look at a slot.
    PhysMap,
}

type Hook = Rc<dyn Fn()>;

#[derive(Default)]
pub(super) struct Hooks {
    at: RefCell<Vec<(Point, Hook)>>,
    /// Runs once, when the count of points has come down to 0.
    once: RefCell<Option<(u64, Hook)>>,
    running: Cell<bool>,
}

impl Hooks {
    pub(super) fn add(&self, point: Point, hook: Hook) {
        self.at.borrow_mut().push((point, hook));
    }

    pub(super) fn add_once(&self, points: u64, hook: Hook) {
        *self.once.borrow_mut() = Some((points, hook));
    }

    /// Whether a hook that was to run once still waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.once.borrow().is_some()
    }

    pub(super) fn clear(&self) {
        self.at.borrow_mut().clear();
        *self.once.borrow_mut() = None;
    }

    /// Runs what is to be run at this point, between `enter` and `leave`.
    pub(super) fn fire(&self, point: Point, around: impl FnOnce(&dyn Fn())) {
        if self.running.get() {
            return;
        }
        let due = self.due(point);
        if due.is_empty() {
            return;
        }
        let _running = Running::set(&self.running);
        around(&|| due.iter().for_each(|hook| hook()));
    }

    fn due(&self, point: Point) -> Vec<Hook> {
        let mut due: Vec<Hook> =
            self.at.borrow().iter().filter(|(at, _)| *at == point).map(|(_, hook)| Rc::clone(hook)).collect();
        let mut once = self.once.borrow_mut();
        if let Some((points, hook)) = once.take() {
            match points.checked_sub(1) {
                Some(points) => *once = Some((points, hook)),
                None => due.push(hook),
            }
        }
        due
    }
}

/// Set until it is dropped, by a panic too.
struct Running<'a>(&'a Cell<bool>);

impl<'a> Running<'a> {
    fn set(flag: &'a Cell<bool>) -> Self {
        flag.set(true);
        Self(flag)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
