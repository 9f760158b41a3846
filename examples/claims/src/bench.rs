//! Where claims are tried: arenas are made and unmade here, and nothing may stay behind.
//!
//! After each claim its arena must validate, no fault may have been spurious (one CPU uses it, so none has an excuse), and
//! destroying it must bring back every frame, the metadata, and the five entries, zero. Those checks belong to every claim.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem::MaybeUninit;

use kernel_arena::platform::CpuIdentity;
use kernel_arena::{Arena, ArenaLayout, MetadataWord, PageCount, PageIndex, Platform};
use support::{ADDRESS_WIDTH, FrameStack, KernelPlatform, Machine};

use crate::check::{Checked, Failure, equal, holds};
use crate::claims::Claim;
use crate::fault::REGISTRY;
use crate::site::Site;

/// The arena of this kernel.
pub(crate) type KernelArena = Arena<KernelPlatform>;

/// Memory that the bench lends to arenas.
pub(crate) type Metadata = &'static mut [MaybeUninit<MetadataWord>];

/// The first page of a usual arena: what lies before it must be recovered too.
pub(crate) const FIRST_PAGE: u32 = 16;
/// The pages of a usual arena, 16 MiB.
pub(crate) const PAGES: u32 = 4096;

/// What claims are tried with.
#[derive(Debug)]
pub(crate) struct Bench {
    machine: &'static Machine,
    /// Metadata that came back.
    metadata: RefCell<Vec<Metadata>>,
}

impl Bench {
    pub(crate) const fn new(machine: &'static Machine) -> Self {
        Self { machine, metadata: RefCell::new(Vec::new()) }
    }

    /// The frames that nobody uses.
    pub(crate) fn frames(&self) -> &'static FrameStack {
        self.machine.frames()
    }

    /// Tries a claim on an arena of its own.
    pub(crate) fn run(&self, claim: &Claim) -> Checked {
        let frames = self.frames().free_count();
        let outcome = self.with_arena(FIRST_PAGE, PAGES, claim.body);
        let left = equal("frames after the claim", self.frames().free_count(), frames);
        outcome.and(left)
    }

    /// Lets `body` have an arena with this extent that is registered, and destroys it.
    pub(crate) fn with_arena(&self, first: u32, pages: u32, body: impl FnOnce(&Site<'_>) -> Checked) -> Checked {
        let arena = self.create(first, pages)?;
        // SAFETY: the arena stays where it is until `remove` below has returned `Ok`; if it does not, the arena is
        // forgotten in its place, and the kernel's last verdict is a panic.
        let registration = unsafe { REGISTRY.register(&arena) }?;
        let outcome = body(&Site { bench: self, arena: &arena });
        REGISTRY.remove(registration).expect("no fault is in flight: one CPU uses the arena, and it is here");
        let outcome = outcome.and_then(|()| arena.validate().map_err(Failure::from));
        let spurious = equal("spurious faults", arena.stats().spurious_faults + arena.stats().lost_installs, 0);
        outcome.and(spurious).and(self.destroy(arena).map(drop))
    }

    /// A platform with a window that is free, and a layout for it.
    pub(crate) fn prepare(&self, first: u32, pages: u32) -> Result<(KernelPlatform, ArenaLayout), Failure> {
        let platform = self.machine.platform().ok_or_else(|| Failure::new("all windows are lent"))?;
        let first = PageIndex::new(first).ok_or_else(|| Failure::new("no such page"))?;
        let pages = PageCount::new(pages).ok_or_else(|| Failure::new("no such count"))?;
        let layout = ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, first, pages)?;
        let layout = layout.with_cpus(platform.cpus().count());
        Ok((platform, layout))
    }

    /// An arena with this extent, not registered.
    pub(crate) fn create(&self, first: u32, pages: u32) -> Result<KernelArena, Failure> {
        let (platform, layout) = self.prepare(first, pages)?;
        Ok(Arena::new(platform, layout, self.metadata(&layout))?)
    }

    /// Metadata for an arena: what came back from another, if it is large enough.
    pub(crate) fn metadata(&self, layout: &ArenaLayout) -> Metadata {
        let words = layout.metadata_words();
        let mut lent = self.metadata.borrow_mut();
        match lent.iter().position(|metadata| metadata.len() >= words) {
            Some(index) => lent.swap_remove(index),
            None => Box::leak(Box::new_uninit_slice(words)),
        }
    }

    /// Takes metadata back, for other arenas.
    pub(crate) fn keep(&self, metadata: Metadata) {
        self.metadata.borrow_mut().push(metadata);
    }

    /// Destroys an arena, checks that all of the loan is back, and tells how many pages had not been freed.
    pub(crate) fn destroy(&self, arena: KernelArena) -> Result<u32, Failure> {
        let words = arena.layout().metadata_words();
        let back = arena.destroy().expect("no view is attached");
        holds("the metadata is back", back.metadata.len() >= words)?;
        self.keep(back.metadata);
        equal("upper entries after destroy", entries(&back.platform), [0; 5])?;
        Ok(back.pages)
    }
}

/// The words of the five lent entries.
pub(crate) fn entries(platform: &KernelPlatform) -> [u64; 5] {
    platform.window().entries()
}
