//! What intruders do: wild accesses, and calls of everything that may be called there.
//!
//! Each keeps away from the pages that the operation is about, so that the operation's answer does not depend on it; only now
//! and then one allocates anywhere, as the operation may be doing, too.
//!
//! A visitor takes frames only if it is told so, and then it is not to come at each point: the frame source is free of locks,
//! not of races, and an operation that loses its race for a frame after every instruction never gets one.

use core::cell::Cell;

use kernel_arena::{
    AllocError, Context, FaultOutcome, PageRange, ProgramId, Registry, ReserveError, SlotState, Violation,
    ViolationKind, WINDOW_PAGES,
};
use support::{KernelPlatform, cpu_id, exceptions_taken, probe_instructions};

use crate::site::{END, FIRST, FRESH, OURS, PAGE, REGION, Site, page, pages, pointer};

/// What was wrong, or what came of it.
type Found<T> = Result<T, &'static str>;

/// The program that an intruder works for.
const INTRUDER: ProgramId = ProgramId::new(9).unwrap();

/// Every so often an intruder allocates anywhere. At each point would be too often: an allocation that is interrupted between
/// its search and its claim, each time, by another that takes the page, never gets one.
const ANYWHERE_EACH: u64 = 52;

/// Regions that are touched: the upper half of the window.
const FIRST_REGION: u64 = 1024;
const REGIONS: u64 = 1024;
/// Pages of the guard that are touched: all but the last.
const GUARD_PAGES: u64 = 7;

/// Pages, and those after them, in the words of the bitmaps where operations have theirs: FIRST is in the first word, the stage
/// in the second and third.
const NEIGHBOURS: [u32; 3] = [40, 100, 160];

/// Whether a visitor takes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// It allocates no pages.
    None,
    /// It allocates and frees pages, too.
    Some,
}

/// Somebody who comes between.
#[derive(Debug)]
pub(crate) struct Visitor<'a> {
    site: &'a Site<'a>,
    frames: Frames,
    /// Violations that it has caused.
    caused: Cell<u64>,
    own_faults: Cell<u64>,
    next_page: Cell<u32>,
    next_region: Cell<u64>,
    next_guard: Cell<u64>,
}

impl<'a> Visitor<'a> {
    pub(crate) const fn new(site: &'a Site<'a>, frames: Frames) -> Self {
        let (next_page, next_region, next_guard) = (Cell::new(FRESH), Cell::new(0), Cell::new(0));
        Self { site, frames, caused: Cell::new(0), own_faults: Cell::new(0), next_page, next_region, next_guard }
    }

    /// How many violations there must be by it.
    pub(crate) fn caused(&self) -> u64 {
        self.caused.get()
    }

    fn cause(&self) {
        self.caused.set(self.caused.get() + 1);
    }

    /// Makes a wild access, which must be a fault, and recovered.
    pub(crate) fn wild(&self, visit: u64) -> Found<()> {
        self.access(visit, self.target(visit)?)
    }

    /// Calls everything that is documented for any context, a wild access included, and leaves nothing but pages that
    /// `reclaim` will bring back.
    pub(crate) fn call(&self, visit: u64) -> Found<()> {
        self.recorded(visit)?;
        self.set_aside()?;
        if self.frames == Frames::Some {
            self.allocate_there(visit)?;
            if visit % ANYWHERE_EACH == 1 {
                self.allocate_anywhere()?;
            }
        }
        let stats = self.site.arena.stats();
        let queued = u32::from(self.frames == Frames::Some);
        holds(stats.deferred_pages >= queued && stats.tainted_pages >= 1, "the figures miss the intruder's pages")?;
        holds(stats.claimed_pages >= stats.deferred_pages, "more pages are queued than claimed")?;
        holds(self.site.arena.check_cpu().is_ok(), "the CPU is not as it was")
    }

    /// Does all that, and finishes what it has left.
    pub(crate) fn call_and_reclaim(&self, visit: u64) -> Found<()> {
        self.call(visit)?;
        self.site.arena.reclaim();
        Ok(())
    }

    /// Does all that, and calls what may wait, too: with one CPU, nobody has to be waited for.
    pub(crate) fn wait(&self, visit: u64) -> Found<()> {
        self.call_and_reclaim(visit)?;
        if self.frames == Frames::Some { self.free_at_once() } else { Ok(()) }
    }

    /// Reads at an offset, whatever is there, has the fault of a store there, and leaves a queued page and a scratched one in each word of the bitmaps that has
    /// pages of the operation: a change that is not atomic would lose them.
    pub(crate) fn crowd(&self, offset: u64) -> Found<()> {
        let before = exceptions_taken();
        holds(self.site.read(offset).is_some(), "the access was not recovered")?;
        self.own_faults.set(exceptions_taken() - before);
        // Again without the processor, whose TLB may have spared it the fault.
        let outcome = self.site.arena.handle_kernel_fault(&self.site.fault(offset));
        holds(outcome != FaultOutcome::NotOurs, "a fault on the operation's page is declined")?;
        for number in NEIGHBOURS {
            let request = pages(1, Context::Any).exactly_at(pointer(number));
            self.site.arena.alloc_pages(request).map_err(|_| "a neighbouring page is not to be had")?;
            self.used(number, 0)?;
            self.site.defer(number, 1).map_err(|_| "a neighbouring page is not to be freed")?;
            self.access(0, page(number + 1))?;
        }
        Ok(())
    }

    /// How many faults its look at the operation's page was.
    pub(crate) fn own_faults(&self) -> u64 {
        self.own_faults.get()
    }

    /// Somewhere that has no page: in the extent, in the guard, or in a region without tables.
    fn target(&self, visit: u64) -> Found<u64> {
        if visit % 16 == 5 && self.next_region.get() < REGIONS {
            return Ok((FIRST_REGION + self.next_region.replace(self.next_region.get() + 1)) * REGION);
        }
        if visit % 16 == 11 && self.next_guard.get() < GUARD_PAGES {
            return Ok(END + self.next_guard.replace(self.next_guard.get() + 1) * PAGE);
        }
        Ok(page(self.fresh()?) + visit % 512 * 8)
    }

    fn access(&self, visit: u64, offset: u64) -> Found<()> {
        let before = exceptions_taken();
        let done = if is_write(visit) { self.site.write(offset, 0xbad) } else { self.site.read(offset).is_some() };
        holds(done, "the access was not recovered")?;
        self.cause();
        holds(exceptions_taken() - before == 1, "the access was not one fault")
    }

    /// A page that has nothing.
    fn fresh(&self) -> Found<u32> {
        let extent = self.site.arena.layout().extent();
        let end = extent.first().number() + extent.count().get();
        for _ in FRESH..end {
            let number = self.next_page.get();
            self.next_page.set(if number + 1 == end { FRESH } else { number + 1 });
            if self.site.state(number).is_vacant() {
                return Ok(number);
            }
        }
        Err("no fresh page is left")
    }

    /// A wild access in a program's name, and its record.
    fn recorded(&self, visit: u64) -> Found<()> {
        let (arena, offset) = (self.site.arena, self.target(visit)?);
        self.site.drain();
        {
            let _scope = arena.work_for(Some(INTRUDER));
            self.access(visit, offset)?;
        }
        let right = |record: &Violation| {
            record.kind == if is_write(visit) { ViolationKind::Write } else { ViolationKind::Read }
                && record.program == Some(INTRUDER)
                && record.cpu == Some(cpu_id())
                && probe_instructions().contains(&record.instruction.value())
        };
        let address = self.site.address(offset);
        let mut mine = core::iter::from_fn(|| arena.take_violation()).filter(|record| record.address == address);
        holds(mine.next().is_some_and(|record| right(&record)), "the violation is not in the record as it was")?;
        holds(mine.next().is_none(), "the violation is in the record twice")?;
        let again = arena.handle_kernel_fault(&self.site.fault(offset));
        holds(again == FaultOutcome::Spurious, "the same fault again is not spurious")?;
        let below = arena.handle_kernel_fault(&self.site.fault(PAGE.wrapping_neg()));
        holds(below == FaultOutcome::NotOurs, "a fault below the window is not declined")
    }

    /// Reserves a page, has a fault on it, through another registry, and frees it.
    fn set_aside(&self) -> Found<()> {
        static OTHER: Registry<KernelPlatform, 1> = Registry::new();

        let site = self.site;
        let number = self.fresh_for(|number| match site.reserve(number, 1) {
            Err(ReserveError::Busy { .. }) => Ok(None),
            answer => answer.map(|()| Some(number)).map_err(|_| "a vacant page is not to be reserved"),
        })?;
        holds(site.state(number) == SlotState::Reserved(OURS), "the page is not reserved")?;
        let again = site.reserve(number, 1);
        holds(matches!(again, Err(ReserveError::Taken { .. })), "the page can be reserved twice")?;
        // SAFETY: the arena stays where it is until this function returns, and is removed before.
        let registration = unsafe { OTHER.register(site.arena) }.map_err(|_| "the registry has no place")?;
        let outcome = OTHER.handle_kernel_fault(&site.fault(page(number)));
        self.cause();
        OTHER.remove(registration).map_err(|_| "the registry does not let go")?;
        holds(outcome == FaultOutcome::Recovered, "a fault on a reserved page is not recovered")?;
        holds(site.state(number) == SlotState::ScratchOverReserved(OURS), "no scratch over the reserved page")?;
        site.defer(number, 1).map_err(|_| "a reserved page is not to be freed")?;
        holds(site.state(number) == SlotState::Scratch, "the page is still reserved")
    }

    /// Allocates a page, uses it, and queues it to be freed.
    fn allocate_there(&self, visit: u64) -> Found<()> {
        let number = self.allocate_fresh(Context::Any)?;
        self.used(number, visit)?;
        self.site.defer(number, 1).map_err(|_| "a page is not to be freed")?;
        self.cause();
        holds(self.site.defer(number, 1).is_err(), "a page can be freed twice")?;
        holds(matches!(self.site.state(number), SlotState::Deferred(_, OURS)), "the page is not queued")
    }

    /// Where the operation may be allocating, too.
    fn allocate_anywhere(&self) -> Found<()> {
        match self.site.arena.alloc_pages(pages(1, Context::Any)) {
            Ok(got) => {
                let number = first_of(got);
                holds((FIRST..WINDOW_PAGES).contains(&number), "a page outside the extent")?;
                self.used(number, 0)?;
                self.site.defer(number, 1).map_err(|_| "a page is not to be freed")
            }
            Err(_) => Err("there are pages, but none is to be had"),
        }
    }

    /// Allocates over scratch, which waits for a shootdown, and frees at once, which does, too.
    fn free_at_once(&self) -> Found<()> {
        let number = self.allocate_fresh(Context::MayWait)?;
        self.site.free(number, 1).map_err(|_| "a page is not to be freed at once")?;
        holds(self.site.state(number).is_vacant(), "the page is not vacant")?;
        self.access(0, page(number))?;
        let request = pages(1, Context::MayWait).exactly_at(pointer(number));
        self.site.arena.alloc_pages(request).map_err(|_| "a page is not to be had over scratch")?;
        self.used(number, 1)?;
        self.site.free(number, 1).map_err(|_| "the page over scratch is not to be freed")
    }

    fn allocate_fresh(&self, context: Context) -> Found<u32> {
        self.fresh_for(|number| {
            let request = pages(1, context).exactly_at(pointer(number));
            match self.site.arena.alloc_pages(request) {
                Ok(got) if first_of(got) == number => Ok(Some(number)),
                Ok(_) => Err("another page than was named"),
                Err(AllocError::Busy(_)) => Ok(None),
                Err(_) => Err("a vacant page is not to be had"),
            }
        })
    }

    /// The first fresh page that `action` gets. The operation that was interrupted may hold some, for the moment.
    fn fresh_for(&self, action: impl Fn(u32) -> Found<Option<u32>>) -> Found<u32> {
        for _ in 0..128 {
            if let Some(number) = action(self.fresh()?)? {
                return Ok(number);
            }
        }
        Err("every fresh page is in passing state")
    }

    /// Checks that a page is there, zeroed, and keeps what is written.
    fn used(&self, number: u32, visit: u64) -> Found<()> {
        let (before, offset) = (exceptions_taken(), page(number) + visit % 512 * 8);
        holds(matches!(self.site.state(number), SlotState::Mapped(_, OURS)), "the page is not mapped")?;
        holds(self.site.read(offset) == Some(0), "the page is not zeroed")?;
        holds(self.site.write(offset, visit | 1) && self.site.read(offset) == Some(visit | 1), "the page forgets")?;
        holds(exceptions_taken() == before, "the page faults")
    }
}

fn is_write(visit: u64) -> bool {
    visit & 1 == 0
}

fn first_of(got: PageRange) -> u32 {
    got.first().number()
}

fn holds(is_so: bool, otherwise: &'static str) -> Found<()> {
    if is_so { Ok(()) } else { Err(otherwise) }
}
