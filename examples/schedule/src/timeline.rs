//! What ran where, and in which order.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_arena::platform::CpuId;
use spin::Mutex;

use crate::tasks::TaskId;

/// Who chose a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The kernel itself.
    Kernel,
    /// The scheduler that was loaded as the n-th, from 0 on.
    Loaded(u8),
}

/// A slice of a task's work.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Whose.
    pub task: TaskId,
    /// Who wanted it there.
    pub by: By,
}

/// For each CPU the slices that it has done, in their order.
#[derive(Debug)]
pub struct Timeline {
    cpus: Box<[Mutex<Vec<Slice>>]>,
}

impl Timeline {
    /// An empty one, with room for so many slices on each CPU: none is allocated later.
    #[must_use]
    pub fn new(cpus: u32, slices: usize) -> Self {
        Self { cpus: (0..cpus).map(|_| Mutex::new(Vec::with_capacity(slices))).collect() }
    }

    /// Notes a slice; what there is no room for is left out.
    pub fn note(&self, cpu: CpuId, slice: Slice) {
        if let Some(lane) = self.cpus.get(usize::from(cpu.number())) {
            // Only its own CPU writes, and readers come when all is over.
            let mut lane = lane.lock();
            if lane.len() < lane.capacity() {
                lane.push(slice);
            }
        }
    }

    /// What a CPU has done.
    #[must_use]
    pub fn of(&self, cpu: usize) -> Vec<Slice> {
        self.cpus.get(cpu).map_or_else(Vec::new, |lane| lane.lock().clone())
    }
}
