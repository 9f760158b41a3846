//! Arenas come into the registry and go out of it while faults in others, and in them, are looked up there.

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::{Arena, PAGE_SIZE, Registration, RemoveError};
use support::relax;

use super::{Told, races};
use crate::bench::{KernelArena, layout, metadata, unmake};
use crate::check::{Checked, Failure};
use crate::fault::REGISTRY;
use crate::platform::RacePlatform;
use crate::play::Phase::{All, One};
use crate::play::{Player, pause};
use crate::site::{REGION, Site, address_in, read_in, violation_of};
use crate::tally::{Event, count};

races! {
    registration_and_removal_disturb_no_fault_in_another_arena in 512 pages,
}

/// Pages of the arena that comes and goes.
const PAGES: u32 = 512;
/// How often it does in a round.
const TIMES: u32 = 40;

/// Takes an arena out of the registry; gives how often faults were in flight.
pub(super) fn remove(mut registration: Registration) -> Result<u64, Failure> {
    let mut busy = 0;
    loop {
        registration = match REGISTRY.remove(registration) {
            Ok(()) => return Ok(busy),
            Err(RemoveError::Busy { registration, .. }) => registration,
            Err(RemoveError::NotHere(_)) => {
                return Err(Failure::new("the registration is said to be another registry's"));
            }
            Err(error) => return Err(error.into()),
        };
        busy += 1;
        relax();
    }
}

fn registration_and_removal_disturb_no_fault_in_another_arena(site: &Site) -> Told {
    let platform = RacePlatform::lend(site.machine).ok_or_else(|| Failure::new("all windows are lent"))?;
    let layout = layout(site.machine, &platform, PAGES)?;
    let guest = Box::new(Arena::new(platform, layout, metadata(&layout))?);
    let told = come_and_go(site, &guest);
    site.other.add(&guest.stats());
    told.and_then(|told| unmake(*guest).map(|()| told))
}

fn come_and_go(site: &Site, guest: &KernelArena) -> Told {
    let (over, busy, declined) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let prepare = |_: &mut Player<'_>| {
        over.store(false, Ordering::Relaxed);
        Ok(())
    };
    let race = |player: &mut Player<'_>| {
        if player.has_turn() {
            let done = (0..TIMES).try_for_each(|time| visit(player, guest, time, &busy));
            over.store(true, Ordering::Release);
            return done;
        }
        while !over.load(Ordering::Acquire) {
            // The host is always there.
            let place = any_place(player);
            site.read(place).ok_or_else(|| Failure::new("a fault in the arena that stays was declined"))?;
            let there = read_in(address_in(guest, any_place(player)));
            if there.is_none() {
                declined.fetch_add(1, Ordering::Relaxed);
                pause(2);
            }
        }
        Ok(())
    };
    let heal = |_: &mut Player<'_>| {
        for arena in [&site.arena, guest] {
            arena.reclaim();
            while violation_of(arena).is_some() {}
            arena.validate()?;
        }
        Ok(())
    };
    let met = || busy.load(Ordering::Relaxed) > 0;
    let rounds = site.play((3, 20), &met, &[One(&prepare), All(&race), One(&heal)])?;
    let [busy, declined] = [busy, declined].map(AtomicU64::into_inner);
    Ok(format!("{rounds} rounds, {busy} times busy, {declined} accesses to the absent arena given up"))
}

/// Registers the guest, and removes it a moment later.
fn visit(player: &mut Player<'_>, guest: &KernelArena, time: u32, busy: &AtomicU64) -> Checked {
    if time % 8 == 7 {
        // So that there is always something to fault on.
        guest.reclaim();
    }
    count(Event::Operation);
    // SAFETY: the guest is removed below, before whoever called may go on.
    let registration = unsafe { REGISTRY.register(guest) }?;
    pause(player.random.below(100));
    count(Event::Operation);
    busy.fetch_add(remove(registration)?, Ordering::Relaxed);
    Ok(())
}

/// A page of the extent, or a region beyond it.
fn any_place(player: &mut Player<'_>) -> u64 {
    if player.random.one_in(4) {
        u64::from(2 + player.random.below(48)) * REGION
    } else {
        u64::from(16 + player.random.below(PAGES)) * PAGE_SIZE
    }
}
