//! Programs in user mode in heavy weather: each CPU has a process, in which a hostile program asks for pages of one arena, frees any,
//! and writes wherever it likes in its view of it, which others take away meanwhile. Timers' handlers interrupt it as they do the kernel.
//!
//! The kernel has pages there, too, whose words no program can change. Each wrong free is a violation, each page given and each
//! access refused is counted.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use guests::abi::{FREE, REFUSED, does};
use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, ViewRights};
use kernel_arena::{AllocError, AllocRequest, Context, FreeError, Owner, PageCount, PageIndex, SlotState, WINDOW_SIZE};
use process::{Attached, BASE, Code, Ended, Process, Served, Witness, detach};
use spin::Mutex;
use support::{FaultFrame, Machine, Random};

use super::Deeds;
use crate::bench::KernelArena;
use crate::check::{Checked, Failure, equal, holds};
use crate::races::Told;
use crate::site::{address_in, page, pages, read_in, write_in};
use crate::tally::{Event, count};

/// Into how many parts pages fall that programs lose at once.
const PARTS: u32 = 8;
/// Things that a program does in a run, at most.
const THINGS: u64 = 16;

/// A process, and its view.
struct Seat {
    process: Process,
    /// For whoever attaches it or takes it away.
    view: Mutex<Option<Attached>>,
}

/// All processes, one for each CPU.
pub(super) struct Users<'a> {
    arena: &'a KernelArena,
    seats: Vec<Seat>,
    runs: AtomicU64,
    views: AtomicU64,
    given: AtomicU64,
    refused: AtomicU64,
    wrong_frees: AtomicU64,
}

/// Counts what a program came to, in the kernel's books and in those of all programs.
struct Counting<'u, 'a>(&'u Users<'a>);

impl Witness for Counting<'_, '_> {
    fn called(&mut self, number: u64, _arguments: [u64; 4], answer: u64) {
        // Without a view it is no call of the arena's.
        if number == FREE && answer & REFUSED != 0 && answer != Code::NoSuchCall.answer() {
            Deeds::add(&self.0.wrong_frees);
            count(Event::InvalidFree);
        }
    }

    fn faulting(&mut self, frame: &FaultFrame) {
        if frame.is_counted() {
            count(Event::Program);
        }
    }

    fn faulted(&mut self, _address: u64, outcome: ProgramFaultOutcome) {
        match outcome {
            ProgramFaultOutcome::PageGiven => Deeds::add(&self.0.given),
            ProgramFaultOutcome::Refused(_) => Deeds::add(&self.0.refused),
            ProgramFaultOutcome::Retry | ProgramFaultOutcome::NotOurs => {}
        }
    }
}

impl<'a> Users<'a> {
    pub(super) fn new(machine: &Machine, arena: &'a KernelArena) -> Result<Self, Failure> {
        let seat = |_| Ok(Seat { process: Process::new(machine)?, view: Mutex::new(None) });
        let seats = (0..machine.cpu_count()).map(seat).collect::<Result<_, Failure>>()?;
        let [runs, views, given, refused, wrong_frees] = [const { AtomicU64::new(0) }; 5];
        Ok(Self { arena, seats, runs, views, given, refused, wrong_frees })
    }

    /// A view comes, or goes, of any process, wherever its program is.
    pub(super) fn come_or_go(&self, random: &mut Random) -> Checked {
        let Seat { process, view } = &self.seats[random.index(self.seats.len())];
        let Some(mut view) = view.try_lock() else { return Ok(()) };
        // It stays longer than it is away.
        if view.is_some() && random.one_in(2) {
            return Ok(());
        }
        if let Some(attached) = view.take() {
            detach(self.arena, attached)?;
            // As when a process ends: some of what programs have goes.
            return self.free_theirs(random.below(PARTS));
        }
        let rights = if random.one_in(4) { ViewRights::ReadOnly } else { ViewRights::ReadWrite };
        let policy = if random.one_in(4) { FaultPolicy::Segv } else { FaultPolicy::Lazy };
        *view = Some(process.attach(self.arena, BASE, rights, policy)?);
        Deeds::add(&self.views);
        Ok(())
    }

    /// Has pages back that are queued, or hold scratch.
    pub(super) fn reclaim(&self) {
        count(Event::Operation);
        self.arena.reclaim();
    }

    /// Runs this CPU's program until it ends, however that comes.
    pub(super) fn run(&self, cpu: u32, random: &mut Random) -> Checked {
        let Seat { process, view } = &self.seats[cpu as usize];
        let seen = || view.try_lock().map(|view| view.as_ref().map(|view| (view.id(), view.base())));
        let Some(view) = seen() else { return Ok(()) };
        Deeds::add(&self.runs);
        let context = if random.one_in(2) { Context::Any } else { Context::MayWait };
        let served = Served { arena: self.arena, space: process.space(), view };
        let mut thread = process.thread(does::WORST, [random.bits(), BASE, 1 + random.bits() % THINGS]);
        loop {
            match served.run_in(context, &mut thread, &mut Counting(self)) {
                Ended::Interrupted | Ended::Told(_) => {}
                Ended::Exit(value) => return equal("what a program ended with", value, 0),
                // An address that is none, to the processor.
                Ended::Exception => return Ok(()),
                Ended::Refused(Refusal::NoFrame | Refusal::Busy | Refusal::Unreachable, at) => {
                    return Err(Failure::new(format!("a program's access at {at:#x} was not answered")));
                }
                Ended::Refused(..) => return Ok(()),
                Ended::Wild(frame) => {
                    let in_view = (BASE..BASE + WINDOW_SIZE).contains(&frame.address);
                    // Another CPU may have taken the view away.
                    let is_there = view.is_some() && seen() == Some(view);
                    return holds("a fault in a view that is there is somebody's", !(in_view && is_there));
                }
            }
        }
    }

    /// Frees what programs have of one part of the pages; they may be faster.
    fn free_theirs(&self, part: u32) -> Checked {
        for number in self.arena.layout().extent().pages().filter(|number| number.number() % PARTS == part) {
            let is_theirs = matches!(
                self.arena.page_state(number),
                Some(
                    SlotState::Mapped(_, Owner::Program)
                        | SlotState::Reserved(Owner::Program)
                        | SlotState::ScratchOverReserved(Owner::Program)
                )
            );
            if is_theirs {
                let at = number.to_ptr().ok_or_else(|| Failure::new("page 0"))?;
                count(Event::Operation);
                match self.arena.free_pages(at, PageCount::ONE, Owner::Program) {
                    Ok(()) => {}
                    Err(FreeError::NotAllocated { .. } | FreeError::NotOwner { .. } | FreeError::Raced { .. }) => {
                        count(Event::InvalidFree)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// All views go, and all that programs have. Tells what was done.
    pub(super) fn end(self) -> Told {
        for seat in &self.seats {
            if let Some(view) = seat.view.lock().take() {
                detach(self.arena, view)?;
            }
        }
        (0..PARTS).try_for_each(|part| self.free_theirs(part))?;
        let sums = [self.runs, self.views, self.given, self.refused, self.wrong_frees].map(AtomicU64::into_inner);
        let [runs, views, given, refused, wrong_frees] = sums;
        let stats = self.arena.stats();
        equal("pages given to programs", stats.pages_given, given)?;
        equal("accesses of programs refused", stats.refused_accesses, refused)?;
        Ok(format!(
            "{runs} runs in user mode, {views} views, {given} pages given, {refused} accesses refused, {wrong_frees} wrong frees"
        ))
    }
}

/// A page of the kernel's among those of the programs.
#[derive(Debug)]
pub(super) struct Guarded {
    page: PageIndex,
    mark: u64,
}

impl Guarded {
    /// Takes one and writes all of it, if there is one.
    pub(super) fn take(users: &Users<'_>, random: &mut Random) -> Result<Option<Self>, Failure> {
        count(Event::Operation);
        let page = match users.arena.alloc_pages(AllocRequest::new(pages(1), Owner::Kernel)) {
            Ok(got) => got.first(),
            Err(AllocError::NoSpace(_) | AllocError::Busy(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let guarded = Self { page, mark: random.bits() };
        guarded.each_word(users, |at, word| {
            equal("a word of a page that the kernel was given", read_in(at), Some(0))?;
            holds("it is written", write_in(at, word))
        })?;
        Ok(Some(guarded))
    }

    /// Gives it back, if nobody has written there.
    pub(super) fn give(self, users: &Users<'_>, random: &mut Random) -> Checked {
        self.each_word(users, |at, word| equal("a word of the kernel's", read_in(at), Some(word)))?;
        let at = self.page.to_ptr().ok_or_else(|| Failure::new("page 0"))?;
        count(Event::Operation);
        match random.one_in(2) {
            true => users.arena.free_pages(at, PageCount::ONE, Owner::Kernel)?,
            false => users.arena.free_pages_deferred(at, PageCount::ONE, Owner::Kernel)?,
        }
        Ok(())
    }

    fn each_word(&self, users: &Users<'_>, each: impl Fn(kernel_arena::KernelAddr, u64) -> Checked) -> Checked {
        let start = page(self.page.number());
        (0..page(1)).step_by(8).try_for_each(|place| each(address_in(users.arena, start + place), self.mark ^ place))
    }
}

/// A wild read of the kernel's where programs have pages, or nobody.
pub(super) fn wild(users: &Users<'_>, random: &mut Random) -> Checked {
    let extent = users.arena.layout().extent();
    let number = extent.first().number() + random.below(extent.count().get());
    holds("a wild read of programs' pages is let go on", read_in(address_in(users.arena, page(number))).is_some())
}
