//! A program's view of an arena, in the kernel's own address space: what it shows goes when pages go, on every CPU, and all of
//! it when it is detached.
//!
//! The kernel reads there as a program would, with user mode's pages let through: nothing else may be at those addresses.

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_arena::arch::{Arch, Native};
use kernel_arena::kit::ProgramWindow;
use kernel_arena::views::{FaultPolicy, ProgramAccess, ProgramFault, ProgramFaultOutcome, View, ViewId, ViewRights};
use kernel_arena::{AllocError, AllocRequest, Arena, Context, InstructionAddr, Owner, Platform, ProgramAddr, VirtAddr};
use spin::Mutex;
use support::switch_context;

use super::{Told, races};
use crate::bench::{KernelArena, layout, metadata, unmake};
use crate::check::{Checked, Failure, equal, holds};
use crate::platform::RacePlatform;
use crate::play::Phase::{All, One};
use crate::play::{Player, pause};
use crate::site::{Site, address_in, page, pages, pointer, write_in};
use crate::user_pages::{read_as_user, write_as_user};

races! {
    no_cpu_sees_in_a_view_what_was_taken_away in 16 pages,
    views_come_and_go_while_pages_do in 16 pages,
}

/// Where the view is: below, and on x86_64 under an entry of the root that nothing else uses.
const BASE: u64 = if cfg!(target_arch = "aarch64") { 0x0000_0070_0000_0000 } else { 0x0000_0100_0000_0000 };
/// Pages of an arena.
const PAGES: u32 = 512;
/// How many pages a round of the first race is about.
const COUNT: u32 = 24;
/// Pages that a CPU has for itself in the second.
const OWN: u32 = 4;
/// How often a view comes and goes in a round of it.
const TIMES: u32 = 12;

type Attached = View<ProgramWindow>;

/// An arena that a view can be attached to, and the view, if there is one.
pub(super) struct Shown {
    arena: KernelArena,
    view: Mutex<Option<Attached>>,
}

impl Shown {
    pub(super) fn new(site: &Site) -> Result<Self, Failure> {
        let platform = RacePlatform::lend(site.machine).ok_or_else(|| Failure::new("all windows are lent"))?;
        let layout = layout(site.machine, &platform, PAGES)?.with_views(1);
        Ok(Self { arena: Arena::new(platform, layout, metadata(&layout))?, view: Mutex::new(None) })
    }

    pub(super) fn end(self, site: &Site) -> Checked {
        site.other.add(&self.arena.stats());
        self.arena.reclaim();
        self.arena.validate()?;
        unmake(self.arena)
    }

    pub(super) fn attach(&self, rights: ViewRights, policy: FaultPolicy) -> Result<ViewId, Failure> {
        let platform = self.arena.platform();
        let root = Native::loaded_root(VirtAddr::new(BASE)).ok_or_else(|| Failure::new("no root is loaded"))?;
        let base = ProgramAddr::new(BASE);
        // SAFETY: the kernel's own root, which nobody else edits there, and whose map has all memory.
        let window = unsafe {
            ProgramWindow::link_below(root, base, self.arena.layout(), platform.frames(), platform.phys_map())
        };
        let view = match self.arena.attach_view(window?, rights, policy) {
            Ok(view) => view,
            Err(refused) => {
                self.give_back(refused.entries)?;
                return Err(refused.error.into());
            }
        };
        let id = view.id();
        *self.view.lock() = Some(view);
        Ok(id)
    }

    pub(super) fn detach(&self) -> Checked {
        self.give_back(self.take_away()?)
    }

    /// The view alone. Giving its tables back takes another shootdown, which would make up for one that this has left out.
    fn take_away(&self) -> Result<ProgramWindow, Failure> {
        let view = self.view.lock().take().ok_or_else(|| Failure::new("no view is attached"))?;
        let window =
            self.arena.detach_view(view).map_err(|_| Failure::new("the view is said to be another arena's"))?;
        for number in [self.first(), self.first() + PAGES - 1] {
            equal("what a view that is detached shows", see(page(number)), None)?;
        }
        Ok(window)
    }

    /// The tables that were made for a view go back.
    fn give_back(&self, window: ProgramWindow) -> Checked {
        let platform = self.arena.platform();
        // SAFETY: nobody else changes these tables.
        unsafe { window.unlink(platform.frames(), platform.phys_map(), platform.shootdown()) }?;
        Ok(())
    }

    pub(super) fn is_attached(&self) -> bool {
        self.view.lock().is_some()
    }

    fn first(&self) -> u32 {
        self.arena.layout().extent().first().number()
    }

    /// Writes a page in the kernel's view.
    fn stamp(&self, number: u32, value: u64) -> Checked {
        holds("a page that is there is written", write_in(address_in(&self.arena, page(number) + 16), value))
    }
}

/// What a page shows in the view, 16 bytes from its start.
fn see(offset: u64) -> Option<u64> {
    // SAFETY: nothing that Rust knows of is where views are.
    unsafe { read_as_user(BASE + offset + 16) }
}

fn no_cpu_sees_in_a_view_what_was_taken_away(site: &Site) -> Told {
    let shown = Shown::new(site)?;
    let (first, seen, looks) = (AtomicU32::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let window = Mutex::new(None);
    let places = |first: u32| (first..first + COUNT).map(|number| (number, u64::from(number) << 8 | 0x5ee));
    let prepare = |player: &mut Player<'_>| {
        if !shown.is_attached() {
            shown.attach(ViewRights::ReadWrite, FaultPolicy::Segv)?;
        }
        // Half of the time the pages come when the view is there already, as far as CPUs remember.
        let got = shown.arena.alloc_pages(AllocRequest::new(pages(COUNT), Owner::Program))?.first().number();
        first.store(got, Ordering::Relaxed);
        if player.round % 2 == 1 && shown.is_attached() {
            shown.detach()?;
            shown.attach(ViewRights::ReadOnly, FaultPolicy::Segv)?;
        }
        places(got).try_for_each(|(number, stamp)| shown.stamp(number, stamp))
    };
    // In both address spaces, where there are two; and then once more, for a machine that remembers one at a time.
    let touch = |_: &mut Player<'_>| {
        for turn in 0..3 {
            for (number, stamp) in places(first.load(Ordering::Relaxed)) {
                equal("what the view shows", see(page(number)), Some(stamp))?;
            }
            seen.fetch_add(COUNT.into(), Ordering::Relaxed);
            if turn < 2 {
                switch_context();
            }
        }
        Ok(())
    };
    let take_away = |player: &mut Player<'_>| {
        if !player.has_turn() {
            return Ok(());
        }
        let at = pointer(first.load(Ordering::Relaxed));
        match player.round / 2 % 3 {
            0 => shown.arena.free_pages(at, pages(COUNT), Owner::Program)?,
            1 => {
                let number = BASE + u64::from(at.offset());
                shown.arena.free_for_program(number, COUNT.into(), Context::Any)?;
                equal("freed by reclaim", shown.arena.reclaim().freed_pages, COUNT)?;
            }
            _ => *window.lock() = Some(shown.take_away()?),
        }
        Ok(())
    };
    let look = |_: &mut Player<'_>| {
        for _ in 0..2 {
            for (number, _) in places(first.load(Ordering::Relaxed)) {
                equal("what the view shows where nothing is", see(page(number)), None)?;
            }
            looks.fetch_add(COUNT.into(), Ordering::Relaxed);
            switch_context();
        }
        Ok(())
    };
    let tidy = |player: &mut Player<'_>| {
        if let Some(window) = window.lock().take() {
            shown.give_back(window)?;
        }
        if player.round / 2 % 3 == 2 {
            shown.arena.free_pages(pointer(first.load(Ordering::Relaxed)), pages(COUNT), Owner::Program)?;
        }
        Ok(())
    };
    let phases = [One(&prepare), All(&touch), All(&take_away), All(&look), One(&tidy)];
    let rounds = site.play((18, 120), &|| true, &phases)?;
    if shown.is_attached() {
        shown.detach()?;
    }
    shown.end(site)?;
    Ok(format!("{rounds} rounds, {} looks saw a page, {} nothing", seen.into_inner(), looks.into_inner()))
}

/// What others than the one whose turn it is have seen.
#[derive(Default)]
pub(super) struct Sums {
    views: AtomicU64,
    /// Pages that were theirs and in the view.
    seen: AtomicU64,
    /// That were theirs while there was no view.
    unseen: AtomicU64,
    /// That a fault of the program gave.
    given: AtomicU64,
    /// Stores that a read-only view refused.
    refused: AtomicU64,
}

fn views_come_and_go_while_pages_do(site: &Site) -> Told {
    let shown = Shown::new(site)?;
    let (over, sums, id) = (AtomicBool::new(false), Sums::default(), Mutex::new(None));
    let prepare = |_: &mut Player<'_>| {
        over.store(false, Ordering::Relaxed);
        Ok(())
    };
    let race = |player: &mut Player<'_>| {
        let rights = [ViewRights::ReadWrite, ViewRights::ReadOnly][player.round as usize / 2 % 2];
        if player.has_turn() {
            let done = (0..TIMES).try_for_each(|_| {
                *id.lock() = Some(shown.attach(rights, FaultPolicy::Lazy)?);
                pause(player.random.below(120));
                shown.detach()?;
                sums.views.fetch_add(1, Ordering::Relaxed);
                pause(player.random.below(30));
                Ok(())
            });
            over.store(true, Ordering::Release);
            return done;
        }
        while !over.load(Ordering::Acquire) {
            own_a_page(player, &shown, rights, &id, &sums)?;
        }
        Ok(())
    };
    let tidy = |_: &mut Player<'_>| {
        shown.arena.reclaim();
        shown.arena.validate()?;
        equal("pages between rounds", shown.arena.stats().claimed_pages, 0)
    };
    let met = || sums.seen.load(Ordering::Relaxed) > 0 && sums.given.load(Ordering::Relaxed) > 0;
    let rounds = site.play((12, 120), &met, &[One(&prepare), All(&race), One(&tidy)])?;
    shown.end(site)?;
    let [views, seen, unseen, given, refused] =
        [sums.views, sums.seen, sums.unseen, sums.given, sums.refused].map(AtomicU64::into_inner);
    Ok(format!(
        "{rounds} rounds, {views} views, {seen} own pages seen in one, {unseen} not, {given} given, {refused} stores refused"
    ))
}

/// A page that only this CPU allocates: as long as it is there, the view shows it or is gone; when it was freed, it never does.
pub(super) fn own_a_page(
    player: &mut Player<'_>,
    shown: &Shown,
    rights: ViewRights,
    id: &Mutex<Option<ViewId>>,
    sums: &Sums,
) -> Checked {
    let number = shown.first() + player.number * OWN + player.random.below(OWN);
    let address = BASE + page(number);
    let faults = player.random.one_in(4);
    if faults {
        let Some(view) = *id.lock() else { return Ok(()) };
        let address = ProgramAddr::new(address + 8);
        let fault = ProgramFault { address, access: ProgramAccess::Read, instruction: InstructionAddr::new(0) };
        match shown.arena.handle_program_fault(view, &fault) {
            ProgramFaultOutcome::PageGiven => _ = sums.given.fetch_add(1, Ordering::Relaxed),
            // The view is gone, or the page is still in another CPU's `reclaim`.
            ProgramFaultOutcome::NotOurs | ProgramFaultOutcome::Retry => return Ok(()),
            ProgramFaultOutcome::Refused(reason) => {
                return Err(Failure::new(format!("a program was refused its page: {reason}")));
            }
        }
    } else {
        match shown.arena.alloc_for_program(address, 1, Context::Any) {
            Ok(_) => {}
            // It is still in another CPU's `reclaim`.
            Err(AllocError::Busy(_) | AllocError::Taken { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let stamp = address | u64::from(player.random.below(1 << 10)) << 48 | 1;
    shown.stamp(number, stamp)?;
    match see(page(number)) {
        Some(seen) => {
            equal("what the view shows of a page that is mine", seen, stamp)?;
            sums.seen.fetch_add(1, Ordering::Relaxed);
        }
        None => _ = sums.unseen.fetch_add(1, Ordering::Relaxed),
    }
    // SAFETY: as in `see`.
    if unsafe { write_as_user(address + 16, stamp) } {
        holds("a read-only view is written", rights == ViewRights::ReadWrite)?;
    } else if rights == ViewRights::ReadOnly {
        sums.refused.fetch_add(1, Ordering::Relaxed);
    }
    if player.random.one_in(4) {
        shown.arena.free_for_program(address, 1, Context::Any)?;
        shown.arena.reclaim();
        return Ok(());
    }
    shown.arena.free_for_program(address, 1, Context::MayWait)?;
    equal("what the view shows of a page that was freed", see(page(number)), None)
}
