//! Where claims are tried, and the books that must balance after each.
//!
//! When a claim has been tried, every CPU empties its magazines, at every level that has some, and all is reclaimed.
//! Then no more is live than before, nothing is cached, the pages that are held are those of slabs and runs, each frame
//! that is missing at the source is accounted for, the arena validates, and its violations are the faults that were
//! recovered.

use alloc::boxed::Box;

use kernel_arena::heap::HeapStats;
use kernel_arena::{Arena, Violation};
use support::{Barrier, FrameStack, Machine, Random};

use crate::check::{Checked, Failure, Trouble, complaints, equal, holds};
use crate::fault::{REGISTRY, recovered};
use crate::guest::{self, Part};
use crate::memory::{Early, HEAP, HOLE, KernelArena, Metadata, arena, layout, pages_in, stats};
use crate::platform::HeapPlatform;

/// How much is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Some seconds in all.
    Fast,
    /// Some minutes.
    Long,
}

/// What a claim is tried with.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) machine: &'static Machine,
    pub(crate) cpus: u32,
    pub(crate) effort: Effort,
    pub(crate) early: Early,
    trouble: Trouble,
}

/// A CPU at work.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    pub(crate) site: &'a Site,
    /// Its number.
    pub(crate) number: u32,
    pub(crate) random: Random,
    barrier: &'a Barrier,
}

impl Player<'_> {
    /// Waits until all CPUs have come here. Each must come as often as the others, also if its check has failed.
    pub(crate) fn meet(&self) {
        self.barrier.wait();
    }
}

/// Whether programs may see an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Shared,
    Private,
}

/// Where the books stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    live_bytes: u64,
    run_bytes: u64,
    recovered: u64,
    violations: u64,
}

impl Mark {
    /// Now, at rest.
    pub(crate) fn now() -> Self {
        let HeapStats { live_bytes, run_bytes, .. } = stats();
        Self { live_bytes, run_bytes, recovered: recovered(), violations: arena().stats().violations }
    }
}

impl Site {
    pub(crate) const fn new(machine: &'static Machine, cpus: u32, effort: Effort, early: Early) -> Self {
        Self { machine, cpus, effort, early, trouble: Trouble::new() }
    }

    /// One of two figures: of a fast run, and of a long one.
    pub(crate) const fn of(&self, figures: (u32, u32)) -> u32 {
        match self.effort {
            Effort::Fast => figures.0,
            Effort::Long => figures.1,
        }
    }

    pub(crate) fn frames(&self) -> &'static FrameStack {
        self.machine.frames()
    }

    /// All CPUs do something at once.
    ///
    /// # Errors
    /// The first check that failed, on whichever CPU, or what a guest found wrong meanwhile.
    pub(crate) fn on_all(&self, part: impl Fn(&mut Player<'_>) -> Checked + Sync) -> Checked {
        let barrier = Barrier::new(self.cpus);
        self.machine.run_on_all(|cpu| {
            let number = u32::from(cpu.number());
            let mut player = Player { site: self, number, random: Random::new(number.into()), barrier: &barrier };
            if let Err(failure) = part(&mut player) {
                self.trouble.note(failure);
            }
        });
        self.trouble.take().and(complaints())
    }

    /// Whether some CPU has failed, so that the others need not go on.
    pub(crate) fn is_trouble(&self) -> bool {
        self.trouble.is_there()
    }

    /// Empties all magazines, of all CPUs and levels, and gives back all pages that are not needed.
    pub(crate) fn drain_all(&self) -> Checked {
        guest::with(Part::Drain, || {
            self.on_all(|_| {
                HEAP.drain();
                guest::drain_above();
                Ok(())
            })
        })?;
        HEAP.reclaim();
        Ok(())
    }

    /// Balances the books.
    pub(crate) fn settle(&self, before: Mark) -> Checked {
        self.drain_all()?;
        while arena().take_violation().is_some() {}
        let (heap, pages) = (stats(), arena().stats());
        equal(
            "bytes that are live, and those of runs",
            (heap.live_bytes, heap.run_bytes),
            (before.live_bytes, before.run_bytes),
        )?;
        equal("misuses", heap.slab.misuses, 0)?;
        equal(
            "objects in magazines when all are emptied",
            heap.slab.classes.iter().map(|class| class.cached).sum(),
            0,
        )?;
        let claimed = u64::from(pages.claimed_pages - HOLE.count().get());
        equal("pages that are claimed, and held by the heap", claimed, pages_in(heap.held_bytes))?;
        let left = (pages.deferred_pages, pages.tainted_regions);
        equal("pages queued and regions marked when all is reclaimed", left, (0, 0))?;
        holds("pages are marked in the hole alone", pages.tainted_pages <= HOLE.count().get())?;
        equal("frames that are missing", self.missing_frames(), 0)?;
        equal(
            "violations, and faults that were recovered",
            pages.violations - before.violations,
            recovered() - before.recovered,
        )?;
        Ok(arena().validate()?)
    }

    /// Frames that neither are at the source nor belong to the heap, at rest: those that other arenas have, and what
    /// they wrote down.
    pub(crate) fn missing_frames(&self) -> u64 {
        let pages = arena().stats();
        let of_pages = pages.table_frames + pages.claimed_pages - HOLE.count().get();
        let known = self.frames().free_count() as u64 + u64::from(of_pages) + pages_in(stats().slab.metadata_bytes);
        (self.early.frames as u64).wrapping_sub(known)
    }

    /// Lets `body` have an arena of its own, and destroys it. It leaves no page in use, and all of the loan must come
    /// back.
    pub(crate) fn with_arena(&self, kind: Kind, pages: u32, body: impl FnOnce(&KernelArena) -> Checked) -> Checked {
        let platform = HeapPlatform::lend(self.machine).ok_or_else(|| Failure::new("all windows are lent"))?;
        let layout = layout(&platform, pages).ok_or_else(|| Failure::new("no such layout"))?;
        let layout = if kind == Kind::Private { layout.private() } else { layout };
        let metadata: Metadata = Box::leak(Box::new_uninit_slice(layout.metadata_words()));
        let arena = Arena::new(platform, layout, metadata)?;
        // SAFETY: the arena stays where it is until `remove` below has returned `Ok`; if it does not, the kernel's last
        // verdict is a panic.
        let registration = unsafe { REGISTRY.register(&arena) }?;
        let outcome = body(&arena).and_then(|()| {
            arena.reclaim();
            Ok(arena.validate()?)
        });
        REGISTRY.remove(registration).expect("no fault is in flight: no job runs, and the arena is used by jobs alone");
        let destroyed = arena.destroy().expect("no view is attached");
        // SAFETY: it was leaked above, and the arena that had it is gone.
        drop(unsafe { Box::from_raw(destroyed.metadata) });
        outcome?;
        equal("pages at the end", destroyed.pages, 0)?;
        drop(destroyed.platform);
        equal("frames that are missing at the end", self.missing_frames(), 0)
    }
}

/// Takes all violations of an arena.
pub(crate) fn violations(arena: &KernelArena) -> impl Iterator<Item = Violation> {
    core::iter::from_fn(|| arena.take_violation())
}
