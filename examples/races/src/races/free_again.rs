//! Two CPUs free the same pages, and each page is freed once (I6).

use alloc::format;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::{AllocRequest, FreeError, Owner};

use super::{Told, races};
use crate::check::{Failure, equal};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{Site, pages};

races! {
    of_all_cpus_that_free_the_same_pages_one_frees_each in 256 pages,
}

/// Pages of a round.
const COUNT: u32 = 40;

/// How many pages a free has freed.
fn freed(answer: Result<(), FreeError>, asked: u32) -> Result<u32, Failure> {
    match answer {
        Ok(()) => Ok(asked),
        Err(FreeError::Raced { freed }) => Ok(freed.get()),
        Err(FreeError::NotAllocated { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn of_all_cpus_that_free_the_same_pages_one_frees_each(site: &Site) -> Told {
    let first = AtomicU32::new(0);
    let (total, raced) = (AtomicU32::new(0), AtomicU64::new(0));
    let prepare = |player: &mut Player<'_>| {
        total.store(0, Ordering::Relaxed);
        let got = site.alloc(AllocRequest::new(pages(COUNT), Owner::Kernel))?;
        first.store(got.first().number(), Ordering::Relaxed);
        // Some of them are only reserved.
        if player.round % 4 == 1 {
            site.free(got.first().number(), COUNT, Owner::Kernel)?;
            site.reserve(got.first().number(), COUNT, Owner::Kernel)?;
        }
        Ok(())
    };
    let free = |player: &mut Player<'_>| {
        let first = first.load(Ordering::Relaxed);
        let free = |at: u32, count: u32| {
            // The CPU whose turn it is defers in every other round.
            let answer = if player.has_turn() && player.round & 1 == 0 {
                site.defer(at, count, Owner::Kernel)
            } else {
                site.free(at, count, Owner::Kernel)
            };
            raced.fetch_add(u64::from(matches!(answer, Err(FreeError::Raced { .. }))), Ordering::Relaxed);
            freed(answer, count)
        };
        let sum = if player.round % 8 < 6 {
            free(first, COUNT)?
        } else {
            // A few at a time.
            (0..COUNT).step_by(4).try_fold(0, |sum, offset| Ok::<_, Failure>(sum + free(first + offset, 4)?))?
        };
        total.fetch_add(sum, Ordering::Relaxed);
        Ok(())
    };
    let end = |_: &mut Player<'_>| {
        equal("pages freed in all", total.load(Ordering::Relaxed), COUNT)?;
        site.reclaim();
        site.drain();
        equal("pages in use", site.arena.stats().claimed_pages, 0)
    };
    let met = || raced.load(Ordering::Relaxed) > 0;
    let rounds = site.play((48, 300), &met, &[One(&prepare), All(&free), One(&end)])?;
    Ok(format!("{rounds} rounds, {} frees found another between", raced.into_inner()))
}
