//! Pages: allocated, reserved, freed and accessed at random by three CPUs. There are two pages, and frames for three.
//!
//! Some pages are their CPU's alone, the kernel's; the others, the program's, anybody frees who guesses them.
//!
//! Guards I1, I2 and I5 (no two TLBs differ over a page, none reaches a frame that is free, a new page is zero and stays its
//! owner's), I6 (of all who free a page one does) and I9 (at the end no page, mark or frame is lost).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kernel_arena::{
    AllocError, AllocRequest, Context, FreeError, Owner, PageCount, PageIndex, PageRange, ReserveError, SlotState,
};

use crate::frames::Memory;
use crate::machine::{Reached, Small, on_cpu};
use crate::run::{all_cpus, at_random, below};
use crate::world::{ModelArena, all_read, at, one_page, own, page, retire, start, wild_load};

const FIRST: u32 = 2;
const BOTH: PageCount = PageCount::new(2).expect("small");
/// What each CPU does.
const OPERATIONS: u64 = 8;

struct Scene {
    arena: Arc<ModelArena>,
    /// How many pages were allocated that are nobody's, and freed again. Unseen by the schedule.
    common: [AtomicUsize; 2],
}

/// What a CPU has.
#[derive(Default)]
struct Held {
    pages: Vec<(PageIndex, u64)>,
    reserved: Vec<PageIndex>,
}

/// Any page of the extent.
fn any() -> PageIndex {
    page(FIRST + below(BOTH.get()))
}

fn context() -> Context {
    if below(2) == 0 { Context::Any } else { Context::MayWait }
}

impl Held {
    fn alloc(&mut self, arena: &ModelArena, request: AllocRequest, value: u64) -> bool {
        let Some(pages) = alloc(arena, request) else { return false };
        for page in pages.pages() {
            own(arena, PageRange::single(page).expect("in the window"), value);
            self.pages.push((page, value));
        }
        true
    }

    fn reserve(&mut self, arena: &ModelArena) {
        let page = any();
        match arena.reserve_pages(page.to_ptr().expect("not page 0"), PageCount::ONE, Owner::Kernel) {
            Ok(_) => self.reserved.push(page),
            Err(ReserveError::Taken { .. } | ReserveError::Busy { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn alloc_reserved(&mut self, arena: &ModelArena, value: u64) {
        let Some(page) = self.reserved.pop() else { return };
        let request = AllocRequest::new(PageCount::ONE, Owner::Kernel);
        let request = request.in_reservation(page.to_ptr().expect("not page 0")).in_context(context());
        if !self.alloc(arena, request, value) {
            self.reserved.push(page);
        }
    }

    /// Frees something, or what is nobody's.
    fn free(&mut self, arena: &ModelArena, free: fn(&ModelArena, PageIndex) -> Result<(), FreeError>) {
        if below(4) == 0 {
            // Nobody is the allocator here: refused whatever the page is, and nothing changes.
            arena.free_pages(any().to_ptr().expect("not page 0"), PageCount::ONE, Owner::Allocator).unwrap_err();
        }
        if let Some((page, value)) = self.pages.pop() {
            assert_eq!(arena.platform().load(page), Ok(Reached::Page(value)), "a page stays its owner's");
            free(arena, page).expect("freed once, by its owner");
        } else if let Some(page) = self.reserved.pop() {
            free(arena, page).expect("freed once, by its owner");
        }
    }

    fn free_all(&mut self, arena: &ModelArena) {
        while !self.pages.is_empty() || !self.reserved.is_empty() {
            self.free(arena, at_once);
        }
    }
}

fn alloc(arena: &ModelArena, request: AllocRequest) -> Option<PageRange> {
    match arena.alloc_pages(request) {
        Ok(pages) => Some(pages),
        Err(
            AllocError::NoSpace(_)
            | AllocError::Busy(_)
            | AllocError::Taken { .. }
            | AllocError::Tainted { .. }
            | AllocError::OutOfFrames,
        ) => None,
        Err(error) => panic!("{error}"),
    }
}

impl Scene {
    fn alloc_for_anybody(&self) {
        if alloc(&self.arena, AllocRequest::new(PageCount::ONE, Owner::Program).in_context(context())).is_some() {
            self.common[0].fetch_add(1, Relaxed);
        }
    }

    fn free_by_guess(&self) {
        let at = any().to_ptr().expect("not page 0");
        let freed = if below(2) == 0 {
            self.arena.free_pages(at, PageCount::ONE, Owner::Program)
        } else {
            self.arena.free_pages_deferred(at, PageCount::ONE, Owner::Program)
        };
        if freed.is_ok() {
            self.common[1].fetch_add(1, Relaxed);
        }
    }
}

fn at_once(arena: &ModelArena, page: PageIndex) -> Result<(), FreeError> {
    arena.free_pages(page.to_ptr().expect("not page 0"), PageCount::ONE, Owner::Kernel)
}

fn deferred(arena: &ModelArena, page: PageIndex) -> Result<(), FreeError> {
    arena.free_pages_deferred(page.to_ptr().expect("not page 0"), PageCount::ONE, Owner::Kernel)
}

fn part(scene: &Scene, cpu: u16) {
    let (arena, mut held) = (&*scene.arena, Held::default());
    for turn in 1..=OPERATIONS {
        let value = (u64::from(cpu) << 8) | turn;
        match below(13) {
            0 | 1 => _ = held.alloc(arena, one_page(context()), value),
            2 => _ = held.alloc(arena, one_page(context()).exactly_at(any().to_ptr().expect("not page 0")), value),
            3 => _ = held.alloc(arena, AllocRequest::new(BOTH, Owner::Kernel).in_context(context()), value),
            4 => held.reserve(arena),
            5 => held.alloc_reserved(arena, value),
            6 => held.free(arena, at_once),
            7 => held.free(arena, deferred),
            8 => scene.alloc_for_anybody(),
            9 => scene.free_by_guess(),
            10 => _ = arena.reclaim(),
            _ => _ = wild_load(arena, any()),
        }
        for (page, value) in &held.pages {
            assert_eq!(arena.platform().load(*page), Ok(Reached::Page(*value)), "a page stays its owner's");
        }
    }
    held.free_all(arena);
}

fn scene() {
    let memory = Memory::new();
    let scene = Arc::new(Scene { arena: start::<Small>(&memory, FIRST, BOTH.get()), common: Default::default() });
    all_cpus(&scene, part);
    let Scene { arena, common } = Arc::into_inner(scene).expect("all CPUs have joined");
    on_cpu(0, || settle(arena, common.map(AtomicUsize::into_inner)));
}

/// What is nobody's was freed once or is there. Every page can be had again, and then all come back.
fn settle(arena: Arc<ModelArena>, [given, taken]: [usize; 2]) {
    let common = |page: &PageIndex| matches!(arena.page_state(*page), Some(SlotState::Mapped(_, Owner::Program)));
    let left: Vec<_> = arena.layout().extent().pages().filter(common).collect();
    assert_eq!(given, taken + left.len(), "I6: of all who free a page one does");
    for page in left {
        arena.free_pages(page.to_ptr().expect("not page 0"), PageCount::ONE, Owner::Program).expect("it is there");
    }
    arena.reclaim();
    let stats = arena.stats();
    assert_eq!((stats.claimed_pages, stats.deferred_pages, stats.tainted_pages), (0, 0, 0), "{stats:?}");
    let pages = arena.alloc_pages(AllocRequest::new(BOTH, Owner::Kernel).in_context(Context::Any));
    for page in pages.expect("a page is lost").pages() {
        own(&arena, PageRange::single(page).expect("in the window"), page.number().into());
        all_read(&arena, page, page.number().into());
    }
    arena.free_pages(at(FIRST), BOTH, Owner::Kernel).expect("both are there");
    retire(arena);
}

#[test]
fn pages_that_come_and_go_are_one_owners_at_a_time_and_none_is_lost() {
    at_random(scene);
}
