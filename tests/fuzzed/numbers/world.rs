//! An arena with pages of the kernel's and of an allocator's, a slab allocator and a pool on it, and a program that asks.

use std::alloc::Layout;
use std::cell::RefCell;

use kernel_arena::pool::Pool;
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{Access, AllocRequest, ArenaPtr, Owner, PageCount, PageIndex, ProgramHole, SlotState};

use super::PAGES;
use super::calls::{Call, Pointer};
use crate::machine::{Format, Host, Machine};

type Pages<'m, F> = ArenaPages<'m, Host<F>, F>;
type Metadata<'m, F> = FrameMetadata<'m, Host<F>>;

pub(super) struct World<'m, F: Format> {
    pub(super) m: &'m Machine<F>,
    slab: Slab<Pages<'m, F>, Metadata<'m, F>>,
    pool: Pool<Pages<'m, F>, Metadata<'m, F>>,
    /// What a program was given: objects, and blocks with their sizes.
    objects: RefCell<Vec<ArenaPtr>>,
    blocks: RefCell<Vec<(ArenaPtr, usize)>>,
}

/// A page that nobody but its owner may take away, and what is in it.
struct Kept {
    page: ArenaPtr,
    owner: Owner,
}

impl Kept {
    fn new<F: Format>(m: &Machine<F>, owner: Owner) -> Self {
        let page = m.arena().alloc_pages(AllocRequest::new(PageCount::ONE, owner)).unwrap().to_ptr();
        m.write(0, page, u64::from(page.offset()) + 7).unwrap();
        Self { page, owner }
    }

    fn check<F: Format>(&self, m: &Machine<F>) {
        let state = m.arena().page_state(PageIndex::containing(self.page));
        assert!(matches!(state, Some(SlotState::Mapped(_, owner)) if owner == self.owner), "{state:?}");
        // A program may write to what it shares with an allocator.
        assert!(self.owner != Owner::Kernel || m.read(0, self.page) == Ok(u64::from(self.page.offset()) + 7));
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), 8).ok()
}

impl<F: Format> World<'_, F> {
    /// Has `run` ask for things, and then sees that everything is there and comes back.
    pub(super) fn with(run: impl FnOnce(&World<'_, F>)) {
        let m = Machine::<F>::builder().extent(1, PAGES).build();
        let tables = m.frames_in_use();
        let kept = [Owner::Kernel, Owner::Allocator].map(|owner| Kept::new(&m, owner));
        let metadata = || FrameMetadata::new(m.arena().platform());
        let world = World {
            m: &m,
            slab: Slab::new(ArenaPages::new(m.arena()), metadata(), Mode::Fast).unwrap(),
            pool: Pool::new(ArenaPages::new(m.arena()), metadata()),
            objects: RefCell::default(),
            blocks: RefCell::default(),
        };
        run(&world);
        kept.iter().for_each(|kept| kept.check(&m));
        m.validate();
        let World { slab, pool, objects, blocks, .. } = world;
        objects.into_inner().into_iter().for_each(|at| assert_eq!(slab.free_checked(Some(at)), Ok(())));
        blocks.into_inner().into_iter().for_each(|(at, size)| assert_eq!(pool.free(at, size), Ok(())));
        assert_eq!((slab.destroy().objects, pool.destroy().live_blocks), (0, 0));
        kept.iter().for_each(|kept| {
            kept.check(&m);
            m.arena().free_pages(kept.page, PageCount::ONE, kept.owner).unwrap();
        });
        m.arena().reclaim();
        let stats = m.arena().stats();
        let pages = || (1..=PAGES).map(|page| m.arena().page_state(PageIndex::new(page).unwrap()).unwrap());
        // Scratch over a reservation stays as long as that.
        let scratched = pages().filter(|state| matches!(state, SlotState::ScratchOverReserved(_))).count();
        assert_eq!((stats.tainted_pages as usize, stats.deferred_pages), (scratched, 0));
        // What is left is the program's, and nothing of an allocator's.
        let of_program = |state: &SlotState| matches!(state, SlotState::Mapped(_, Owner::Program));
        assert_eq!(m.frames_in_use() - tables, pages().filter(of_program).count());
        let of_others = |state: &SlotState| matches!(state, SlotState::Mapped(..)) && !of_program(state);
        assert_eq!(pages().filter(of_others).count(), 0);
        m.finish();
    }

    /// What each page of the extent is.
    pub(super) fn states(&self) -> Vec<SlotState> {
        let state = |page| self.m.arena().page_state(PageIndex::new(page).unwrap()).unwrap();
        self.m.quietly(|| (1..=PAGES).map(state).collect())
    }

    pub(super) fn make(&self, call: Call) {
        match call {
            Call::Alloc { at, pages, context } => self.alloc(at, pages, context),
            Call::Free { at, pages, context } => self.free(at, pages, context),
            Call::Reserve { at, pages } => self.reserve(at, pages),
            Call::Load { at } => self.load(at),
            Call::TryLoad { at } => self.try_load(at),
            Call::TryStore { at, value } => self.try_store(at, value),
            Call::CopyIn { at, bytes } => self.copy(at, bytes, false),
            Call::CopyOut { at, bytes } => self.copy(at, bytes, true),
            Call::Add { at, value } => self.add(at, value),
            Call::Slice { at, len, index } => self.slice(at, len, index),
            Call::Masks { at, headers, ids, id, change } => self.masks(at, headers, ids, id, change),
            Call::Hole { offset, bytes, instruction } => {
                let before = self.m.arena().stats().violations;
                let access = if bytes & 1 == 0 { Access::Read } else { Access::Write };
                self.m.arena().record_hole(&ProgramHole { program: None, instruction, offset, access, bytes });
                assert_eq!(self.m.arena().stats().violations, before + 1);
            }
            Call::Object { size } => {
                let Some(layout) = layout(size) else { return };
                self.objects.borrow_mut().extend(self.slab.alloc_checked(layout));
            }
            Call::FreeObject { at } => self.free_object(at),
            Call::Block { size } => {
                let Some(layout) = layout(size) else { return };
                self.blocks.borrow_mut().extend(self.pool.alloc(layout).map(|at| (at, layout.size())));
            }
            Call::FreeBlock { at, size } => self.free_block(at, size),
            Call::Reclaim => _ = self.m.arena().reclaim(),
        }
    }

    /// An object of the program's is freed once, and nothing else is.
    fn free_object(&self, pointer: Pointer) {
        let mut objects = self.objects.borrow_mut();
        let at = ArenaPtr::from_low_bits(match pointer {
            Pointer::Number(number) => number,
            Pointer::Given { which, and } => {
                objects.get(which % objects.len().max(1)).map_or(0, |at| u64::from(at.offset())) + and
            }
        });
        let (given, live) = (objects.iter().position(|object| Some(*object) == at), self.slab.stats().live_bytes);
        let freed = self.slab.free_checked(at);
        assert_eq!(freed.is_ok(), given.is_some(), "{at:?}: {freed:?}");
        assert!(freed.is_ok() || self.slab.stats().live_bytes == live);
        given.into_iter().for_each(|given| _ = objects.swap_remove(given));
    }

    /// The same of a block, which has the size that it was asked for, in granules of 8 bytes.
    fn free_block(&self, pointer: Pointer, size: usize) {
        let mut blocks = self.blocks.borrow_mut();
        let (number, size) = match pointer {
            Pointer::Number(number) => (number, size),
            // Mostly with its own size.
            Pointer::Given { which, and } => match blocks.get(which % blocks.len().max(1)) {
                Some((at, whole)) => (u64::from(at.offset()) + and, if size % 4 == 0 { size } else { *whole }),
                None => (and, size),
            },
        };
        let Some(at) = ArenaPtr::from_low_bits(number) else { return };
        let granules = |size: usize| size.div_ceil(8);
        let is_it = |(block, whole): &(ArenaPtr, usize)| *block == at && granules(*whole) == granules(size);
        let given = blocks.iter().position(is_it);
        let freed = self.pool.free(at, size);
        assert_eq!(freed.is_ok(), given.is_some(), "{size} at {at:?}: {freed:?}");
        given.into_iter().for_each(|given| _ = blocks.swap_remove(given));
        let live: usize = blocks.iter().map(|(_, size)| size.next_multiple_of(8)).sum();
        assert_eq!(self.pool.stats().live_bytes, live as u64);
    }
}
