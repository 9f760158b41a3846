//! A view that comes and goes, while its page does, and while a program reads it and faults there.
//!
//! Guards I1, I2 and I5 in both views: what the program reads was written to its page, and never by another after it was
//! freed; when a view is detached, nobody reaches anything there; a page that is given to a fault is one owner's.

use std::sync::{Arc, Mutex};

use kernel_arena::views::{FaultPolicy, ProgramAccess, ProgramFault, ProgramFaultOutcome, ViewId, ViewRights};
use kernel_arena::{AllocError, AllocRequest, Context, InstructionAddr, Owner, PageCount, ProgramAddr};

use crate::frames::Memory;
use crate::machine::{Missing, Reached, VIEW_BASE, on_cpu};
use crate::run::{all_cpus, at_random, below};
use crate::world::{ModelArena, at, own_as, page, retire, start_with_view, wild_load};

/// What each CPU does.
const OPERATIONS: usize = 6;
const NEW: u64 = 9;

struct Scene {
    arena: Arc<ModelArena>,
    /// The view that is attached, or was the last to be.
    view: Mutex<Option<ViewId>>,
}

/// The page is the caller's, and new.
fn own(arena: &ModelArena) {
    own_as(arena, Owner::Program, page(1), NEW);
}

fn free(arena: &ModelArena) {
    assert_eq!(arena.platform().load(page(1)), Ok(Reached::Page(NEW)), "it stays its owner's");
    if below(2) == 0 {
        arena.free_pages(at(1), PageCount::ONE, Owner::Program).expect("freed once");
    } else {
        arena.free_pages_deferred(at(1), PageCount::ONE, Owner::Program).expect("freed once");
    }
}

/// The kernel: views come and go.
fn attaches(scene: &Scene) {
    let arena = &scene.arena;
    for _ in 0..OPERATIONS / 2 {
        let policy = if below(2) == 0 { FaultPolicy::Lazy } else { FaultPolicy::Segv };
        let lent = arena.platform().lent_view();
        let view = arena.attach_view(lent, ViewRights::ReadWrite, policy).expect("there is room");
        *scene.view.lock().expect("not poisoned") = Some(view.id());
        reads(arena);
        arena.detach_view(view).expect("its own");
        assert_eq!(arena.platform().load_in_view(page(1)), Err(Missing));
        arena.platform().assert_the_view_is_forgotten();
    }
}

fn reads(arena: &ModelArena) {
    let seen = arena.platform().load_in_view(page(1));
    assert!(matches!(seen, Err(Missing) | Ok(0 | NEW)), "{seen:?}");
}

/// The kernel, elsewhere: the page comes and goes.
fn allocates(scene: &Scene) {
    let arena = &scene.arena;
    for _ in 0..OPERATIONS {
        let context = if below(2) == 0 { Context::Any } else { Context::MayWait };
        let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at(1)).in_context(context);
        match arena.alloc_pages(request) {
            Ok(_) => {
                own(arena);
                free(arena);
            }
            Err(AllocError::Busy(_) | AllocError::Taken { .. } | AllocError::Tainted { .. }) => _ = arena.reclaim(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The program, and wild accesses of the kernel's.
fn runs(scene: &Scene) {
    let arena = &scene.arena;
    for _ in 0..OPERATIONS {
        match below(3) {
            0 => _ = wild_load(arena, page(1)),
            1 => reads(arena),
            _ => {
                let Some(view) = *scene.view.lock().expect("not poisoned") else { continue };
                let address = ProgramAddr::new(VIEW_BASE + 0x1000);
                let fault =
                    ProgramFault { address, access: ProgramAccess::Write, instruction: InstructionAddr::new(0x40) };
                if arena.handle_program_fault(view, &fault) == ProgramFaultOutcome::PageGiven {
                    own(arena);
                    free(arena);
                }
            }
        }
    }
}

fn scene() {
    let memory = Memory::new();
    let scene = Arc::new(Scene { arena: start_with_view(&memory), view: Mutex::new(None) });
    all_cpus(&scene, |scene, cpu| match cpu {
        0 => attaches(scene),
        1 => allocates(scene),
        _ => runs(scene),
    });
    let scene = Arc::into_inner(scene).expect("all CPUs have joined");
    on_cpu(0, || settle(scene.arena));
}

/// The page can be had again, and goes with the rest.
fn settle(arena: Arc<ModelArena>) {
    arena.reclaim();
    let stats = arena.stats();
    assert_eq!((stats.claimed_pages, stats.deferred_pages, stats.tainted_pages), (0, 0, 0), "{stats:?}");
    let request = AllocRequest::new(PageCount::ONE, Owner::Program).in_context(Context::Any);
    arena.alloc_pages(request).expect("the page is lost");
    own(&arena);
    retire(arena);
}

#[test]
fn a_view_that_comes_and_goes_shows_what_is_the_programs() {
    at_random(scene);
}
