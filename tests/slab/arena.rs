//! A slab allocator on an arena of the software machine: owners, the record of violations, pages that come back by `reclaim`.

use kernel_arena::arch::Arch;
use kernel_arena::platform::CpuId;
use kernel_arena::platform::ReversibleMap;
use kernel_arena::slab::{Mode, Slab, SlabError};
use kernel_arena::source::{ArenaPages, FrameMetadata, MetadataSource, PageSource};
use kernel_arena::{
    AllocError, AllocRequest, Arena, ArenaPtr, FreeError, Misuse, Owner, PageIndex, Platform, VIOLATION_CAPACITY,
    ViolationKind,
};

use super::bench::bytes;
use crate::machine::{Format, Machine, count};

/// An allocator on an arena, whose bookkeeping lies in frames of the same platform.
pub(crate) fn slab_on<P: Platform<PhysMap: ReversibleMap>, F: Arch>(
    arena: &Arena<P, F>,
) -> Slab<impl PageSource + '_, impl MetadataSource + '_> {
    Slab::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast).unwrap()
}

fn free<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, at: ArenaPtr, size: usize) {
    // SAFETY: the tests free what they took, with the size that they asked for.
    unsafe { slab.free(at, bytes(size)) };
}

fn objects_are_memory_of_the_arena<F: Format>() {
    let m = Machine::<F>::builder().build();
    let tables = m.frames_in_use();
    let slab = slab_on(m.arena());
    let objects: Vec<ArenaPtr> = (0..100).map(|_| slab.alloc(bytes(240)).unwrap()).collect();
    for (nth, at) in (0..).zip(&objects) {
        m.write(0, *at, nth).unwrap();
        m.write(1, ArenaPtr::new(at.offset() + 232).unwrap(), !nth).unwrap();
    }
    for (nth, at) in (0..).zip(&objects) {
        assert_eq!(m.read(1, *at), Ok(nth));
        assert_eq!(m.read(0, ArenaPtr::new(at.offset() + 232).unwrap()), Ok(!nth));
        assert_eq!(slab.to_kernel(*at).addr() as u64, m.at(*at).value());
    }
    assert_eq!(m.arena().stats().violations, 0, "every object has a page");
    let stats = slab.stats();
    let frames = (stats.held_bytes + stats.metadata_bytes) >> 12;
    assert_eq!((m.frames_in_use() - tables) as u64, frames);
    assert_eq!(u64::from(m.arena().stats().claimed_pages), stats.held_bytes >> 12);
    objects.into_iter().for_each(|at| free(&slab, at, 240));
    assert_eq!(slab.destroy().objects, 0);
    m.arena().reclaim();
    assert_eq!(m.frames_in_use(), tables);
    assert_eq!(m.finish(), 0);
}

/// I7, N12: upstream lets a program free the pages under the kernel's objects.
fn nobody_but_the_slab_frees_its_pages<F: Format>() {
    let m = Machine::<F>::builder().build();
    let slab = slab_on(m.arena());
    let kernels = slab.alloc(bytes(64)).unwrap();
    let programs = slab.alloc_checked(bytes(5000)).unwrap();
    m.write(0, kernels, 77).unwrap();
    for at in [kernels, programs] {
        let page = PageIndex::containing(at);
        for owner in [Owner::Program, Owner::Kernel] {
            let expected = Err(FreeError::NotOwner { page, owner: Owner::Allocator });
            assert_eq!(m.arena().free_pages(page.to_ptr().unwrap(), count(1), owner), expected);
            assert_eq!(m.arena().free_pages_deferred(page.to_ptr().unwrap(), count(1), owner), expected);
        }
    }
    // Nor can a program take what is inside them, or free what the kernel took for itself.
    assert!(m.arena().alloc_pages(AllocRequest::new(count(1), Owner::Program).exactly_at(page_of(kernels))).is_err());
    assert_eq!(slab.free_checked(Some(kernels)), Err(Misuse::NotLive));
    m.arena().reclaim();
    assert_eq!(m.read(1, kernels), Ok(77));
    assert_eq!(slab.free_checked(Some(programs)), Ok(()));
    free(&slab, kernels, 64);
    assert_eq!(slab.destroy().objects, 0);
    m.finish();
}

fn page_of(at: ArenaPtr) -> ArenaPtr {
    PageIndex::containing(at).to_ptr().unwrap()
}

/// N15: each wild free is in the arena's record, with its address, its reason, and the CPU.
fn every_refused_free_is_a_violation<F: Format>() {
    let m = Machine::<F>::builder().build();
    let slab = slab_on(m.arena());
    let object = slab.alloc_checked(bytes(100)).unwrap();
    let kernels = slab.alloc(bytes(100)).unwrap();
    let freed = slab.alloc_checked(bytes(100)).unwrap();
    assert_eq!(slab.free_checked(Some(freed)), Ok(()));
    assert!(m.arena().take_violation().is_none());
    for (nth, (at, misuse)) in [
        (ArenaPtr::new(16).unwrap(), Misuse::Outside),
        (ArenaPtr::new(0xffff_fff8).unwrap(), Misuse::Outside),
        (ArenaPtr::new(40 << 12).unwrap(), Misuse::NoObjects),
        (ArenaPtr::new(object.offset() + 8).unwrap(), Misuse::NotAtStart),
        (ArenaPtr::new(object.offset() + 1).unwrap(), Misuse::NotAtStart),
        (freed, Misuse::NotLive),
        (kernels, Misuse::NotLive),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(m.on_cpu(nth % 2, || slab.free_checked(Some(at))), Err(misuse));
        let violation = m.arena().take_violation().unwrap();
        assert_eq!(violation.address, m.at(at));
        assert_eq!(violation.kind, ViolationKind::Object(misuse));
        assert_eq!(violation.cpu, Some(CpuId::new(u16::try_from(nth % 2).unwrap())));
        assert!(m.arena().take_violation().is_none(), "once");
    }
    assert_eq!((slab.stats().misuses, m.arena().stats().violations), (7, 7));
    // The record may be full: what does not fit is counted.
    for _ in 0..VIOLATION_CAPACITY + 3 {
        assert_eq!(slab.free_checked(Some(freed)), Err(Misuse::NotLive));
    }
    assert_eq!(m.arena().stats().violations_lost, 3);
    assert_eq!(slab.free_checked(Some(object)), Ok(()), "it is as it was");
    free(&slab, kernels, 100);
    assert_eq!(slab.destroy().objects, 0);
    m.finish();
}

/// N17: what is done to the objects of one arena is in the record of that one.
fn a_wild_free_is_recorded_by_the_arena_it_was_passed_to<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    let slabs = [slab_on(m.arena_at(0)), slab_on(m.arena_at(1))];
    let [first, second] = slabs.each_ref().map(|slab| slab.alloc_checked(bytes(64)).unwrap());
    assert_eq!(first, second, "two arenas, the same offset");
    assert_eq!(slabs[0].free_checked(Some(first)), Ok(()));
    assert_eq!(slabs[0].free_checked(Some(first)), Err(Misuse::NotLive));
    assert!(m.arena_at(1).take_violation().is_none());
    assert_eq!(m.arena_at(0).take_violation().unwrap().address, m.arena_at(0).layout().to_kernel(first));
    assert_eq!(slabs[1].free_checked(Some(second)), Ok(()), "the other's object is another's");
    for slab in slabs {
        assert_eq!(slab.destroy().objects, 0);
    }
    m.finish();
}

fn a_stale_page_of_a_slab_is_gone_after_reclaim<F: Format>() {
    let m = Machine::<F>::builder().build();
    let slab = slab_on(m.arena());
    let object = slab.alloc(bytes(4096)).unwrap();
    m.write(0, object, 5).unwrap();
    free(&slab, object, 4096);
    assert_eq!(slab.drain(), 1);
    assert_eq!(m.arena().stats().deferred_pages, 1, "a free in any context waits for the flush");
    assert_eq!(slab.reclaim(), 0);
    assert_eq!((m.arena().stats().deferred_pages, m.arena().stats().claimed_pages), (0, 0));
    assert_eq!(m.read(1, object), Ok(0));
    assert_eq!(m.arena().stats().violations, 1, "a wild access");
    let again = slab.alloc(bytes(4096)).unwrap();
    assert_ne!(again, object, "the page holds scratch");
    assert_eq!(slab.destroy().objects, 1);
    m.finish();
}

fn a_source_that_may_wait_reclaims_by_itself<F: Format>() {
    for (waits, drained) in [(false, false), (false, true), (true, false), (true, true)] {
        let m = Machine::<F>::builder().extent(1, 16).build();
        let pages = ArenaPages::new(m.arena());
        let pages = if waits { pages.waiting() } else { pages };
        let slab = Slab::new(pages, FrameMetadata::new(m.arena().platform()), Mode::Fast).unwrap();
        let all: Vec<ArenaPtr> = (0..16).map(|_| slab.alloc(bytes(4096)).unwrap()).collect();
        all.into_iter().for_each(|at| free(&slab, at, 4096));
        // Else the allocation that finds no page does it, if that helps.
        if drained {
            slab.drain();
        }
        let object = slab.alloc(bytes(64));
        match object {
            Ok(at) => free(&slab, at, 64),
            Err(error) => assert!(
                matches!(error, SlabError::Pages(AllocError::NoSpace(back)) if (back.deferred == 16) == drained),
                "the error says what reclaim would bring: {error}"
            ),
        }
        assert_eq!(object.is_ok(), waits);
        slab.reclaim();
        assert!(slab.alloc(bytes(64)).is_ok());
        assert_eq!(slab.destroy().objects, 1);
        m.finish();
    }
}

/// Where frees are deferred nobody is helped by what others give up before `reclaim`.
fn a_refused_request_takes_nothing_from_others<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 16).build();
    let slab = slab_on(m.arena());
    let all: Vec<ArenaPtr> = (0..16).map(|_| slab.alloc(bytes(4096)).unwrap()).collect();
    all.into_iter().for_each(|at| free(&slab, at, 4096));
    let before = slab.stats();
    for _ in 0..3 {
        assert!(matches!(slab.alloc(bytes(64)), Err(SlabError::Pages(AllocError::NoSpace(_)))));
    }
    assert_eq!(slab.stats().classes, before.classes);
    let again: Vec<_> = (0..16).map(|_| slab.alloc(bytes(4096))).collect();
    assert!(again.iter().all(Result::is_ok), "what was freed before can be had, whoever was refused meanwhile");
    assert_eq!(slab.destroy().objects, 16);
    m.finish();
}

/// I9: pages that are freed come back only by `reclaim`, so what is in a depot must not become pages that nobody can have.
fn what_the_depot_has_is_found_although_no_page_is_left<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 20).build();
    let slab = slab_on(m.arena());
    let objects: Vec<ArenaPtr> = std::iter::from_fn(|| slab.alloc(bytes(64)).ok()).collect();
    assert_eq!(objects.len(), 20 * 64);
    // CPU 1 keeps the last 256, which are two slabs of their own; the depot gets all the others.
    let (kept, stored): (Vec<_>, Vec<_>) = objects.into_iter().partition(|at| (16..20).contains(&(at.offset() >> 12)));
    m.on_cpu(1, || stored.into_iter().chain(kept).for_each(|at| free(&slab, at, 64)));
    let object = m.nameless(|| slab.alloc(bytes(64)));
    assert!(object.is_ok(), "{object:?} although 1024 objects were in the depot");
    assert_eq!(slab.destroy().objects, 1);
    m.finish();
}

fn frames_that_run_out_at_any_call_leave_no_trace<F: Format>() {
    for n in 0.. {
        let m = Machine::<F>::builder().build();
        let tables = m.frames_in_use();
        let slab = slab_on(m.arena());
        let calls = m.frame_calls();
        m.fail_frame(Some(n));
        let sizes = [64, 4096, 20_000, 8, 300, 32_768, 64];
        let mut objects = Vec::new();
        for size in sizes {
            match slab.alloc_checked(bytes(size)) {
                Ok(at) => objects.push(at),
                Err(error) => assert!(
                    matches!(error, SlabError::OutOfMetadata | SlabError::Pages(AllocError::OutOfFrames)),
                    "{error}"
                ),
            }
        }
        let made = m.frame_calls() - calls;
        m.fail_frame(None);
        assert!(objects.len() + 1 >= sizes.len(), "one call fails, one allocation at most");
        for at in objects {
            assert_eq!(slab.free_checked(Some(at)), Ok(()));
        }
        assert_eq!(slab.destroy().objects, 0);
        m.arena().reclaim();
        assert_eq!(m.frames_in_use(), tables, "call {n}");
        assert_eq!(m.finish(), 0);
        if made <= n {
            break;
        }
    }
}

each_format!(
    objects_are_memory_of_the_arena,
    nobody_but_the_slab_frees_its_pages,
    every_refused_free_is_a_violation,
    a_wild_free_is_recorded_by_the_arena_it_was_passed_to,
    a_stale_page_of_a_slab_is_gone_after_reclaim,
    a_source_that_may_wait_reclaims_by_itself,
    a_refused_request_takes_nothing_from_others,
    what_the_depot_has_is_found_although_no_page_is_left,
    frames_that_run_out_at_any_call_leave_no_trace,
);
