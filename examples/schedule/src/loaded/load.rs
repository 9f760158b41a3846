//! How a scheduler begins: an arena of its own, its object loaded into it, and its functions as a group.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;

use kernel_arena::groups::{EnableError, Equipment, Group};
use kernel_arena::masks::MaskIds;
use kernel_arena::platform::{CpuCount, UpperSlots};
use kernel_arena::{
    AllocRequest, Arena, ArenaLayout, ArenaPtr, MetadataWord, Owner, PAGE_SIZE, PageCount, PageIndex, PageRange,
    ProgramId,
};
use kernel_arena_bpf::object::Object;
use kernel_arena_bpf::{Budget, Insn, OnHole, Program, Runner, Stack};
use spin::Mutex;
use support::check::Failure;
use support::{ADDRESS_WIDTH, KernelPlatform, Machine, ticks};

use super::Loaded;
use super::callback::{Callback, SLOTS, Slot};
use super::outcome::Why;
use super::unload::Leaked;

use crate::host::{BASE, HOSTS};
use crate::sources::Source;
use crate::tasks::Tasks;
use crate::{Arenas, KernelArena};

/// The arena's first page, and how many there are.
const FIRST_PAGE: u32 = 16;
const PAGES: u32 = 64;
/// What a call may take.
const BUDGET: Budget = Budget::new(200_000);
/// How many violations are let pass.
const VIOLATIONS: u64 = 8;
/// How deep functions may call each other.
const FRAMES: u8 = 8;

impl Loaded {
    /// Loads a scheduler on an arena of its own, and has it begin.
    ///
    /// # Errors
    ///
    /// There is no room, or the object is none: that is the kernel's own trouble, for it comes with its schedulers. What was
    /// made until then is left.
    pub(crate) fn load(
        machine: &'static Machine,
        registry: &'static Arenas,
        source: Source,
        place: u8,
        tasks: &Tasks,
    ) -> Result<Self, Failure> {
        let arena_at = Box::into_raw(Box::new(create(machine)?));
        // SAFETY: just leaked; it is made a box again in `unload`, when nothing of this is left.
        let arena: &'static KernelArena = unsafe { &*arena_at };
        let registration = registry.register_static(arena)?;
        let memory = arena.memory()?;

        let parsed_at = Box::into_raw(Box::new(Object::parse(source.object)?));
        // SAFETY: as above.
        let parsed: &'static Object<'static> = unsafe { &*parsed_at };
        let needs = parsed.needs();
        let code_at = Box::into_raw(vec![Insn::default(); needs.instructions as usize].into_boxed_slice());
        // SAFETY: as above, and nobody else has it.
        let code: &'static mut [Insn] = unsafe { &mut *code_at };
        let data = pages(arena, needs.data_bytes.max(1))?;
        let object = parsed.load(code, data.to_ptr(), BASE, |name| HOSTS.number_of(name), &memory)?;
        let object_at = Box::into_raw(Box::new(object));
        // SAFETY: as above.
        let object: &'static _ = unsafe { &*object_at };
        let program = Program::check(object.code(), HOSTS)?;

        let cpus = machine.cpu_count();
        let stack_bytes = u32::from(FRAMES) * Stack::FRAME_BYTES;
        let all_stacks = pages(arena, cpus * stack_bytes)?;
        let stacks = (0..cpus).map(|cpu| {
            let lowest = ArenaPtr::new(all_stacks.to_ptr().offset() + cpu * stack_bytes);
            Ok(Stack::new(lowest.ok_or_else(|| Failure::new("no stack"))?, FRAMES, Stack::FRAME_BYTES)?)
        });
        let stacks = stacks.collect::<Result<Vec<_>, Failure>>()?;

        let member = |(slot, name): (Slot, &str)| {
            let entry = object.function(name).and_then(|index| program.entry(index));
            let id = ProgramId::new(u32::from(place) * 8 + slot as u32 + 1);
            entry.map(|entry| Callback { arena, id, entry })
        };
        let group =
            Group::register(SLOTS.map(member), VIOLATIONS).map_err(|refused| Failure::new(refused.to_string()))?;
        let kicked_at = Box::into_raw(Box::new(AtomicU64::new(0)));
        // SAFETY: as above.
        let kicked: &'static AtomicU64 = unsafe { &*kicked_at };
        let loaded = Self {
            source,
            place,
            group: Some(group),
            runner: Runner::new(program, stacks[0], BASE).with_budget(BUDGET).on_hole(OnHole::Continue),
            object,
            stacks,
            arena,
            registry,
            registration: Some(registration),
            kicked,
            ids: MaskIds::new(cpus).ok_or_else(|| Failure::new("too many CPUs"))?,
            last_choice: AtomicU64::new(ticks()),
            thrown: Mutex::new(None),
            leaked: Leaked { arena: arena_at, code: code_at, parsed: parsed_at, object: object_at, kicked: kicked_at },
        };
        loaded.begin(u64::from(cpus), tasks.ids().count() as u64)?;
        Ok(loaded)
    }

    /// Pool, masks, `init`; and then its functions may be called.
    fn begin(&self, cpus: u64, tasks: u64) -> Result<(), Failure> {
        let Some(group) = &self.group else { return Ok(()) };
        let init = |_: &Equipment<'_, KernelPlatform>| match self.run_alone(Slot::Init, [cpus, tasks, 0, 0, 0]) {
            None | Some(Ok(0)) => Ok(()),
            Some(Ok(value)) => Err(Why::InitRefused(value)),
            Some(Err(reason)) => Err(Why::Ended(reason)),
        };
        match group.enable(self.ids, init) {
            Ok(()) => Ok(()),
            Err(EnableError::Init(why)) => {
                self.note(why, Slot::Init, String::new());
                Ok(())
            }
            Err(error) => Err(Failure::new(format!("{error:?}"))),
        }
    }
}

/// An arena for a scheduler.
fn create(machine: &Machine) -> Result<KernelArena, Failure> {
    let platform = machine.platform().ok_or_else(|| Failure::new("all windows are lent"))?;
    let first = PageIndex::new(FIRST_PAGE).ok_or_else(|| Failure::new("no such page"))?;
    let count = PageCount::new(PAGES).ok_or_else(|| Failure::new("no such count"))?;
    let cpus = CpuCount::new(machine.cpu_count()).ok_or_else(|| Failure::new("no such count of CPUs"))?;
    let layout = ArenaLayout::new(platform.window().window_base(), ADDRESS_WIDTH, first, count)?.with_cpus(cpus);
    let metadata: &'static mut [MaybeUninit<MetadataWord>] = Box::leak(Box::new_uninit_slice(layout.metadata_words()));
    Ok(Arena::new(platform, layout, metadata)?)
}

/// Pages of the kernel's for so many bytes.
fn pages(arena: &KernelArena, bytes: u32) -> Result<PageRange, Failure> {
    let count = u64::from(bytes).div_ceil(PAGE_SIZE);
    let count = u32::try_from(count).ok().and_then(PageCount::new).ok_or_else(|| Failure::new("too many pages"))?;
    Ok(arena.alloc_pages(AllocRequest::new(count, Owner::Kernel))?)
}
