//! Arenas that come and go in heavy weather: made, registered, accessed by all CPUs and their handlers, removed, accessed still, and
//! destroyed.
//!
//! As long as one is registered, every access in its window and upper guard is answered, and a page of its own holds what was
//! written. Once its removal has returned and what it had is healed, none is answered, though its tables are still there; and
//! none ever is beside it. There are more of them than the registry has entries left, so that some find it full.

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use kernel_arena::{
    Access, AllocRequest, Arena, Fault, FaultOutcome, GUARD_SIZE, InstructionAddr, KernelAddr, Owner, PageRange,
    RegisterError, Registration, WINDOW_SIZE,
};
use spin::Mutex;
use support::{Random, pause};

use super::Deeds;
use super::blocks::Damage;
use crate::bench::{KernelArena, layout, metadata, unmake};
use crate::check::{Checked, Failure, equal, holds};
use crate::fault::REGISTRY;
use crate::platform::RacePlatform;
use crate::races::Told;
use crate::races::registry::remove;
use crate::site::{REGION, Site, address_in, page, pages, read_in, violation_of, write_in};
use crate::tally::{Event, count};

/// How many there may be at once.
const SEATS: usize = 3;
/// Pages of each, from this one on, and how many of the first are its own.
const FIRST: u32 = 16;
const PAGES: u32 = 64;
const OWN: u32 = 2;
/// Where in a page the kernel reads, and where it writes wildly.
const READ: u64 = 8;
const WILD: u64 = 24;

/// Where a visit stands; the sum of this and a multiple of four names the visit, too.
mod stage {
    /// Nobody is there, or somebody is just being made or unmade.
    pub(super) const AWAY: u64 = 0;
    /// It is registered.
    pub(super) const HERE: u64 = 1;
    /// It is being removed, or healed.
    pub(super) const LEAVING: u64 = 2;
    /// It is removed, and has no page any more.
    pub(super) const GONE: u64 = 3;
    /// How many there are.
    pub(super) const COUNT: u64 = 4;
}

/// An arena that is registered.
struct Visitor {
    arena: Box<KernelArena>,
    registration: Registration,
    own: PageRange,
}

/// Where one comes and goes.
#[derive(Default)]
struct Seat {
    /// For whoever changes it.
    visitor: Mutex<Option<Visitor>>,
    stage: AtomicU64,
    /// Where its window begins, or that of the last; 0 if there was none.
    base: AtomicU64,
}

impl Seat {
    /// SeqCst, as the fence in `look`: whoever finds the stage unchanged after an access has made it before what follows here.
    fn go_on_to(&self, stage: u64) {
        let now = self.stage.load(Ordering::Relaxed);
        let forward = (stage + stage::COUNT - now % stage::COUNT) % stage::COUNT;
        self.stage.store(now + forward, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Visitors {
    seats: [Seat; SEATS],
    visits: AtomicU64,
    full: AtomicU64,
    busy: AtomicU64,
    looks: AtomicU64,
}

/// What a visitor's own pages hold.
fn canary(base: KernelAddr, offset: u64) -> u64 {
    base.value() ^ offset | 1
}

/// What an access comes to, where it may be judged.
enum Expected {
    /// A page of its own.
    Canary,
    /// Scratch, or a page of nobody's.
    Zero,
    /// Nothing answers there, whatever is registered.
    Nothing,
}

/// Any offset from a window's start.
fn any_place(random: &mut Random) -> (u64, Expected) {
    match random.below(8) {
        0 => (page(FIRST + random.below(OWN)) + READ, Expected::Canary),
        1..=3 => (page(FIRST + OWN + random.below(PAGES - OWN)) + READ, Expected::Zero),
        4 => (u64::from(2 + random.below(2000)) * REGION + READ, Expected::Zero),
        5 => (WINDOW_SIZE + u64::from(random.below(8)) * page(1) + READ, Expected::Zero),
        6 => (WINDOW_SIZE + GUARD_SIZE + READ, Expected::Nothing),
        _ => (READ.wrapping_neg(), Expected::Nothing),
    }
}

impl Visitors {
    /// Accesses one, there or not, and whatever is beside it. In any context.
    pub(super) fn look(&self, random: &mut Random) -> Result<(), Damage> {
        let seat = &self.seats[random.index(SEATS)];
        let before = seat.stage.load(Ordering::Acquire);
        let base = seat.base.load(Ordering::Relaxed);
        if base == 0 {
            return Ok(());
        }
        let (offset, expected) = any_place(random);
        let at = KernelAddr::new(base.wrapping_add(offset));
        let read = read_in(at);
        // A page of its own is not written by others.
        let wild = page(FIRST + OWN + random.below(PAGES)) + WILD;
        let written = write_in(KernelAddr::new(base + wild), wild);
        fence(Ordering::SeqCst);
        if matches!(expected, Expected::Nothing) && read.is_some() {
            return Err("an access beside a window is answered");
        }
        // Otherwise it says nothing: while it was made somebody came, or went.
        if seat.stage.load(Ordering::Relaxed) != before {
            return Ok(());
        }
        Deeds::add(&self.looks);
        match (before % stage::COUNT, read, expected) {
            (stage::HERE, None, Expected::Canary | Expected::Zero) => Err("a read in a registered arena is given up"),
            (stage::HERE, Some(word), Expected::Canary) if word != canary(KernelAddr::new(base), offset) => {
                Err("a page of a visitor's does not hold what was written")
            }
            (stage::HERE, Some(word), Expected::Zero) if word != 0 => Err("a visitor shows what nobody wrote"),
            (stage::HERE, ..) if !written => Err("a write in a registered arena is given up"),
            (stage::GONE, Some(_), _) => Err("a read is answered by an arena that was removed"),
            (stage::GONE, ..) if written => Err("a write is answered by an arena that was removed"),
            _ => Ok(()),
        }
    }

    /// One comes, or goes, unless somebody else is just seeing to that.
    pub(super) fn come_or_go(&self, site: &Site, random: &mut Random) -> Checked {
        let seat = &self.seats[random.index(SEATS)];
        let Some(mut visitor) = seat.visitor.try_lock() else { return Ok(()) };
        match visitor.take() {
            Some(there) => self.leave(site, seat, there, random.below(60)),
            None => {
                *visitor = self.come(site, seat)?;
                Ok(())
            }
        }
    }

    /// Makes an arena, and registers it, if the registry has room.
    fn come(&self, site: &Site, seat: &Seat) -> Result<Option<Visitor>, Failure> {
        // One that was just given back may be missed.
        let Some(platform) = RacePlatform::lend(site.machine) else { return Ok(None) };
        let layout = layout(site.machine, &platform, PAGES)?;
        let arena = Box::new(Arena::new(platform, layout, metadata(&layout))?);
        // Nobody's fault is recovered yet, so nothing is in the way.
        let own = own_pages(&arena)?;
        count(Event::Operation);
        // SAFETY: the arena stays in its box until `leave` has removed it.
        let registration = match unsafe { REGISTRY.register(&arena) } {
            Ok(registration) => registration,
            Err(RegisterError::Full) => {
                Deeds::add(&self.full);
                arena.free_pages(own.to_ptr(), own.count(), Owner::Kernel)?;
                return unmake(*arena).map(|()| None);
            }
            Err(error) => return Err(error.into()),
        };
        Deeds::add(&self.visits);
        seat.base.store(arena.layout().base().value(), Ordering::Relaxed);
        seat.go_on_to(stage::HERE);
        Ok(Some(Visitor { arena, registration, own }))
    }

    /// Removes one, heals it, waits a moment, and destroys it.
    fn leave(&self, site: &Site, seat: &Seat, visitor: Visitor, moment_us: u32) -> Checked {
        let Visitor { arena, registration, own } = visitor;
        let base = arena.layout().base();
        seat.go_on_to(stage::LEAVING);
        let busy = remove(registration).expect("it is this registry's");
        self.busy.fetch_add(u64::from(busy > 0), Ordering::Relaxed);
        let places = [page(FIRST) + READ, page(FIRST + PAGES - 1), 2 * REGION, WINDOW_SIZE + READ];
        for offset in places {
            let address = KernelAddr::new(base.value() + offset);
            let fault = Fault { address, access: Access::Read, instruction: InstructionAddr::new(0) };
            let found = REGISTRY.handle_kernel_fault(&fault);
            equal("a fault in an arena that was removed", found, FaultOutcome::NotOurs)?;
        }
        for number in own.pages() {
            let offset = page(number.number()) + READ;
            let read = read_in(address_in(&arena, offset));
            equal("a page of an arena that was removed", read, Some(canary(base, offset)))?;
        }
        count(Event::Operation);
        arena.free_pages(own.to_ptr(), own.count(), Owner::Kernel)?;
        arena.reclaim();
        while violation_of(&arena).is_some() {}
        seat.go_on_to(stage::GONE);
        for offset in places {
            let read = read_in(address_in(&arena, offset));
            equal("what is read in an arena that was removed and healed", read, None)?;
        }
        pause(moment_us);
        seat.go_on_to(stage::AWAY);
        let stats = arena.stats();
        site.other.add(&stats);
        arena.validate()?;
        let rest = [stats.claimed_pages, stats.deferred_pages, stats.tainted_pages, stats.tainted_regions];
        equal("pages claimed, queued, marked, and regions marked in an arena that was removed", rest, [0; 4])?;
        unmake(*arena)
    }

    /// All go. Tells what was done.
    pub(super) fn end(self, site: &Site) -> Told {
        for seat in &self.seats {
            if let Some(visitor) = seat.visitor.lock().take() {
                self.leave(site, seat, visitor, 0)?;
            }
        }
        let [visits, full, busy, looks] = [self.visits, self.full, self.busy, self.looks].map(AtomicU64::into_inner);
        Ok(format!("{visits} visitors, {full} found no room, {busy} removed under faults, {looks} looks at them"))
    }
}

/// Its own pages, with what they hold.
fn own_pages(arena: &KernelArena) -> Result<PageRange, Failure> {
    count(Event::Operation);
    let own = arena.alloc_pages(AllocRequest::new(pages(OWN), Owner::Kernel))?;
    equal("the first page of a new arena", own.first().number(), FIRST)?;
    for number in own.pages() {
        let offset = page(number.number()) + READ;
        let address = address_in(arena, offset);
        holds("a new arena's page is written", write_in(address, canary(arena.layout().base(), offset)))?;
    }
    Ok(own)
}
