//! What upstream's selftests claim of an arena, and what they should have claimed, said of this one.
//!
//! Upstream is Linux's BPF arena. Each test is named after its claim and says which upstream test it mirrors: T numbers
//! are tests that exist there, N numbers behaviours that upstream does not test; `docs/UPSTREAM-PARITY.md` says what each claims.
//! Where this arena promises more than upstream (an error with a reason instead of a null pointer, an old value that
//! stays readable until a known moment) the test asks for that. What differs throughout:
//!
//! - Upstream's page 0 is the first page of its arena; here it is the first page of the extent.
//! - Upstream drops a wild store and gives 0 to a wild load. Here both meet the scratch page: a load gives 0 until a wild store
//!   since the last `reclaim`, and then what that store left.
//! - A page that was touched while it was free is healed before it is used again. As long as there are others, an allocation
//!   takes those.
//! - What upstream may not do while it holds a spin lock or in an interrupt is here an allocation in [`Context::Any`] and a
//!   deferred free.

use kernel_arena::{
    Access, AllocError, AllocRequest, ArenaPtr, Context, Fault, FreeError, InstructionAddr, KernelAddr, Owner,
    PageCount, PageIndex, PageRange, Reclaimable, ReserveError, SlotState, WINDOW_PAGES, WINDOW_SIZE,
};

use crate::machine::{Format, INSTRUCTION, Machine, TlbMode, count};

mod alloc;
mod busy;
mod contexts;
mod creation;
mod exhaustion;
mod extremes;
mod faults;
mod foreign;
mod frames;
mod holes;
mod invalid_free;
mod large;
mod refusals;
mod refused_again;
mod reservations;
mod reserve;
mod reserved_pages;
mod reuse;
mod rows;
mod settled;
mod unwinding;

/// Every way in which TLBs can be unhelpful.
const TLB_MODES: [TlbMode; 3] = [TlbMode::Eager, TlbMode::Random, TlbMode::Lazy];

/// The two pages of [`two_pages`].
const FIRST: ArenaPtr = ArenaPtr::new(0xffff_e000).unwrap();
const SECOND: ArenaPtr = ArenaPtr::new(0xffff_f000).unwrap();

/// One page.
const ONE: PageCount = PageCount::ONE;
/// Nothing that `reclaim` could bring back.
const NOTHING: Reclaimable = Reclaimable { deferred: 0, tainted: 0, foreign: None };

/// An arena of two pages that end with the window, as most of upstream's are.
fn two_pages<F: Format>() -> Machine<F> {
    Machine::<F>::builder().extent(WINDOW_PAGES - 2, 2).build()
}

/// The first byte of a page.
fn page(number: u32) -> ArenaPtr {
    index(number).to_ptr().expect("not page 0")
}

fn index(number: u32) -> PageIndex {
    PageIndex::new(number).expect("the window has that page")
}

/// The pages from this one on.
fn pages(first: u32, pages: u32) -> PageRange {
    PageRange::new(index(first), count(pages)).expect("the window has those pages")
}

/// The first byte `pages` pages further on.
fn after(at: ArenaPtr, pages: u32) -> ArenaPtr {
    ArenaPtr::new(at.offset() + (pages << 12)).unwrap()
}

/// Pages for a program, in a context that may wait.
fn request(pages: u32) -> AllocRequest {
    AllocRequest::new(count(pages), Owner::Program)
}

/// Pages for a program, in any context.
fn sleepless(pages: u32) -> AllocRequest {
    request(pages).in_context(Context::Any)
}

/// Allocates, and gives the first byte.
fn alloc<F: Format>(m: &Machine<F>, request: AllocRequest) -> Result<ArenaPtr, AllocError> {
    m.arena().alloc_pages(request).map(PageRange::to_ptr)
}

/// One of the two ways of freeing a program's pages.
type Free<F> = fn(&Machine<F>, ArenaPtr, u32) -> Result<(), FreeError>;

/// Frees a program's pages at once.
fn free<F: Format>(m: &Machine<F>, at: ArenaPtr, pages: u32) -> Result<(), FreeError> {
    m.arena().free_pages(at, count(pages), Owner::Program)
}

/// Queues a program's pages to be freed.
fn defer<F: Format>(m: &Machine<F>, at: ArenaPtr, pages: u32) -> Result<(), FreeError> {
    m.arena().free_pages_deferred(at, count(pages), Owner::Program)
}

/// Reserves pages for a program.
fn reserve<F: Format>(m: &Machine<F>, at: ArenaPtr, pages: u32) -> Result<(), ReserveError> {
    m.arena().reserve_pages(at, count(pages), Owner::Program)
}

/// What the slots of the extent say.
fn states<F: Format>(m: &Machine<F>) -> Vec<SlotState> {
    let pages = m.arena().layout().extent().pages();
    pages.map(|page| m.arena().page_state(page).expect("it is in the extent")).collect()
}

fn state<F: Format>(m: &Machine<F>, at: ArenaPtr) -> SlotState {
    m.arena().page_state(PageIndex::containing(at)).expect("it is in the extent")
}

/// The first byte after the window: the upper guard's.
fn guard<F: Format>(m: &Machine<F>) -> KernelAddr {
    KernelAddr::new(m.arena().layout().base().value() + WINDOW_SIZE)
}

/// Runs something in an interrupt that comes in the middle of a fault: where nothing may wait, and nothing asks for a
/// shootdown.
fn in_interrupt<F: Format>(m: &Machine<F>, run: impl Fn(&Machine<F>) + 'static) {
    let address = KernelAddr::new(guard(m).value() + 0x7000);
    let fault = Fault { address, access: Access::Read, instruction: InstructionAddr::new(INSTRUCTION) };
    m.take_flushes();
    m.interrupt_at(0, run);
    let _ = m.cpu(1).raise(&fault);
    assert!(m.interrupted());
    assert_eq!(m.take_flushes(), [], "a shootdown where nothing may wait");
}

/// What must be the same after an operation that was refused.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    states: Vec<SlotState>,
    frames: usize,
    claimed: u32,
    deferred: u32,
    tainted: u32,
}

fn picture<F: Format>(m: &Machine<F>) -> Picture {
    m.validate();
    let stats = m.arena().stats();
    Picture {
        states: states(m),
        frames: m.frames_in_use(),
        claimed: stats.claimed_pages,
        deferred: stats.deferred_pages,
        tainted: stats.tainted_pages,
    }
}

/// An operation that is refused and leaves everything as it was.
fn refused<F: Format, T: std::fmt::Debug, E: std::fmt::Debug>(m: &Machine<F>, run: impl FnOnce() -> Result<T, E>) -> E {
    let before = picture(m);
    let error = run().expect_err("it is refused");
    assert_eq!(picture(m), before, "after {error:?}");
    error
}
