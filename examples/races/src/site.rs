//! A race's own arena, with short ways to use it well and badly, all of them counted.
//!
//! Places are named by their offset from the window's start. Accesses are probes, each one machine instruction: what is given up
//! gives nothing instead of ending the kernel. They are safe because nothing that Rust knows of is in any window: pages are
//! reached by these functions alone, never by a reference.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{
    AllocError, AllocRequest, ArenaPtr, FreeError, GUARD_SIZE, KernelAddr, Owner, PAGE_SIZE, PageCount, PageIndex,
    PageRange, Reclaimed, ReserveError, SlotState, Stats, Violation, WINDOW_SIZE,
};
use support::{Machine, probe_read_u64, probe_write_u64};

use crate::bench::KernelArena;
use crate::check::{Checked, Failure, Trouble};
use crate::play::{Effort, Phase, play};
use crate::tally::{Event, count};

/// Bytes of a region, which is what a fault outside the extent links at once.
pub(crate) const REGION: u64 = 512 * PAGE_SIZE;

/// The offset of a page.
pub(crate) fn page(number: u32) -> u64 {
    u64::from(number) * PAGE_SIZE
}

/// The pointer to a page.
pub(crate) fn pointer(number: u32) -> ArenaPtr {
    PageIndex::new(number).and_then(PageIndex::to_ptr).expect("a page of the window")
}

/// So many pages.
pub(crate) fn pages(number: u32) -> PageCount {
    PageCount::new(number).expect("no more pages than the window has")
}

/// What a race has.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) machine: &'static Machine,
    pub(crate) arena: KernelArena,
    pub(crate) cpus: u32,
    pub(crate) effort: Effort,
    /// Of what is left to chance.
    pub(crate) seed: u32,
    pub(crate) trouble: Trouble,
    /// Figures of arenas that the race has made and unmade by itself.
    pub(crate) other: OtherArenas,
}

/// Sums of the figures of arenas that are gone.
#[derive(Debug, Default)]
pub(crate) struct OtherArenas {
    pub(crate) violations: AtomicU64,
    pub(crate) violations_lost: AtomicU64,
    pub(crate) spurious_faults: AtomicU64,
    pub(crate) lost_installs: AtomicU64,
    pub(crate) shootdowns: AtomicU64,
}

impl OtherArenas {
    /// Adds an arena's last figures.
    pub(crate) fn add(&self, stats: &Stats) {
        for (sum, figure) in [
            (&self.violations, stats.violations),
            (&self.violations_lost, stats.violations_lost),
            (&self.spurious_faults, stats.spurious_faults),
            (&self.lost_installs, stats.lost_installs),
            (&self.shootdowns, stats.shootdowns),
        ] {
            sum.fetch_add(figure, Ordering::Relaxed);
        }
    }
}

impl Site {
    /// Plays rounds; see [`play`].
    pub(crate) fn play(
        &self,
        rounds: (u32, u32),
        met: &(dyn Fn() -> bool + Sync),
        phases: &[Phase<'_>],
    ) -> Result<u32, Failure> {
        play(self, self.of(rounds), met, phases)
    }

    /// One of two figures: of a fast run, and of a long one.
    pub(crate) const fn of(&self, figures: (u32, u32)) -> u32 {
        match self.effort {
            Effort::Fast => figures.0,
            Effort::Long => figures.1,
        }
    }

    /// Whether a fault has lost the race for a slot.
    pub(crate) fn has_lost_installs(&self) -> bool {
        self.arena.stats().lost_installs > 0
    }

    /// The first page of the extent.
    pub(crate) fn first(&self) -> u32 {
        self.arena.layout().extent().first().number()
    }

    /// The address at an offset from the window's start, which may be in the upper guard.
    pub(crate) fn address(&self, offset: u64) -> KernelAddr {
        address_in(&self.arena, offset)
    }

    /// Reads eight bytes.
    pub(crate) fn read(&self, offset: u64) -> Option<u64> {
        read_in(self.address(offset))
    }

    /// Writes eight bytes; whether they were written.
    pub(crate) fn write(&self, offset: u64, value: u64) -> bool {
        write_in(self.address(offset), value)
    }

    /// Reads eight bytes, which must be `value`.
    pub(crate) fn reads(&self, offset: u64, value: u64) -> Checked {
        match self.read(offset) {
            Some(found) if found == value => Ok(()),
            found => Err(Failure::new(alloc::format!("read at {offset:#x}: {found:x?}, expected {value:#x}"))),
        }
    }

    /// Writes eight bytes, which must work.
    pub(crate) fn writes(&self, offset: u64, value: u64) -> Checked {
        if self.write(offset, value) {
            return Ok(());
        }
        Err(Failure::new(alloc::format!("write at {offset:#x} was given up")))
    }

    /// Allocates.
    pub(crate) fn alloc(&self, request: AllocRequest) -> Result<PageRange, AllocError> {
        count(Event::Operation);
        self.arena.alloc_pages(request)
    }

    /// Frees pages.
    pub(crate) fn free(&self, first: u32, number: u32, owner: Owner) -> Result<(), FreeError> {
        self.free_at(pointer(first), pages(number), owner)
    }

    /// Frees pages, from a pointer on that may be wrong.
    pub(crate) fn free_at(&self, at: ArenaPtr, number: PageCount, owner: Owner) -> Result<(), FreeError> {
        count(Event::Operation);
        self.arena.free_pages(at, number, owner).inspect_err(|_| count(Event::InvalidFree))
    }

    /// Queues pages to be freed.
    pub(crate) fn defer(&self, first: u32, number: u32, owner: Owner) -> Result<(), FreeError> {
        count(Event::Operation);
        let done = self.arena.free_pages_deferred(pointer(first), pages(number), owner);
        done.inspect_err(|_| count(Event::InvalidFree))
    }

    /// Reserves pages.
    pub(crate) fn reserve(&self, first: u32, number: u32, owner: Owner) -> Result<(), ReserveError> {
        count(Event::Operation);
        self.arena.reserve_pages(pointer(first), pages(number), owner)
    }

    /// Reclaims.
    pub(crate) fn reclaim(&self) -> Reclaimed {
        count(Event::Operation);
        self.arena.reclaim()
    }

    /// What a page's slot says.
    pub(crate) fn state(&self, number: u32) -> Option<SlotState> {
        self.arena.page_state(PageIndex::new(number)?)
    }

    /// Takes the next violation, if there is one.
    pub(crate) fn violation(&self) -> Option<Violation> {
        violation_of(&self.arena)
    }

    /// Takes all violations.
    pub(crate) fn drain(&self) {
        while self.violation().is_some() {}
    }
}

/// Takes an arena's next violation, if there is one.
pub(crate) fn violation_of(arena: &KernelArena) -> Option<Violation> {
    count(Event::Operation);
    arena.take_violation().inspect(|_| count(Event::Drained))
}

/// The address at an offset from the start of an arena's window.
pub(crate) fn address_in(arena: &KernelArena, offset: u64) -> KernelAddr {
    assert!(offset < WINDOW_SIZE + GUARD_SIZE, "{offset:#x} is not in the window");
    KernelAddr::new(arena.layout().base().value() + offset)
}

/// Reads eight bytes of a window.
pub(crate) fn read_in(address: KernelAddr) -> Option<u64> {
    // SAFETY: nothing that Rust knows of is in any window.
    unsafe { probe_read_u64(address.value()) }
}

/// Writes eight bytes of a window; whether they were written.
pub(crate) fn write_in(address: KernelAddr, value: u64) -> bool {
    // SAFETY: nothing that Rust knows of is in any window.
    unsafe { probe_write_u64(address.value(), value) }
}
