//! A group is disabled while its programs are called on other CPUs: when that is done nobody is inside, and masks and pool are gone.
//! And a program's CPU mask is read while another CPU scribbles on it (N14).

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_arena::groups::{DisableError, EnableError, Equipment, Group, Member};
use kernel_arena::masks::{MaskIds, SharedMask};
use kernel_arena::platform::CpuId;
use kernel_arena::{AllocRequest, ArenaPtr, Owner, ProgramId};

use super::{Told, races};
use crate::bench::KernelArena;
use crate::check::{Checked, Failure, equal, holds};
use crate::platform::RacePlatform;
use crate::play::Phase::{All, One};
use crate::play::{Player, pause};
use crate::site::{Site, page, pages, pointer};

races! {
    no_callback_runs_when_its_group_is_disabled in 64 pages,
    a_mask_that_is_scribbled_on_has_no_more_ids_than_its_snapshot in 16 pages,
}

/// A page outside of the extent, for wild accesses: one for each CPU from here on.
const WILD: u32 = 300;
/// How often the group comes and goes in a round.
const TIMES: u32 = 12;
/// How many violations are let pass.
const BUDGET: u64 = 3;

/// A program that is nothing but its number.
#[derive(Debug)]
pub(super) struct Program<'a> {
    arena: &'a KernelArena,
    number: u32,
}

impl<'a> Program<'a> {
    pub(super) const fn new(arena: &'a KernelArena, number: u32) -> Self {
        Self { arena, number }
    }
}

impl<'a> Member<'a, RacePlatform> for Program<'a> {
    fn arena(&self) -> Option<&'a KernelArena> {
        Some(self.arena)
    }

    fn id(&self) -> Option<ProgramId> {
        ProgramId::new(self.number)
    }
}

pub(super) type Programs<'a> = Group<'a, RacePlatform, Program<'a>, 2>;

/// The group, and who is in it.
struct Play<'a> {
    group: Programs<'a>,
    inside: AtomicU32,
    over: AtomicBool,
    calls: AtomicU64,
    busy: AtomicU64,
    waits: AtomicU64,
    ejections: AtomicU64,
}

impl Play<'_> {
    /// Nobody is called, and nobody can be.
    fn is_quiet(&self, when: &str) -> Checked {
        equal(when, self.inside.load(Ordering::SeqCst), 0)
    }

    /// The group comes and goes. `base` pages are there without it.
    fn come_and_go(&self, site: &Site, base: u32, player: &mut Player<'_>) -> Checked {
        let ids = MaskIds::new(64 + player.random.below(1000)).ok_or_else(|| Failure::new("no such number of ids"))?;
        loop {
            let enabled = self.group.enable(ids, |_: &Equipment<'_, RacePlatform>| {
                self.is_quiet("callers while init runs").map_err(|_| "somebody is inside")
            });
            match enabled {
                Ok(()) => break,
                // Somebody is just being refused as a caller.
                Err(EnableError::Busy) => self.busy.fetch_add(1, Ordering::Relaxed),
                Err(error) => return Err(Failure::new(format!("{error}"))),
            };
        }
        holds("its pool has pages", site.arena.stats().claimed_pages > base)?;
        pause(player.random.below(300));
        // Half of the time it is thrown out first, by whoever is late.
        if player.random.below(2) == 0 {
            self.group.eject();
        }
        self.ejections.fetch_add(u64::from(!self.group.is_present()), Ordering::Relaxed);
        let quiet = AtomicBool::new(false);
        loop {
            match self.group.disable(|_| quiet.store(self.inside.load(Ordering::SeqCst) == 0, Ordering::Relaxed)) {
                Ok(()) => break,
                Err(DisableError::Busy { callers }) => {
                    self.waits.fetch_add(u64::from(callers > 0), Ordering::Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        holds("nobody is inside when exit runs", quiet.into_inner())?;
        self.is_quiet("callers of a group that is disabled")?;
        holds("nobody is let in any more", self.group.enter(0).is_none())?;
        site.reclaim();
        equal("pages when masks and pool are gone", site.arena.stats().claimed_pages, base)
    }

    /// A call, if one may be made: its mask is there from its begin to its end, and nobody else writes it.
    fn call(&self, site: &Site, player: &mut Player<'_>) -> Checked {
        let Some(call) = self.group.enter(1) else { return Ok(()) };
        self.inside.fetch_add(1, Ordering::SeqCst);
        let done = (|| {
            let mask = call.mask().ok_or_else(|| Failure::new("this CPU has no mask"))?;
            let memory = site.arena.memory()?;
            let bits = player.random.bits();
            mask.set(&memory, [bits]).map_err(|_| Failure::new("a mask's page is gone"))?;
            pause(player.random.below(20));
            let word = ArenaPtr::<u64>::new(mask.ptr().offset() + 16).ok_or_else(|| Failure::new("null"))?;
            let seen = memory.try_load(word).map_err(|_| Failure::new("a mask's page is gone"))?;
            equal("what this CPU has written in its mask", seen, bits)?;
            if player.random.below(40) == 0 {
                site.writes(page(WILD + player.number), 0)?;
            }
            Ok(())
        })();
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        drop(call);
        done
    }
}

fn no_callback_runs_when_its_group_is_disabled(site: &Site) -> Told {
    let arena = &site.arena;
    let group = Group::register([None, Some(Program::new(arena, 7))], BUDGET)
        .map_err(|refused| Failure::new(format!("{}", refused.error)))?;
    let play = Play {
        group,
        inside: AtomicU32::new(0),
        over: AtomicBool::new(false),
        calls: AtomicU64::new(0),
        busy: AtomicU64::new(0),
        waits: AtomicU64::new(0),
        ejections: AtomicU64::new(0),
    };
    let base = arena.stats().claimed_pages;
    let prepare = |_: &mut Player<'_>| {
        play.over.store(false, Ordering::Relaxed);
        Ok(())
    };
    let race = |player: &mut Player<'_>| {
        if player.has_turn() {
            let done = (0..TIMES).try_for_each(|_| play.come_and_go(site, base, player));
            play.over.store(true, Ordering::Relaxed);
            return done;
        }
        while !play.over.load(Ordering::Relaxed) {
            play.call(site, player)?;
        }
        Ok(())
    };
    let look = |_: &mut Player<'_>| {
        let named = core::iter::from_fn(|| site.violation()).all(|violation| violation.program == ProgramId::new(7));
        holds("each violation is the program's", named)?;
        site.reclaim();
        Ok(())
    };
    let met = || play.waits.load(Ordering::Relaxed) > 0 && play.ejections.load(Ordering::Relaxed) > 0;
    let rounds = site.play((8, 100), &met, &[One(&prepare), All(&race), One(&look)])?;
    let [calls, busy, waits, ejections] =
        [&play.calls, &play.busy, &play.waits, &play.ejections].map(|count| count.load(Ordering::Relaxed));
    Ok(format!("{rounds} rounds, {calls} calls, busy {busy} times, {waits} waits for callers, {ejections} ejections"))
}

/// How often a round scribbles.
const SCRIBBLES: u32 = 2000;
const IDS: u32 = 300;

fn a_mask_that_is_scribbled_on_has_no_more_ids_than_its_snapshot(site: &Site) -> Told {
    let ids = MaskIds::new(IDS).ok_or_else(|| Failure::new("no such number of ids"))?;
    let first = site.alloc(AllocRequest::new(pages(1), Owner::Program))?.first().number();
    let at = u64::from(pointer(first).offset()) + 64;
    let (over, taken, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let prepare = |_: &mut Player<'_>| {
        over.store(false, Ordering::Relaxed);
        Ok(())
    };
    let scribble = |player: &mut Player<'_>| {
        let memory = site.arena.memory()?;
        let random = &mut player.random;
        for _ in 0..SCRIBBLES {
            // Header and words, each now and then nonsense.
            let (field, value) = match random.below(5) {
                0 => (0, random.below(IDS + 20)),
                1 => (4, random.below(IDS + 20)),
                2 => (8, random.below(9)),
                3 => (random.below(3) * 4, u32::try_from(random.bits() >> 32).unwrap_or(0)),
                _ => (16 + random.below(12) * 4, u32::try_from(random.bits() >> 32).unwrap_or(0)),
            };
            let place = ArenaPtr::<u32>::from_low_bits(at + u64::from(field)).ok_or_else(|| Failure::new("null"))?;
            memory.try_store(place, &value).map_err(|_| Failure::new("its page is gone"))?;
        }
        over.store(true, Ordering::Relaxed);
        Ok(())
    };
    let read = |_: &mut Player<'_>| {
        let memory = site.arena.memory()?;
        while !over.load(Ordering::Relaxed) {
            let Ok(mask) = SharedMask::snapshot(&memory, at | 0xdead << 32, ids) else {
                refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            taken.fetch_add(1, Ordering::Relaxed);
            let (base, nr) = (mask.span().base(), mask.span().nr());
            holds("its ids are ids", base < IDS && nr <= IDS - base)?;
            let (mut count, mut last): (u32, Option<CpuId>) = (0, None);
            for cpu in mask.iter() {
                let cpu = cpu.map_err(|_| Failure::new("its page is gone"))?;
                holds("each is one of the snapshot's", mask.span().contains(cpu))?;
                holds("they ascend", last.is_none_or(|last| last.number() < cpu.number()))?;
                (count, last) = (count + 1, Some(cpu));
            }
            let weight = mask.weight().map_err(|_| Failure::new("its page is gone"))?;
            holds("no more than it has", count <= nr && weight <= nr)?;
        }
        Ok(())
    };
    let race = |player: &mut Player<'_>| if player.has_turn() { scribble(player) } else { read(player) };
    let met = || taken.load(Ordering::Relaxed) > 0 && refused.load(Ordering::Relaxed) > 0;
    let rounds = site.play((8, 100), &met, &[One(&prepare), All(&race)])?;
    site.free(first, 1, Owner::Program)?;
    site.reclaim();
    let [taken, refused] = [&taken, &refused].map(|count| count.load(Ordering::Relaxed));
    Ok(format!("{rounds} rounds, {taken} snapshots, {refused} refused"))
}
