//! Reservation against allocation: of all CPUs that go for a page, one has it.

use alloc::format;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::{AllocError, AllocRequest, Owner, ReserveError, SlotState};

use support::{MAX_CPUS, relax};

use super::{Told, races};
use crate::check::{Checked, Failure, equal};
use crate::play::Phase::{All, One};
use crate::play::{Player, pause};
use crate::site::{Site, page, pages, pointer};

races! {
    of_reservations_and_allocations_of_a_page_one_succeeds in 256 pages,
}

/// Pages of a round.
const COUNT: usize = 64;

/// Who has a page: 0, or a CPU's number and one, and whether it has only reserved it.
const RESERVED: u32 = 1 << 16;

fn of_reservations_and_allocations_of_a_page_one_succeeds(site: &Site) -> Told {
    let winners: [AtomicU32; COUNT] = core::array::from_fn(|_| AtomicU32::new(0));
    let wins = [AtomicU64::new(0), AtomicU64::new(0)];
    let pace = Pace::default();
    let numbers = |round: u32| (site.first() + round % 100..).take(COUNT);

    let go = |player: &mut Player<'_>| {
        for (number, winner) in numbers(player.round).zip(&winners) {
            pace.keep(player, number);
            // In some rounds scratch is in the way; that page is touched once by each CPU.
            if player.round % 4 == 2 && player.random.one_in(4) {
                site.read(page(number)).ok_or_else(|| Failure::new("a read was given up"))?;
            }
            let reserves = (player.number + player.round).is_multiple_of(2);
            if let Some(kind) = attempt(site, number, reserves)? {
                let before = winner.fetch_add(1 + player.number + kind, Ordering::Relaxed);
                equal("who else has the page", before, 0)?;
            }
        }
        Ok(())
    };
    let look = |player: &mut Player<'_>| {
        for (number, winner) in numbers(player.round).zip(&winners) {
            let winner = winner.load(Ordering::Relaxed);
            let as_told = match site.state(number) {
                Some(SlotState::Reserved(_) | SlotState::ScratchOverReserved(_)) => winner & RESERVED != 0,
                Some(SlotState::Mapped(..)) => winner != 0 && winner & RESERVED == 0,
                _ => false,
            };
            if !as_told {
                let state = site.state(number);
                return Err(Failure::new(format!("page {number}: winner {winner:#x}, but its slot says {state:?}")));
            }
        }
        Ok(())
    };
    // Each gives back what it has.
    let back = |player: &mut Player<'_>| {
        for (number, winner) in numbers(player.round).zip(&winners) {
            let word = winner.load(Ordering::Relaxed);
            if word & 0xff == player.number + 1 {
                wins[usize::from(word & RESERVED != 0)].fetch_add(1, Ordering::Relaxed);
                winner.store(0, Ordering::Relaxed);
                give_back(player, number)?;
            }
        }
        Ok(())
    };
    let end = |_: &mut Player<'_>| {
        pace.0.iter().for_each(|at| at.store(0, Ordering::Relaxed));
        site.reclaim();
        site.drain();
        equal("pages in use", site.arena.stats().claimed_pages, 0)
    };
    let rounds = site.play((10, 100), &|| true, &[All(&go), All(&look), All(&back), One(&end)])?;
    let [allocated, reserved] = wins.map(AtomicU64::into_inner);
    Ok(format!("{rounds} rounds, {allocated} pages allocated, {reserved} reserved"))
}

/// How far each CPU is, so that they go for a page at about the same time.
#[derive(Default)]
struct Pace([AtomicU32; MAX_CPUS]);

impl Pace {
    /// Waits for the others, but not long, and a little more: an allocation takes longer than a reservation.
    fn keep(&self, player: &mut Player<'_>, number: u32) {
        self.0[player.number as usize].store(number, Ordering::Relaxed);
        let all_are_here =
            || self.0.iter().take(player.site.cpus as usize).all(|at| at.load(Ordering::Relaxed) >= number);
        for _ in 0..500 {
            if all_are_here() {
                break;
            }
            relax();
        }
        pause(player.random.below(6));
    }
}

/// Goes for a page. Says how it got it, if it did.
fn attempt(site: &Site, number: u32, reserves: bool) -> Result<Option<u32>, Failure> {
    if reserves {
        return match site.reserve(number, 1, Owner::Kernel) {
            Ok(()) => Ok(Some(RESERVED)),
            Err(ReserveError::Taken { .. } | ReserveError::Busy { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
    match site.alloc(AllocRequest::new(pages(1), Owner::Kernel).exactly_at(pointer(number))) {
        Ok(_) => Ok(Some(0)),
        Err(AllocError::Taken { .. } | AllocError::Busy(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Deferred, mostly, for the shootdowns' sake.
fn give_back(player: &mut Player<'_>, number: u32) -> Checked {
    if player.random.one_in(8) {
        player.site.free(number, 1, Owner::Kernel)?;
    } else {
        player.site.defer(number, 1, Owner::Kernel)?;
    }
    Ok(())
}
