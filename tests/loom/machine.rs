//! A machine of three CPUs, each with a TLB that forgets nothing until it is flushed, for the kernel view and for a program
//! view if there is one.
//!
//! An access looks into the TLB of its own CPU; on a miss it walks the arena's tables, by the same atomics that the arena
//! writes, and remembers the leaf. A CPU's lock makes translating and accessing one step as far as shootdowns are concerned,
//! as a processor's flush makes it. What the TLBs hold is invisible to loom, so that a check can look at all of them at any
//! moment without ordering anything. But then loom would not know either that it matters whether a TLB learns something
//! before or after others are flushed; so both touch the *tally*, Relaxed.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as PlainU64, Ordering::SeqCst};

use kernel_arena::arch::Arch;
use kernel_arena::arch::portable::Portable;
use kernel_arena::platform::{CpuId, CpuLevel, EntryAttributes, Frame};
use kernel_arena::sync::{AtomicU64, Ordering};
use kernel_arena::{AddressRange, PAGE_SIZE, PageIndex};
use loom::sync::Mutex;

use crate::frames::{Frames, Memory};
use crate::watched::Watched;

/// How many CPUs there are.
pub(crate) const CPUS: u16 = 3;
/// Where the window is.
pub(crate) const BASE: u64 = 0xffff_9000_0000_0000;
/// Where the program view is.
pub(crate) const VIEW_BASE: u64 = 0x70_0000_0000;
const WINDOW: u64 = (1 << 32) - 1;
/// Tables of two entries, so that four directories cover 16 pages.
pub(crate) type Small = Portable<1>;
const PAGES: u32 = 16;

loom::thread_local! {
    static CPU: Cell<u16> = Cell::new(0);
}

/// Runs `work` on a CPU.
pub(crate) fn on_cpu<R>(cpu: u16, work: impl FnOnce() -> R) -> R {
    let before = CPU.with(|current| current.replace(cpu));
    let done = work();
    CPU.with(|current| current.set(before));
    done
}

/// The CPU that this runs on.
pub(crate) fn current_cpu() -> u16 {
    CPU.with(Cell::get)
}

/// What the kernel lends in a model.
pub(crate) struct Machine {
    memory: Arc<Memory>,
    /// Where its window is.
    base: u64,
    frames: Frames,
    tlbs: [Tlb; CPUS as usize],
    /// The same for the program view. A lock of their own: what is flushed in the kernel view alone orders nothing of what a
    /// program does.
    program_tlbs: [Tlb; CPUS as usize],
    view: Arc<[AtomicU64; 4]>,
    tally: AtomicU64,
    upper: [AtomicU64; 5],
    /// Looked at whenever the fault path asks which CPU it is on: the arena must be alive then.
    alive: Watched,
}

struct Tlb {
    lock: Mutex<()>,
    /// The leaf that is remembered for each page; 0 for none.
    leaves: [PlainU64; PAGES as usize],
}

impl Tlb {
    /// Forgets what these ranges are of the view that begins at `base`.
    fn flush(&self, ranges: &[AddressRange], base: u64) {
        let first_page = |range: &AddressRange| range.start().value().wrapping_sub(base) / PAGE_SIZE;
        let pages = |range: &AddressRange| first_page(range)..first_page(range) + range.page_count();
        let _between_instructions = self.lock.lock().expect("not poisoned");
        for (page, leaf) in (0..).zip(&self.leaves) {
            if ranges.iter().any(|range| pages(range).contains(&page)) {
                leaf.store(0, SeqCst);
            }
        }
    }
}

/// What an access reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The scratch page.
    Scratch,
    /// A page with this content.
    Page(u64),
}

/// An access found no translation: the CPU raises a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing;

impl Machine {
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        Self::at(memory, BASE)
    }

    /// One whose window is here.
    pub(crate) fn at(memory: &Arc<Memory>, base: u64) -> Self {
        let tlb = || Tlb { lock: Mutex::new(()), leaves: [const { PlainU64::new(0) }; PAGES as usize] };
        Self {
            memory: Arc::clone(memory),
            base,
            frames: Frames::new(),
            tlbs: std::array::from_fn(|_| tlb()),
            program_tlbs: std::array::from_fn(|_| tlb()),
            view: Arc::new(std::array::from_fn(|_| AtomicU64::new(0))),
            tally: AtomicU64::new(0),
            upper: std::array::from_fn(|_| AtomicU64::new(0)),
            alive: Watched::new(true),
        }
    }

    /// Where the window is.
    pub(crate) const fn base(&self) -> u64 {
        self.base
    }

    /// Reads a page on this CPU.
    pub(crate) fn load(&self, page: PageIndex) -> Result<Reached, Missing> {
        self.access(page, None)
    }

    /// Writes a page on this CPU.
    pub(crate) fn store(&self, page: PageIndex, value: u64) -> Result<Reached, Missing> {
        self.access(page, Some(value))
    }

    /// Reads a page on this CPU as the program does.
    pub(crate) fn load_in_view(&self, page: PageIndex) -> Result<u64, Missing> {
        let tlb = &self.program_tlbs[usize::from(current_cpu())];
        match self.reach(page, None, tlb, self.view.as_slice()) {
            // What only the kernel may reach is a fault, but it is remembered.
            Ok(Reached::Page(value)) => Ok(value),
            Ok(Reached::Scratch) | Err(Missing) => Err(Missing),
        }
    }

    /// The entries that are lent for the program view.
    pub(crate) fn view(&self) -> Arc<[AtomicU64; 4]> {
        Arc::clone(&self.view)
    }

    fn access(&self, page: PageIndex, value: Option<u64>) -> Result<Reached, Missing> {
        let tlb = &self.tlbs[usize::from(current_cpu())];
        self.reach(page, value, tlb, &self.upper)
    }

    fn reach(&self, page: PageIndex, value: Option<u64>, tlb: &Tlb, upper: &[AtomicU64]) -> Result<Reached, Missing> {
        let _one_instruction = tlb.lock.lock().expect("not poisoned");
        let remembered = &tlb.leaves[page.number() as usize];
        if remembered.load(SeqCst) == 0 {
            let leaf = self.walk(upper, page).ok_or(Missing)?;
            self.tally.fetch_add(1, Ordering::Relaxed);
            remembered.store(leaf, SeqCst);
            self.assert_no_tlb_differs(page, leaf_frame(leaf).ok_or(Missing)?);
        }
        let Some(data) = self.frames.data(leaf_frame(remembered.load(SeqCst)).ok_or(Missing)?) else {
            return Ok(Reached::Scratch);
        };
        let reached = value.unwrap_or_else(|| data.load());
        if let Some(value) = value {
            data.store(value);
        }
        Ok(Reached::Page(reached))
    }

    /// Walks the tables from these entries on: the leaf, if every level is present. What is reached through an entry is
    /// ordered by an address dependency, here Acquire.
    fn walk(&self, upper: &[AtomicU64], page: PageIndex) -> Option<u64> {
        let (number, attributes) = (page.number(), EntryAttributes::default());
        let upper = upper[(number >> 2) as usize].load(Ordering::Acquire);
        let directory = Small::decode_table(upper, attributes)?;
        let entry = self.table(directory)[(number >> 1 & 1) as usize].load(Ordering::Acquire);
        let leaves = Small::decode_table(entry, attributes)?;
        let leaf = self.table(leaves)[(number & 1) as usize].load(Ordering::Acquire);
        leaf_frame(leaf).map(|_| leaf)
    }

    fn table(&self, frame: Frame) -> &[AtomicU64; 2] {
        assert!(self.frames.is_table(frame), "a walk reached a table that is free");
        let words: NonNull<[AtomicU64; 2]> = self.memory.bytes(frame).cast();
        // SAFETY: an entry led here, so the arena has built a table of two words in the frame, and frees it only once no
        // entry leads here and nobody walks any more.
        unsafe { words.as_ref() }
    }

    /// No TLB remembers a translation of `page` to anything but the frame that `page` is mapped to: checked by each new owner
    /// (I2), and whenever a TLB learns of it (I1).
    pub(crate) fn assert_no_tlb_differs(&self, page: PageIndex, mapped: Frame) {
        for remembered in self.leaves_of(page).filter_map(leaf_frame) {
            assert_eq!(remembered, mapped, "I1, I2: a TLB remembers what {page:?} was before");
        }
    }

    /// No TLB remembers a translation of `page`.
    pub(crate) fn assert_no_tlb_knows(&self, page: PageIndex) {
        assert!(self.leaves_of(page).all(|leaf| leaf == 0), "a TLB remembers {page:?}");
    }

    /// No TLB remembers anything of the program view.
    pub(crate) fn assert_the_view_is_forgotten(&self) {
        let leaves = self.program_tlbs.iter().flat_map(|tlb| &tlb.leaves);
        assert!(leaves.map(|leaf| leaf.load(SeqCst)).all(|leaf| leaf == 0), "a TLB remembers a view that is gone");
    }

    fn all_tlbs(&self) -> impl Iterator<Item = &Tlb> {
        self.tlbs.iter().chain(&self.program_tlbs)
    }

    fn leaves_of(&self, page: PageIndex) -> impl Iterator<Item = u64> + '_ {
        self.all_tlbs().map(move |tlb| tlb.leaves[page.number() as usize].load(SeqCst))
    }

    fn assert_no_tlb_reaches(&self, frame: Frame) {
        for leaf in self.all_tlbs().flat_map(|tlb| &tlb.leaves) {
            assert_ne!(leaf_frame(leaf.load(SeqCst)), Some(frame), "I5: a TLB reaches a frame that is free");
        }
    }

    /// The frame source's take.
    pub(crate) fn take_frame(&self) -> Option<Frame> {
        let frame = self.frames.take(current_cpu().into())?;
        self.assert_no_tlb_reaches(frame);
        Some(frame)
    }

    /// The frame source's free.
    pub(crate) fn give_back_frame(&self, frame: Frame) {
        self.assert_no_tlb_reaches(frame);
        self.frames.give_back(frame);
    }

    /// Has every CPU forget these addresses.
    pub(crate) fn flush(&self, ranges: &[AddressRange]) {
        self.tally.fetch_add(1, Ordering::Relaxed);
        self.tlbs.iter().for_each(|tlb| tlb.flush(ranges, self.base));
        if ranges.iter().any(|range| range.start().value() & !WINDOW == VIEW_BASE) {
            self.program_tlbs.iter().for_each(|tlb| tlb.flush(ranges, VIEW_BASE));
        }
    }

    /// Who asks. The fault path does, and then the arena must be alive.
    pub(crate) fn current_level(&self) -> CpuLevel {
        assert!(self.alive.get(), "an operation inside an arena that is gone");
        CpuLevel { cpu: CpuId::new(current_cpu()), level: 0 }
    }

    /// A frame's memory.
    pub(crate) fn bytes(&self, frame: Frame) -> NonNull<u8> {
        self.memory.bytes(frame)
    }

    /// The entries that are lent.
    pub(crate) fn upper(&self) -> &[AtomicU64; 5] {
        &self.upper
    }

    /// Says that the arena is gone: a fault in it from now on, or one that is not ordered before, is an error.
    pub(crate) fn bury(&self) {
        self.alive.set(false);
    }

    /// How many frames are out.
    pub(crate) fn frames_lent(&self) -> usize {
        self.frames.lent()
    }
}

fn leaf_frame(leaf: u64) -> Option<Frame> {
    Small::decode_leaf(leaf, EntryAttributes::default()).map(|leaf| leaf.frame)
}
