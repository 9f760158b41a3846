//! Neither a page's number nor its frame comes back before every CPU has forgotten it (I5).
//!
//! One CPU frees pages that all have in their TLBs, while the others allocate what comes back. Whoever gets a number too early
//! reaches the old frame by it, and whoever gets a frame too early is still reached by the old number.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_arena::{AllocError, AllocRequest, Owner};

use super::{Told, races};
use crate::check::{Checked, Failure};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{Site, page, pages};

races! {
    numbers_and_frames_come_back_only_after_the_shootdown in 48 pages,
}

/// Pages of a round.
const COUNT: u32 = 8;
/// How many pages each of the others allocates meanwhile, at most.
const MOST: usize = 12;
/// Where in a page it says which page it is.
const NAME: u64 = 64;

/// What stands in a page: which one it is, and who wrote it.
fn name(number: u32, cpu: u32) -> u64 {
    u64::from(cpu + 1) << 32 | u64::from(number)
}

fn numbers_and_frames_come_back_only_after_the_shootdown(site: &Site) -> Told {
    let (first, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let taken = AtomicU64::new(0);
    let prepare = |player: &mut Player<'_>| {
        over.store(false, Ordering::Relaxed);
        let got = site.alloc(AllocRequest::new(pages(COUNT), Owner::Kernel))?;
        first.store(got.first().number(), Ordering::Relaxed);
        got.pages().try_for_each(|at| site.writes(page(at.number()) + NAME, name(at.number(), player.number)))
    };
    let touch = |_: &mut Player<'_>| {
        let first = first.load(Ordering::Relaxed);
        (first..first + COUNT).try_for_each(|number| look(site, number))
    };
    let race = |player: &mut Player<'_>| {
        let first = first.load(Ordering::Relaxed);
        if player.has_turn() {
            let one_by_one = player.round.is_multiple_of(2);
            let step = if one_by_one { 1 } else { COUNT };
            let mut firsts = (first..first + COUNT).step_by(step as usize);
            let done = firsts.try_for_each(|at| site.free(at, step, Owner::Kernel));
            over.store(true, Ordering::Release);
            return Ok(done?);
        }
        let held = take(player, first, &over)?;
        taken.fetch_add(held.len() as u64, Ordering::Relaxed);
        held.into_iter().try_for_each(|number| Ok(site.defer(number, 1, Owner::Kernel)?))
    };
    let end = |_: &mut Player<'_>| {
        site.reclaim();
        site.drain();
        Ok(())
    };
    let rounds = site.play((40, 150), &|| true, &[One(&prepare), All(&touch), All(&race), One(&end)])?;
    Ok(format!("{rounds} rounds, {} pages taken meanwhile", taken.into_inner()))
}

/// A page names itself, or it is empty, or scratch.
fn look(site: &Site, number: u32) -> Checked {
    let word = site.read(page(number) + NAME).ok_or_else(|| Failure::new("a read was given up"))?;
    if word == 0 || word & 0xffff_ffff == u64::from(number) {
        return Ok(());
    }
    Err(Failure::new(format!("page {number} still leads to the frame that is now that of page {}", word & 0xffff_ffff)))
}

/// Allocates page by page while the pages from `first` on are being freed.
fn take(player: &Player<'_>, first: u32, over: &AtomicBool) -> Result<Vec<u32>, Failure> {
    let site = player.site;
    let mut held = Vec::with_capacity(MOST);
    while !over.load(Ordering::Acquire) && held.len() < MOST {
        let number = match site.alloc(AllocRequest::new(pages(1), Owner::Kernel)) {
            Ok(got) => got.first().number(),
            Err(AllocError::NoSpace(_) | AllocError::Busy(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        held.push(number);
        site.reads(page(number) + NAME, 0)?;
        site.writes(page(number) + NAME, name(number, player.number))?;
        (first..first + COUNT).try_for_each(|number| look(site, number))?;
    }
    held.iter().try_for_each(|number| site.reads(page(*number) + NAME, name(*number, player.number)))?;
    Ok(held)
}
