//! Shootdowns where there are views: how many, of which addresses.

use kernel_arena::platform::FlushScope;
use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{
    Access, AddressRange, AllocError, ArenaPtr, Context, Fault, FaultOutcome, InstructionAddr, KernelAddr, ProgramBase,
    VirtAddr, WINDOW_SIZE,
};

use super::{attached, page};
use crate::machine::{Format, Machine, Point};

const LEAF_TABLE: u64 = 2 << 20;

fn views<F: Format>(m: &Machine<F>, count: u16) -> Vec<ProgramBase> {
    (0..count).map(|n| m.attach_view(0, n % 2)).collect()
}

/// Pages in the kernel view, and then in each of these.
fn everywhere<F: Format>(m: &Machine<F>, at: ArenaPtr, bytes: u64, views: &[ProgramBase]) -> Vec<AddressRange> {
    let kernel = std::iter::once(VirtAddr::from(m.at(at)));
    let starts = kernel.chain(views.iter().map(|base| at.to_program(*base).into()));
    starts.map(|start| AddressRange::new(start, bytes)).collect()
}

fn a_free_is_one_shootdown_of_the_same_pages_in_every_view<F: Format>() {
    for count in 0..=4 {
        let m = Machine::<F>::builder().build();
        let views = views(&m, count);
        let at = m.alloc(5);
        m.take_flushes();
        m.free(at, 5);
        let flushes = m.take_flushes();
        assert_eq!(flushes.len(), 1);
        assert_eq!(flushes[0].ranges, everywhere(&m, at, 5 << 12, &views));
        assert_eq!(flushes[0].scope, FlushScope::Leaves);
        m.finish();
    }
}

/// U1, U2: what is freed while others allocate is handed out to nobody before each view has forgotten it.
fn what_is_freed_is_nobodys_before_every_view_has_forgotten_it<F: Format>() {
    for context in [Context::MayWait, Context::Any] {
        let m = Machine::<F>::builder().extent(1, 3).build();
        let base = m.attach_view(0, 1);
        let at = m.alloc(2);
        let number = at.to_program(base).value();
        m.hook(Point::BeforeFlush, move |m| {
            m.on_cpu(1, || {
                let named = m.arena().alloc_for_program(number, 1, Context::Any).unwrap_err();
                assert!(matches!(named, AllocError::Busy(_)), "{named:?}");
                let other = m.arena().alloc_for_program(0, 1, Context::Any).unwrap();
                assert_eq!(other.to_ptr(), page(3), "the one that was free");
                assert_eq!(m.arena().free_for_program(number | 0x2000, 1, Context::Any), Ok(()));
            });
        });
        m.arena().free_for_program(number, 2, context).unwrap();
        if context == Context::Any {
            m.arena().reclaim();
        }
        m.clear_hooks();
        m.arena().reclaim();
        assert_eq!(m.arena().alloc_for_program(number, 2, Context::Any).map(|pages| pages.to_ptr()), Ok(at));
        assert_eq!(m.finish(), 2);
    }
}

/// Runs that do not touch, by as many views and the kernel's: 32 ranges a shootdown.
fn runs_times_views_are_flushed_thirty_two_at_a_time<F: Format>() {
    for (runs, count) in [(1, 3), (8, 3), (9, 3), (16, 1), (17, 1), (32, 0), (20, 4), (32, 4)] {
        let m = Machine::<F>::builder().extent(1, 64).build();
        let views = views(&m, count);
        let at = m.alloc(64);
        let pages: Vec<ArenaPtr> = (0..runs).map(|n| page((at.offset() >> 12) + 2 * n)).collect();
        for page in &pages {
            m.arena().free_for_program(u64::from(page.offset()), 1, Context::Any).unwrap();
        }
        m.take_flushes();
        m.arena().reclaim();
        let flushes = m.take_flushes();
        let ranges: Vec<AddressRange> = flushes.iter().flat_map(|flush| flush.ranges.iter().copied()).collect();
        let most = flushes.iter().map(|flush| flush.ranges.len()).max().unwrap();
        let expected = runs as usize * (usize::from(count) + 1);
        assert_eq!(ranges.len(), expected);
        // Without views a batch is one.
        assert!(most <= if count == 0 { 64 } else { 32 });
        assert_eq!(flushes.len(), if count == 0 { 1 } else { expected.div_ceil(32) }, "{runs} runs, {count} views");
        for range in pages.iter().flat_map(|page| everywhere(&m, *page, 1 << 12, &views)) {
            assert!(ranges.contains(&range));
        }
        m.finish();
    }
}

/// The guard is the kernel view's alone, and so are its pages.
fn the_guard_is_flushed_in_the_kernel_view_alone<F: Format>() {
    let m = Machine::<F>::builder().build();
    views(&m, 3);
    let guard = KernelAddr::new(m.arena().layout().base().value() + WINDOW_SIZE + 0x1000);
    m.cpu(1).write_u64(guard, 1).unwrap();
    m.take_flushes();
    assert_eq!(m.arena().reclaim().healed_pages, 1);
    let flushes = m.take_flushes();
    assert_eq!(flushes.len(), 1);
    assert_eq!(flushes[0].ranges, [AddressRange::new(guard.into(), 0x1000)]);
    m.finish();
}

/// A region of scratch outside the extent: the table that a program's walk goes through is gone in each view.
fn a_region_is_flushed_whole_and_with_its_tables_in_every_view<F: Format>() {
    let m = Machine::<F>::builder().build();
    let views = views(&m, 2);
    m.write(1, page(5 << 9 | 7), 1).unwrap();
    m.take_flushes();
    assert_eq!(m.arena().reclaim().healed_regions, 1);
    let flushes = m.take_flushes();
    assert_eq!(flushes.len(), 1);
    assert_eq!(flushes[0].scope, FlushScope::Tables);
    assert_eq!(flushes[0].ranges, everywhere(&m, page(5 << 9), LEAF_TABLE, &views));
    m.finish();
}

/// A fault of the kernel on a page that was vacated flushes it in every view first, where the architecture asks for that.
fn a_kernel_fault_on_a_vacated_page_flushes_it_in_every_view_or_not_at_all<F: Format>() {
    let m = Machine::<F>::builder().build();
    let views = views(&m, 2);
    let at = m.alloc(1);
    m.hook(Point::BeforeFlush, move |m| {
        m.take_flushes();
        let address = m.arena().layout().to_kernel(at);
        let fault = Fault { address, access: Access::Write, instruction: InstructionAddr::new(0) };
        assert_eq!(m.arena().handle_kernel_fault(&fault), FaultOutcome::Recovered);
    });
    m.free(at, 1);
    m.clear_hooks();
    // The last is that of the free itself.
    let flushes = m.take_flushes();
    assert_eq!(flushes.len(), 1 + usize::from(F::BREAK_BEFORE_MAKE));
    assert!(flushes.iter().all(|flush| flush.ranges == everywhere(&m, at, 1 << 12, &views)));
    m.finish();
}

/// Views of other arenas are not flushed, nor those that are gone.
fn other_views_are_left_alone<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    let kept = m.attach_view(0, 1);
    let gone = m.attach_view(0, 1);
    m.attach(1, m.lend(1, 1), ViewRights::ReadWrite, FaultPolicy::Segv).map(|view| m.detach(1, view)).unwrap().unwrap();
    m.attach_view(1, 0);
    m.detach_view(gone);
    let at = m.alloc(1);
    m.take_flushes();
    m.free(at, 1);
    assert_eq!(m.take_flushes()[0].ranges, everywhere(&m, at, 1 << 12, &[kept]));
    m.finish();
}

fn shootdowns_are_counted_as_they_are_asked_for<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 64).build();
    let view = attached(&m, FaultPolicy::Segv);
    m.attach_view(0, 1);
    let at = m.alloc(64);
    for n in (0..64).step_by(2) {
        let page = page((at.offset() >> 12) + n);
        m.arena().free_for_program(u64::from(page.offset()), 1, Context::Any).unwrap();
    }
    m.arena().reclaim();
    m.detach(0, view).unwrap();
    let flushes = m.take_flushes().len() as u64;
    assert_eq!(m.arena().stats().shootdowns, flushes);
    assert_eq!(flushes, 3 + 1, "32 runs, three views, and a view that went");
    m.finish();
}

each_format!(
    a_free_is_one_shootdown_of_the_same_pages_in_every_view,
    what_is_freed_is_nobodys_before_every_view_has_forgotten_it,
    runs_times_views_are_flushed_thirty_two_at_a_time,
    the_guard_is_flushed_in_the_kernel_view_alone,
    a_region_is_flushed_whole_and_with_its_tables_in_every_view,
    a_kernel_fault_on_a_vacated_page_flushes_it_in_every_view_or_not_at_all,
    other_views_are_left_alone,
    shootdowns_are_counted_as_they_are_asked_for,
);
