//! How a machine is put together.

use std::marker::PhantomData;

use kernel_arena::platform::CpuCount;
use kernel_arena::{AddressWidth, ArenaLayout, KernelAddr, PageCount, PageIndex};

use super::fixture::Machine;
use super::format::Format;
use super::hardware::{Hardware, TlbMode};
use super::tlb::AsTag;

/// The figures of a machine; those that are not named are small.
pub(crate) struct Builder<F> {
    cpus: u16,
    tags: AsTag,
    frames: usize,
    first_page: u32,
    pages: u32,
    private: bool,
    views: u8,
    base: u64,
    arenas: usize,
    tlb: TlbMode,
    seed: u64,
    format: PhantomData<F>,
}

/// From one window to the next: room for guards, and addresses that differ in more than one bit.
const BETWEEN_WINDOWS: u64 = 3 << 32;

// Not derived: a derive would ask the same of `F`.
impl<F> Clone for Builder<F> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<F: Format> Builder<F> {
    pub(super) fn new() -> Self {
        Self {
            cpus: 2,
            tags: 2,
            frames: 256,
            first_page: 1,
            pages: 64,
            private: false,
            views: 4,
            base: F::RULES.base.value(),
            arenas: 1,
            tlb: TlbMode::Eager,
            seed: 1,
            format: PhantomData,
        }
    }

    pub(crate) fn cpus(self, cpus: u16) -> Self {
        Self { cpus, ..self }
    }

    /// How many PCIDs or ASIDs there are.
    pub(crate) fn tags(self, tags: AsTag) -> Self {
        Self { tags, ..self }
    }

    /// Physical memory, in frames; an arena with a small extent takes 8 for itself.
    pub(crate) fn frames(self, frames: usize) -> Self {
        Self { frames, ..self }
    }

    /// The pages that may be allocated.
    pub(crate) fn extent(self, first_page: u32, pages: u32) -> Self {
        Self { first_page, pages, ..self }
    }

    /// Arenas are the kernel's alone.
    pub(crate) fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// How many views each arena has room for.
    pub(crate) fn views(self, views: u8) -> Self {
        Self { views, ..self }
    }

    /// Where the first window is.
    pub(crate) fn base(self, base: u64) -> Self {
        Self { base, ..self }
    }

    /// How many arenas are there from the start; at most four.
    pub(crate) fn arenas(self, arenas: usize) -> Self {
        Self { arenas, ..self }
    }

    pub(crate) fn tlb(self, tlb: TlbMode) -> Self {
        Self { tlb, ..self }
    }

    /// For what is left to chance: which frames are next to each other, and what random TLBs remember.
    pub(crate) fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub(crate) fn build(self) -> Machine<F> {
        let arenas = self.arenas;
        let machine = Machine::new(self);
        for _ in 0..arenas {
            machine.create_arena().expect("the arena is created");
        }
        machine
    }

    pub(super) fn hardware(&self) -> Hardware {
        Hardware::new(F::RULES, self.frames, usize::from(self.cpus), self.tags, self.tlb, self.seed)
    }

    /// The layout of an arena, by number.
    pub(super) fn layout(&self, number: usize) -> ArenaLayout {
        let base = KernelAddr::new(self.base + number as u64 * BETWEEN_WINDOWS);
        let first = PageIndex::new(self.first_page).unwrap();
        let pages = PageCount::new(self.pages).unwrap();
        let layout = ArenaLayout::new(base, AddressWidth::BITS_48, first, pages)
            .unwrap()
            .with_cpus(CpuCount::new(self.cpus.into()).unwrap())
            .with_views(self.views);
        if self.private { layout.private() } else { layout }
    }
}
