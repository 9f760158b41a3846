//! What a CPU has translated is forgotten when the page is taken away: its next access faults.
//!
//! This is what catches a missing shootdown.

use alloc::format;
use core::sync::atomic::{AtomicU32, Ordering};

use kernel_arena::{AllocRequest, Owner, PageIndex};
use support::{switch_context, without_interrupts};

use super::{Told, races};
use crate::check::{Checked, Failure, equal};
use crate::fault::giving_up;
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{REGION, Site, page, pages};

races! {
    no_cpu_uses_a_translation_after_it_was_taken_away in 512 pages,
}

/// How many pages, or regions, a round is about.
const COUNT: u32 = 24;

/// By what translations are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `free_pages`.
    Free,
    /// `free_pages_deferred` and `reclaim`.
    Defer,
    /// `reclaim`, of pages that held the scratch page.
    Heal,
    /// `reclaim`, of regions where the scratch table was linked.
    Unlink,
}

impl Way {
    fn of(round: u32) -> Self {
        [Self::Free, Self::Defer, Self::Heal, Self::Unlink][round as usize % 4]
    }

    /// The places that were touched.
    fn places(self, first: u32) -> impl Iterator<Item = u64> {
        (0..COUNT).map(move |number| match self {
            Self::Unlink => 900 * REGION + u64::from(number) * REGION + 16,
            _ => page(first + number) + 16,
        })
    }
}

fn no_cpu_uses_a_translation_after_it_was_taken_away(site: &Site) -> Told {
    let first = AtomicU32::new(site.first());
    let checks = AtomicU32::new(0);
    let prepare = |player: &mut Player<'_>| {
        if matches!(Way::of(player.round), Way::Free | Way::Defer) {
            let got = site.alloc(AllocRequest::new(pages(COUNT), Owner::Kernel))?;
            first.store(got.first().number(), Ordering::Relaxed);
        }
        Ok(())
    };
    // In both address spaces, where there are two; not left again afterwards, for QEMU's aarch64 forgets everything then.
    let touch = |player: &mut Player<'_>| {
        let touch = || {
            let mut places = Way::of(player.round).places(first.load(Ordering::Relaxed));
            places.try_for_each(|place| site.read(place).map(drop).ok_or_else(|| Failure::new("a read was given up")))
        };
        touch()?;
        switch_context();
        touch()
    };
    let take_away = |player: &mut Player<'_>| {
        if !player.has_turn() {
            return Ok(());
        }
        take_away(site, Way::of(player.round), first.load(Ordering::Relaxed))
    };
    let look = |player: &mut Player<'_>| {
        checks.fetch_add(2 * COUNT, Ordering::Relaxed);
        let look = || giving_up(|| look(site, Way::of(player.round), first.load(Ordering::Relaxed)));
        if player.round % 16 < 8 { look() } else { without_interrupts(look) }
    };
    let drain = |_: &mut Player<'_>| {
        site.drain();
        Ok(())
    };
    let phases = [One(&prepare), All(&touch), All(&take_away), All(&look), One(&drain)];
    let rounds = site.play((16, 100), &|| true, &phases)?;
    Ok(format!("{rounds} rounds, {} looks found nothing", checks.into_inner()))
}

fn take_away(site: &Site, way: Way, first: u32) -> Checked {
    match way {
        Way::Free => site.free(first, COUNT, Owner::Kernel)?,
        Way::Defer => {
            site.defer(first, COUNT, Owner::Kernel)?;
            equal("freed by reclaim", site.reclaim().freed_pages, COUNT)?;
        }
        Way::Heal => equal("healed pages", site.reclaim().healed_pages, COUNT)?,
        Way::Unlink => equal("healed regions", site.reclaim().healed_regions, COUNT)?,
    }
    Ok(())
}

/// All accesses must fault.
fn look(site: &Site, way: Way, first: u32) -> Checked {
    for _ in 0..2 {
        for place in way.places(first) {
            if let Some(value) = site.read(place) {
                let state = (way != Way::Unlink).then(|| PageIndex::new(first)).flatten();
                let state = state.and_then(|page| site.arena.page_state(page));
                return Err(Failure::new(format!(
                    "stale translation: after {way:?} the place {place:#x} still reads {value:#x} (the slot of the first: {state:?})"
                )));
            }
        }
        switch_context();
    }
    Ok(())
}
