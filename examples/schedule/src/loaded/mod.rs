//! A scheduler, from its bytes to its end: an arena of its own, its object loaded into it, and its five functions as a group.

mod callback;
mod load;
mod outcome;
mod unload;

pub use outcome::{Outcome, Thrown, Why};

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::Registration;
use kernel_arena::access::Memory;
use kernel_arena::groups::Group;
use kernel_arena::masks::{KernelMask, MaskIds};
use kernel_arena::platform::CpuId;
use kernel_arena_bpf::object::Loaded as LoadedObject;
use kernel_arena_bpf::{Ended, Reason, Report, Runner, Stack};
use spin::Mutex;
use support::{KernelPlatform, cpu_id, milliseconds, ticks};

use callback::{Callback, Callbacks, SLOTS, Slot};
use unload::Leaked;

use crate::host::{BASE, Caller};
use crate::sources::Source;
use crate::tasks::{Misplaced, TaskId};
use crate::{Arenas, KernelArena};

/// How long tasks may wait while a scheduler says that there are none.
const PATIENCE_MILLISECONDS: u64 = 1000;

/// A scheduler that is loaded.
#[derive(Debug)]
pub struct Loaded {
    source: Source,
    place: u8,
    group: Option<Callbacks>,
    runner: Runner<'static, Caller>,
    object: &'static LoadedObject<'static>,
    stacks: Vec<Stack>,
    arena: &'static KernelArena,
    registry: &'static Arenas,
    registration: Option<Registration>,
    kicked: &'static AtomicU64,
    ids: MaskIds,
    last_choice: AtomicU64,
    thrown: Mutex<Option<Thrown>>,
    leaked: Leaked,
}

impl Loaded {
    /// The number under which the timeline knows it.
    pub(crate) const fn place(&self) -> u8 {
        self.place
    }

    /// Whether it is still asked.
    pub(crate) fn is_present(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_present)
    }

    /// Tells it where a task may run, by the mask of this CPU.
    pub(crate) fn set_cmask(&self, task: TaskId, cpus: u64) {
        self.call(Slot::SetCmask, |memory, mask| {
            mask?.set(memory, [cpus]).ok()?;
            Some([u64::from(task.number()), mask?.ptr().to_program(BASE).value(), 0, 0, 0])
        });
    }

    /// Tells it that a task waits.
    pub(crate) fn enqueue(&self, task: TaskId) {
        self.call(Slot::Enqueue, |_, _| Some([task.number().into(), 0, 0, 0, 0]));
    }

    /// Which task it wants on a CPU.
    pub(crate) fn dispatch(&self, cpu: CpuId) -> Option<u64> {
        self.call(Slot::Dispatch, |_, _| Some([cpu.number().into(), 0, 0, 0, 0]))?.checked_sub(1)
    }

    /// A task that it wanted runs.
    pub(crate) fn has_chosen(&self) {
        self.last_choice.store(ticks(), Ordering::Relaxed);
    }

    /// It said that there is nothing to do, and there is.
    pub(crate) fn has_said_none(&self) {
        let since = ticks().saturating_sub(self.last_choice.load(Ordering::Relaxed));
        if milliseconds(since) > PATIENCE_MILLISECONDS {
            self.throw_out(
                Why::Stalled,
                Slot::Dispatch,
                format!("scheduler {}: tasks wait, and it names none", self.source.name),
            );
        }
    }

    /// It named a task that cannot be next.
    pub(crate) fn accuse(&self, misplaced: Misplaced) {
        let report =
            format!("scheduler {}: dispatch named a task that cannot be next here: {misplaced:?}", self.source.name);
        self.throw_out(Why::Misplaced(misplaced), Slot::Dispatch, report);
    }

    /// Calls one of its functions on this CPU; its answer, if it gave one and may go on.
    fn call(
        &self,
        slot: Slot,
        arguments: impl FnOnce(&Memory<'_, KernelPlatform>, Option<KernelMask>) -> Option<[u64; 5]>,
    ) -> Option<u64> {
        let group = self.group.as_ref()?;
        let call = group.enter(slot as usize)?;
        let memory = self.arena.memory().ok()?;
        let arguments = arguments(&memory, call.mask())?;
        let ended = self.run(&memory, call.member(), arguments);
        // Charged before it is looked at: a call that was one violation too many counts, and it is the one that is blamed.
        let ejected = call.end();
        match ended.result {
            Err(reason) => {
                self.throw_out(Why::Ended(reason), slot, self.report(&ended));
                None
            }
            Ok(_) if ejected => {
                self.note(Why::Violations, slot, self.report(&ended));
                None
            }
            Ok(_) if !group.is_present() => None,
            Ok(value) => Some(value),
        }
    }

    /// Runs a function where no callers are let in: before the first, after the last.
    fn run_alone(&self, slot: Slot, arguments: [u64; 5]) -> Option<Result<u64, Reason>> {
        let callback = self.group.as_ref()?.member(slot as usize)?;
        let memory = self.arena.memory().ok()?;
        let _scope = self.arena.work_for(callback.id);
        Some(self.run(&memory, callback, arguments).result)
    }

    fn run(&self, memory: &Memory<'_, KernelPlatform>, callback: &Callback, arguments: [u64; 5]) -> Ended {
        let stack = self.stacks.get(usize::from(cpu_id().number())).copied();
        let mut runner = stack.map_or(self.runner, |stack| self.runner.with_stack(stack));
        if let Some(id) = callback.id {
            runner = runner.for_program(id);
        }
        let mut caller = Caller { arena: self.arena, ids: self.ids, kicked: self.kicked };
        runner.run(memory, callback.entry, arguments, &mut caller)
    }

    fn report(&self, ended: &Ended) -> String {
        Report::new(self.source.name, ended).with_object(self.object).with_arena(self.arena).to_string()
    }

    fn throw_out(&self, why: Why, slot: Slot, report: String) {
        if let Some(group) = &self.group {
            group.eject();
        }
        self.note(why, slot, report);
    }

    /// The first reason is the one that counts.
    fn note(&self, why: Why, slot: Slot, report: String) {
        let function = SLOTS[slot as usize].1;
        self.thrown.lock().get_or_insert(Thrown { why, function, report });
    }
}
