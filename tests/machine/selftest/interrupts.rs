//! What comes in between: the same short story with an interruption at every point where the machine gets control, and long
//! stories with everything left to chance.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::{AllocRequest, ArenaPtr, Context, Owner, PageCount};

use super::super::memory::index;
use super::super::{Format, Machine, Point, Random, TlbMode, count};

/// Allocates a page and frees it, twice, with a wild access and its healing in between.
fn story<F: Format>(m: &Machine<F>) -> ArenaPtr {
    let page = m.alloc(1);
    m.write(0, page, 3).unwrap();
    m.free(page, 1);
    m.write(0, page, 3).unwrap();
    m.arena().reclaim();
    m.validate();
    let page = m.alloc(1);
    m.free(page, 1);
    page
}

fn a_wild_access_between_any_two_steps_is_recovered<F: Format>() {
    for tlb in [TlbMode::Eager, TlbMode::Lazy] {
        for cpu in [0, 1] {
            for point in 0.. {
                let m = Machine::<F>::builder().extent(1, 1).tlb(tlb).build();
                m.interrupt_at(point, move |m| {
                    m.on_cpu(cpu, || m.write(cpu, ArenaPtr::new(0x1000).unwrap(), 9).unwrap());
                });
                story(&m);
                let interrupted = m.interrupted();
                m.clear_hooks();
                m.arena().reclaim();
                assert_eq!(m.finish(), 0);
                if !interrupted {
                    assert!(point > 10, "the arena called the platform {point} times");
                    break;
                }
            }
        }
    }
}

fn an_interrupt_that_allocates_and_frees_loses_nothing<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 4).build();
        m.interrupt_at(point, |m| {
            let level = m.hardware().identity().unwrap().level;
            assert!(level > 0, "an interrupt has a level of its own");
            let request = AllocRequest::new(PageCount::ONE, Owner::Kernel).in_context(Context::Any);
            let page = m.arena().alloc_pages(request).unwrap().to_ptr();
            m.arena().free_pages_deferred(page, PageCount::ONE, Owner::Kernel).unwrap();
        });
        story(&m);
        let interrupted = m.interrupted();
        m.clear_hooks();
        m.arena().reclaim();
        assert_eq!(m.arena().stats().claimed_pages, 0);
        assert_eq!(m.finish(), 0);
        if !interrupted {
            break;
        }
    }
}

fn hooks_run_at_their_points<F: Format>() {
    let m = Machine::<F>::builder().build();
    let points = [
        Point::FrameAlloc,
        Point::FrameFree,
        Point::BeforeFlush,
        Point::AfterFlush,
        Point::CpuIdentity,
        Point::PhysMap,
    ];
    let counts = Rc::new(points.map(|_| Cell::new(0)));
    for (n, point) in points.into_iter().enumerate() {
        let counts = Rc::clone(&counts);
        m.hook(point, move |_| counts[n].set(counts[n].get() + 1));
    }
    let page = story(&m.clone());
    m.write(0, page, 1).unwrap();
    assert!(counts.iter().all(|count| count.get() > 0), "{counts:?}");
    assert_eq!(counts.each_ref().map(Cell::get)[..2], [2, 2]);
    m.finish();
}

/// Any operation on any page by any CPU in any address space.
fn anything<F: Format>(m: &Machine<F>, random: &Random) {
    let cpu = index(random.below(3));
    let page = ArenaPtr::new(u32::try_from(random.below(8) + 509).unwrap() << 12).unwrap();
    let request = AllocRequest::new(count(1 + u32::from(random.one_in(4))), Owner::Program);
    let request = if random.one_in(2) { request } else { request.in_context(Context::Any) };
    let request = if random.one_in(2) { request } else { request.exactly_at(page) };
    m.on_cpu(cpu, || match random.below(6) {
        0 => drop(m.arena().alloc_pages(request)),
        1 => drop(m.arena().free_pages(page, PageCount::ONE, Owner::Program)),
        2 => drop(m.arena().free_pages_deferred(page, PageCount::ONE, Owner::Program)),
        3 => drop(m.arena().reserve_pages(page, PageCount::ONE, Owner::Program)),
        4 => m.write(cpu, page, 1).unwrap(),
        _ => _ = m.arena().reclaim(),
    });
}

fn chance_finds_nothing<F: Format>() {
    for seed in 0..30 {
        let tlb = [TlbMode::Random, TlbMode::Eager, TlbMode::Lazy][index(seed % 3)];
        let m = Machine::<F>::builder().cpus(3).tags(3).extent(510, 6).tlb(tlb).seed(seed).build();
        m.attach_view(0, 2);
        let random = Rc::new(Random::new(seed));
        for _ in 0..60 {
            let tag = u16::try_from(random.below(3)).unwrap();
            m.cpu(index(random.below(3))).switch_to(tag);
            let other = Rc::clone(&random);
            m.interrupt_at(random.below(30), move |m| anything(m, &other));
            anything(&m, &random);
        }
        m.clear_hooks();
        m.validate();
        m.arena().reclaim();
        let stats = m.arena().stats();
        assert_eq!((stats.deferred_pages, stats.tainted_regions), (0, 0));
        m.finish();
    }
}

each_format!(
    a_wild_access_between_any_two_steps_is_recovered,
    an_interrupt_that_allocates_and_frees_loses_nothing,
    hooks_run_at_their_points,
    chance_finds_nothing,
);
