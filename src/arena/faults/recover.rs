//! The fault path: the one part that may interrupt any other, at any instruction.
//!
//! It takes no lock, allocates nothing, logs nothing, never panics and does a bounded amount of work (I4): it looks at
//! one word, twice at most, tries one compare-exchange, sets one mark and writes one record. If it loses the exchange, the
//! instruction runs again and faults again if it must.
//!
//! [`Arena::recover`] has what nearly always is the case; all else is in functions of their own that it ends with, so that it keeps
//! no register for them.
//!
//! It claims nothing, for the claim may be held by what it interrupted. That is safe because it changes only slots that have
//! no translation, and only to the scratch page (S1), which every claimer expects to find.

use super::rows::{self, FaultRow, STUCK};
use crate::addr::{GUARD_SIZE, KernelAddr, PAGE_SHIFT, WINDOW_PAGES, WINDOW_SIZE};
use crate::arch::Arch;
use crate::arena::Arena;
use crate::arena::life::reach;
use crate::arena::slots::transition::scratched;
use crate::fault::{Access, Fault, FaultOutcome, InstructionAddr};
use crate::layout::Sharing;
use crate::platform::{CpuId, FlushScope, Platform};
use crate::slot::{SlotCodec, SlotState};
use crate::sync::{AtomicU64, Ordering};
use crate::tables::Tables;

/// Where a fault is recovered.
pub(in crate::arena) enum Place<'a> {
    /// A slot; its bit in `tainted`; its page, numbered on into the guard.
    Slot(&'a AtomicU64, u32, u32),
    /// The directory entry of a region without a leaf table of its own; its number.
    Region(&'a AtomicU64, u32),
}

/// Why nothing was installed.
enum Missed {
    /// The word is present already.
    Present,
    /// Somebody else changed the word first.
    Lost,
    /// The word is not one of this crate's.
    Foreign,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Recovers a data access of the kernel to an address of the window or the upper guard that has no page: the scratch page
    /// is put there and a violation recorded. The kernel's page-fault handler calls it first, and returns to the instruction
    /// unless the outcome is [`FaultOutcome::NotOurs`], or [`FaultOutcome::Resume`], which says where to instead.
    ///
    /// Context: *any*, an NMI during any other operation included.
    ///
    /// # Kernels that map pages on demand
    /// Their handler asks the arena first, and never maps anything into [`ArenaLayout::recoverable`], window and upper guard:
    /// ```
    /// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
    /// # use kernel::{LAYOUT, MyKernel};
    /// # use kernel_arena::{Arena, arch::x86_64::decode_fault};
    /// # fn map_a_page_of_the_kernels(_address: u64) -> bool { true }
    /// # static ARENAS: kernel_arena::Registry<MyKernel, 1> = kernel_arena::Registry::new();
    /// /// Whether to return, to the saved instruction pointer.
    /// fn page_fault(address: u64, error_code: u64, rip: &mut u64) -> bool {
    ///     let fault = decode_fault(address, error_code, *rip);
    ///     fault.is_some_and(|fault| ARENAS.handle_kernel_fault(&fault).returns_to(rip))
    ///         || !LAYOUT.recoverable().contains(kernel_arena::VirtAddr::new(address)) && map_a_page_of_the_kernels(address)
    /// }
    /// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    /// # let arena = Box::leak(Box::new(Arena::<MyKernel>::new(MyKernel::boot(), LAYOUT, metadata).unwrap()));
    /// # let _for_ever = ARENAS.register_static(arena).unwrap();
    /// # let base = LAYOUT.base().value();
    /// # assert!(page_fault(base + 0x1000, 0, &mut 0), "recovered");
    /// # assert!(!page_fault(base + 0x1000, 1, &mut 0), "a protection fault in the window");
    /// # assert!(page_fault(base - 0x10_0000, 0, &mut 0), "the kernel's own");
    /// ```
    ///
    /// A page that is mapped there all the same stays as it is, and is nobody's to allocate: where one was named,
    /// errors name it (`Foreign`), [`validate`](Self::validate) finds it (`ForeignWord`), and a fault on it is
    /// `Spurious` if it has a translation, as if an allocation had been faster, else `NotOurs`. When it is unmapped and
    /// flushed, the next [`reclaim`](Self::reclaim) makes it the arena's again.
    ///
    /// [`ArenaLayout::recoverable`]: crate::ArenaLayout::recoverable
    #[inline]
    pub fn handle_kernel_fault(&self, fault: &Fault) -> FaultOutcome {
        self.recover_called(fault.address, fault.access, fault.instruction)
    }

    /// The same, told the parts of the fault, which fit registers.
    #[inline(never)]
    fn recover_called(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        self.recover(address, access, instruction)
    }

    /// What nearly always is: a slot of the extent's leaf tables with nothing in it. Whatever else there may be is elsewhere, out of
    /// its way.
    #[inline(always)]
    pub(crate) fn recover(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        if A::may_stop(instruction) {
            return self.stop_or_recover(address, access, instruction);
        }
        let number = self.tables.number_of(address);
        let Some(slot) = self.tables.numbered_slot(&self.platform, number) else {
            return self.recover_elsewhere(address, access, instruction);
        };
        let Some(word) = SlotCodec::<A>::scratched_at_once(A::load(slot)) else {
            return self.recover_elsewhere(address, access, instruction);
        };
        // Not before: of a fault that is not the arena's, nobody is asked where it is. A kernel has such faults before it can
        // tell its CPUs apart.
        let cpu = self.cpu();
        if A::try_install(slot, word, self.codec.scratch()).is_err() {
            return self.lost(cpu);
        }
        A::publish();
        let bit = self.numbered_bit(number);
        if self.maps.tainted.mark_page_unnoted(bit) {
            return self.note_and_record(address, access, instruction, bit);
        }
        self.recovered(&Fault { address, access, instruction }, cpu)
    }

    /// The scratch page is there, and marked, but where the mark is has to be noted. What there is more of than of a fault comes
    /// last: the others stay in their registers.
    #[cold]
    #[inline(never)]
    fn note_and_record(
        &self,
        address: KernelAddr,
        access: Access,
        instruction: InstructionAddr,
        bit: u32,
    ) -> FaultOutcome {
        self.maps.tainted.note_page(bit);
        self.recovered(&Fault { address, access, instruction }, self.cpu())
    }

    /// The bit of a page of the extent's leaf tables, by its number among them.
    #[inline(always)]
    fn numbered_bit(&self, number: u64) -> u32 {
        let number = (number & 0xffff_ffff) as u32;
        if Tables::<A>::BITS_ARE_NUMBERS { number } else { self.maps.bit_of(self.tables.built().start + number) }
    }

    /// A fault of what may be an access that stops where there is no page.
    #[cold]
    #[inline(never)]
    fn stop_or_recover(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        match A::resume_point(instruction) {
            // In a private arena it is the kernel's side of a copy that has no page: that is wild, as any other access of the
            // kernel's, and no hole of what it copies.
            Some(to) if self.layout.sharing() == Sharing::Shared => {
                self.stop(to, &Fault { address, access, instruction }, self.offset_of(address))
            }
            _ => self.recover_elsewhere(address, access, instruction),
        }
    }

    /// Wherever it is, and whatever is there.
    #[cold]
    #[inline(never)]
    fn recover_elsewhere(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        let (fault, offset) = (&Fault { address, access, instruction }, self.offset_of(address));
        let (slot, bit, page) = match self.place(offset) {
            Some(Place::Slot(slot, bit, page)) => (slot, bit, page),
            Some(Place::Region(entry, region)) => return self.scratch_region(entry, region, fault, offset),
            None => return FaultOutcome::NotOurs,
        };
        let cpu = self.cpu();
        match self.scratch_slot(slot, page) {
            Ok(()) => {
                self.maps.tainted.mark_page(bit);
                self.recovered(fault, cpu)
            }
            Err(missed) => self.missed(missed, fault, offset, cpu),
        }
    }

    /// How far an address is from the window's start.
    const fn offset_of(&self, address: KernelAddr) -> u64 {
        address.value().wrapping_sub(self.layout.base().value())
    }

    /// The scratch page is there, and marked.
    #[inline]
    fn recovered(&self, fault: &Fault, cpu: Option<CpuId>) -> FaultOutcome {
        let words = self.cpus.of(cpu);
        FaultRow::on(words).end();
        self.record_here(fault.into(), cpu, words);
        FaultOutcome::Recovered
    }

    #[cold]
    fn missed(&self, missed: Missed, fault: &Fault, offset: u64, cpu: Option<CpuId>) -> FaultOutcome {
        match missed {
            Missed::Present => self.spurious(fault, offset, cpu),
            Missed::Lost => self.lost(cpu),
            Missed::Foreign => FaultOutcome::NotOurs,
        }
    }

    #[cold]
    #[inline(never)]
    fn lost(&self, cpu: Option<CpuId>) -> FaultOutcome {
        self.shared.0.counters.lost_installs.fetch_add(1, Ordering::Relaxed);
        self.row(cpu).end();
        A::observe();
        FaultOutcome::Spurious
    }

    /// The word that decides over an offset from the window's start; `None` if it is not ours.
    pub(in crate::arena) fn place(&self, offset: u64) -> Option<Place<'_>> {
        let page = u32::try_from(offset >> PAGE_SHIFT).ok()?;
        match self.tables.slot(&self.platform, page) {
            Some(slot) => Some(Place::Slot(slot, self.maps.bit_of(page), page)),
            None => self.place_beside(offset),
        }
    }

    /// The same, beside the tables that the extent touches.
    #[cold]
    fn place_beside(&self, offset: u64) -> Option<Place<'_>> {
        if offset >= WINDOW_SIZE + GUARD_SIZE {
            return None;
        }
        let page = (offset >> PAGE_SHIFT & 0xffff_ffff) as u32;
        if page >= WINDOW_PAGES {
            let number = page - WINDOW_PAGES;
            let slot = self.tables.guard_slot(&self.platform, number)?;
            return Some(Place::Slot(slot, self.maps.guard_bit(number), page));
        }
        let (entry, region) = self.tables.region_of(&self.platform, page)?;
        Some(Place::Region(entry, region))
    }

    /// S1: one attempt.
    #[inline]
    fn scratch_slot(&self, slot: &AtomicU64, page: u32) -> Result<(), Missed> {
        let word = A::load(slot);
        let seen = self.codec.decode(word);
        let to = scratched(seen).ok_or(if seen.is_present() { Missed::Present } else { Missed::Foreign })?;
        if A::BREAK_BEFORE_MAKE && matches!(seen, SlotState::Vacated(_)) {
            self.flush_vacated(page);
        }
        A::try_install(slot, word, self.codec.encode(to)).map_err(|_| Missed::Lost)?;
        A::publish();
        Ok(())
    }

    /// The old translation of a vacated page may still be remembered somewhere, and is flushed before another takes its place
    /// (I1); the tag makes sure that the exchange that follows fails if the slot was used again meanwhile.
    #[cold]
    fn flush_vacated(&self, page: u32) {
        A::observe();
        self.flush(&[self.page_addresses(page, 1)], FlushScope::Leaves);
    }

    /// Links the scratch table over a region: one attempt.
    #[cold]
    fn scratch_region(&self, entry: &AtomicU64, region: u32, fault: &Fault, offset: u64) -> FaultOutcome {
        let cpu = self.cpu();
        match self.link_scratch(entry) {
            Ok(()) => {
                self.maps.tainted.mark_region(region);
                self.recovered(fault, cpu)
            }
            Err(missed) => self.missed(missed, fault, offset, cpu),
        }
    }

    fn link_scratch(&self, entry: &AtomicU64) -> Result<(), Missed> {
        let link = self.tables.scratch_link();
        match A::load(entry) {
            0 => {
                A::try_install(entry, 0, link).map_err(|_| Missed::Lost)?;
                A::publish();
                Ok(())
            }
            word if self.tables.is_scratch_link(word) => Err(Missed::Present),
            _ => Err(Missed::Foreign),
        }
    }

    /// The faults in a row on a CPU.
    pub(in crate::arena) fn row(&self, cpu: Option<CpuId>) -> FaultRow<'_> {
        FaultRow::on(self.cpus.of(cpu))
    }

    /// A fault that found its slot present. Under a root that does not lead to the slot it would come for ever.
    pub(in crate::arena) fn spurious(&self, fault: &Fault, offset: u64, cpu: Option<CpuId>) -> FaultOutcome {
        self.shared.0.counters.spurious.fetch_add(1, Ordering::Relaxed);
        let length = self.row(cpu).count(offset);
        // Most often somebody was faster, and the fault does not come again.
        if !A::FAULTS_TELL_LEVELS
            && rows::is_looked_into(self.cpus.named(cpu).is_some(), length)
            && reach::is_cut_off::<A>(fault.address, offset, &self.platform)
        {
            self.row(cpu).end();
            return FaultOutcome::NotOurs;
        }
        if length >= STUCK {
            return FaultOutcome::NotOurs;
        }
        A::observe();
        FaultOutcome::Spurious
    }
}
