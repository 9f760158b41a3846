//! Arenas, made and unmade: nothing may stay behind.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem::MaybeUninit;

use kernel_arena::platform::CpuIdentity;
use kernel_arena::{Arena, ArenaLayout, MetadataWord, PageCount, PageIndex, Platform};
use support::{ADDRESS_WIDTH, FrameStack, KernelPlatform, Machine};

use crate::check::{Checked, Failure, equal};
use crate::fault::REGISTRY;
use crate::site::{FIRST, Site};

/// The arena of this kernel.
pub(crate) type KernelArena = Arena<KernelPlatform>;

/// Memory that the bench lends to arenas.
pub(crate) type Metadata = &'static mut [MaybeUninit<MetadataWord>];

/// What tests are made with.
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

    /// Lets `body` have an arena of so many pages that is registered, and destroys it. All frames must come back.
    pub(crate) fn with_arena(&self, pages: u32, body: impl FnOnce(&Site<'_>) -> Checked) -> Checked {
        let frames = self.frames().free_count();
        let arena = self.create(pages)?;
        // SAFETY: the arena stays where it is until `remove` below has returned `Ok`; if it does not, the kernel ends.
        let registration = unsafe { REGISTRY.register(&arena) }?;
        let outcome = body(&Site { arena: &arena });
        REGISTRY.remove(registration).expect("no fault is in flight: one CPU uses the arena, and it is here");
        let words = arena.layout().metadata_words();
        let back = arena.destroy().expect("no view is attached");
        equal("the metadata is back", back.metadata.len() >= words, true)?;
        self.keep(back.metadata);
        outcome.and(equal("frames after the arena", self.frames().free_count(), frames))
    }

    fn create(&self, pages: u32) -> Result<KernelArena, Failure> {
        self.create_as(pages, |layout| layout)
    }

    /// An arena that no program ever sees, not registered.
    pub(crate) fn create_private(&self, pages: u32) -> Result<KernelArena, Failure> {
        self.create_as(pages, ArenaLayout::private)
    }

    fn create_as(&self, pages: u32, make: fn(ArenaLayout) -> ArenaLayout) -> Result<KernelArena, Failure> {
        let platform = self.machine.platform().ok_or_else(|| Failure::new("all windows are lent"))?;
        let first = PageIndex::new(FIRST).ok_or_else(|| Failure::new("no such page"))?;
        let pages = PageCount::new(pages).ok_or_else(|| Failure::new("no such count"))?;
        let layout = ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, first, pages)?;
        let layout = make(layout.with_cpus(platform.cpus().count()));
        let metadata = self.metadata(layout.metadata_words());
        Ok(Arena::new(platform, layout, metadata)?)
    }

    /// Takes metadata back, for other arenas.
    pub(crate) fn keep(&self, metadata: Metadata) {
        self.metadata.borrow_mut().push(metadata);
    }

    /// Metadata for an arena: what came back from another, if it is large enough.
    fn metadata(&self, words: usize) -> Metadata {
        let mut lent = self.metadata.borrow_mut();
        match lent.iter().position(|metadata| metadata.len() >= words) {
            Some(index) => lent.swap_remove(index),
            None => Box::leak(Box::new_uninit_slice(words)),
        }
    }
}
