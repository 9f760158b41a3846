//! All CPUs take until there is nothing left, pages or frames, and all of it comes back.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::platform::Frame;
use kernel_arena::{AllocError, AllocRequest, Context, Owner};
use spin::Mutex;

use super::{Told, races};
use crate::check::{Checked, Failure, equal, holds};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{Site, page, pages};

races! {
    all_pages_come_back_after_they_ran_out in 320 pages,
    all_frames_come_back_after_they_ran_out in 320 pages,
}

/// Pages of these arenas.
const PAGES: u32 = 320;
/// Frames that are left where frames are to run out.
const FRAMES: usize = 150;
/// How often each CPU hears that there is nothing left before it gives everything back.
const REFUSALS: u32 = 6;

/// How often each answer was given.
#[derive(Default)]
struct Answers {
    runs: AtomicU64,
    no_space: AtomicU32,
    busy: AtomicU32,
    out_of_frames: AtomicU32,
}

fn all_pages_come_back_after_they_ran_out(site: &Site) -> Told {
    exhaust(site, &|answers| answers.no_space.load(Ordering::Relaxed))
}

fn all_frames_come_back_after_they_ran_out(site: &Site) -> Told {
    let frames = site.machine.frames();
    let hidden: Vec<Frame> = (FRAMES..frames.free_count()).filter_map(|_| frames.alloc()).collect();
    let told = exhaust(site, &|answers| answers.out_of_frames.load(Ordering::Relaxed));
    hidden.into_iter().for_each(|frame| frames.free(frame));
    told
}

fn exhaust(site: &Site, expected: &(dyn Fn(&Answers) -> u32 + Sync)) -> Told {
    let answers = Answers::default();
    let available = site.machine.frames().free_count();
    let left = Mutex::new(Vec::with_capacity(PAGES as usize));
    let take = |player: &mut Player<'_>| {
        let held = take(player, &answers)?;
        give_back(player, held, &left)
    };
    let all_back = |_: &mut Player<'_>| {
        for (first, count) in left.lock().drain(..) {
            site.free(first, count, Owner::Kernel)?;
        }
        site.reclaim();
        site.drain();
        site.arena.validate()?;
        equal("pages in use", site.arena.stats().claimed_pages, 0)?;
        equal("frames", site.machine.frames().free_count(), available)?;
        // All of what there is can be had at once.
        let all = PAGES.min(u32::try_from(available).unwrap_or(PAGES));
        let got = site.alloc(AllocRequest::new(pages(all), Owner::Kernel))?;
        site.free(got.first().number(), all, Owner::Kernel)?;
        Ok(())
    };
    let rounds = site.play((3, 40), &|| expected(&answers) > 0, &[All(&take), One(&all_back)])?;
    let [no_space, busy, out] = [answers.no_space, answers.busy, answers.out_of_frames].map(AtomicU32::into_inner);
    let runs = answers.runs.into_inner();
    Ok(format!("{rounds} rounds, {runs} runs allocated, {no_space} times no space, {busy} busy, {out} out of frames"))
}

/// Allocates until there is nothing left.
fn take(player: &mut Player<'_>, answers: &Answers) -> Result<Vec<(u32, u32)>, Failure> {
    let site = player.site;
    let mut held = Vec::with_capacity(PAGES as usize);
    let mut refusals = 0;
    while refusals < REFUSALS {
        // Small runs in the end, so that it is really nothing.
        let count = if refusals == 0 { 1 + player.random.below(6) } else { 1 };
        let context = if player.random.one_in(4) { Context::Any } else { Context::MayWait };
        let answer = site.alloc(AllocRequest::new(pages(count), Owner::Kernel).in_context(context));
        let refused = match answer {
            Ok(got) => {
                // Wild accesses among them.
                if player.random.one_in(8) {
                    touch(player)?;
                }
                answers.runs.fetch_add(1, Ordering::Relaxed);
                held.push((got.first().number(), count));
                continue;
            }
            Err(AllocError::NoSpace(_)) => &answers.no_space,
            Err(AllocError::Busy(_)) => &answers.busy,
            Err(AllocError::OutOfFrames) => &answers.out_of_frames,
            Err(error) => return Err(error.into()),
        };
        refused.fetch_add(1, Ordering::Relaxed);
        refusals += 1;
        touch(player)?;
    }
    Ok(held)
}

/// Reads a page, whatever it is.
fn touch(player: &mut Player<'_>) -> Checked {
    let number = player.site.first() + player.random.below(PAGES);
    player.site.read(page(number)).map(drop).ok_or_else(|| Failure::new("a read was given up"))
}

/// Frees what it took: at once, deferred, or by leaving it to another.
fn give_back(player: &mut Player<'_>, held: Vec<(u32, u32)>, left: &Mutex<Vec<(u32, u32)>>) -> Checked {
    for (first, count) in held {
        match player.random.below(16) {
            0 => player.site.free(first, count, Owner::Kernel)?,
            1 => {
                let mut left = loop {
                    if let Some(left) = left.try_lock() {
                        break left;
                    }
                    support::relax();
                };
                left.push((first, count));
            }
            _ => player.site.defer(first, count, Owner::Kernel)?,
        }
    }
    holds("reclaim frees no more than there is", player.site.reclaim().freed_pages <= PAGES)
}
