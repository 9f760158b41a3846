//! Where checks are run: each has an arena of its own, and nothing may stay behind.

use alloc::boxed::Box;
use alloc::string::String;
use core::mem::MaybeUninit;

use kernel_arena::platform::{CpuCount, UpperSlots};
use kernel_arena::{Arena, ArenaLayout, MetadataWord, PageCount, PageIndex};
use spin::Mutex;
use support::check::{Failure, equal};
use support::{ADDRESS_WIDTH, Machine};

use crate::checks::Check;
use crate::fault::REGISTRY;

/// The arenas of this kernel.
pub(crate) type KernelArena = Arena<support::KernelPlatform>;

/// What a check has to say beside that it passed.
pub(crate) type Told = Result<String, Failure>;

/// The first page of every arena, and how many there are.
pub(crate) const FIRST_PAGE: u32 = 16;
pub(crate) const PAGES: u32 = 128;

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Little.
    Fast,
    /// Much.
    Long,
}

/// What checks are run with.
#[derive(Debug)]
pub(crate) struct Bench {
    machine: &'static Machine,
    effort: Effort,
    /// Metadata that came back.
    metadata: Mutex<Option<&'static mut [MaybeUninit<MetadataWord>]>>,
}

/// What a check has.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) machine: &'static Machine,
    pub(crate) arena: &'a KernelArena,
    pub(crate) effort: Effort,
}

impl Bench {
    pub(crate) const fn new(machine: &'static Machine, effort: Effort) -> Self {
        Self { machine, effort, metadata: Mutex::new(None) }
    }

    /// Runs a check on an arena of its own.
    pub(crate) fn run(&self, check: &Check) -> Told {
        let frames = self.machine.frames().free_count();
        let told = self.with_arena(check);
        equal("frames after the check", self.machine.frames().free_count(), frames)?;
        told
    }

    fn with_arena(&self, check: &Check) -> Told {
        let arena = Box::new(create(self.machine, self.metadata.lock().take())?);
        // SAFETY: the arena stays in its box until `remove` below has returned `Ok`; if it does not, the kernel's last verdict is a panic.
        let registration = unsafe { REGISTRY.register(&arena) }?;
        let site = Site { machine: self.machine, arena: &arena, effort: self.effort };
        let told = (check.body)(&site);
        arena.reclaim();
        let valid = arena.validate();
        REGISTRY.remove(registration).expect("no fault is in flight: nothing runs but this");
        let destroyed = (*arena).destroy().expect("no program sees it");
        *self.metadata.lock() = Some(destroyed.metadata);
        let told = told?;
        valid?;
        Ok(told)
    }
}

/// An arena, with metadata that came back, if some did.
pub(crate) fn create(
    machine: &Machine,
    metadata: Option<&'static mut [MaybeUninit<MetadataWord>]>,
) -> Result<KernelArena, Failure> {
    let platform = machine.platform().ok_or_else(|| Failure::new("all windows are lent"))?;
    let first = PageIndex::new(FIRST_PAGE).ok_or_else(|| Failure::new("no such page"))?;
    let pages = PageCount::new(PAGES).ok_or_else(|| Failure::new("no such count"))?;
    let cpus = CpuCount::new(machine.cpu_count()).ok_or_else(|| Failure::new("no such count of CPUs"))?;
    let base = platform.window().window_base();
    let layout = ArenaLayout::new(base, ADDRESS_WIDTH, first, pages)?.with_cpus(cpus);
    let metadata = metadata.unwrap_or_else(|| Box::leak(Box::new_uninit_slice(layout.metadata_words())));
    Ok(Arena::new(platform, layout, metadata)?)
}

impl Site<'_> {
    /// So many times, by the effort.
    pub(crate) const fn of(&self, (fast, long): (u64, u64)) -> u64 {
        match self.effort {
            Effort::Fast => fast,
            Effort::Long => long,
        }
    }
}
