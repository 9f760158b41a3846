//! The check that slots and maps agree, for an arena at rest.

use core::fmt;

use crate::addr::WINDOW_PAGES;
use crate::arch::Arch;
use crate::arena::Arena;
use crate::pages::REGIONS;
use crate::platform::Platform;
use crate::slot::SlotState;
use crate::sync::Ordering;
use crate::tables::{Tables, upper_entries};

/// What [`Arena::validate`] found. A page of the upper guard is numbered on from the window's end, 2^20.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidateError {
    /// A lent upper entry does not hold what the arena put there. A mapper that maps a page of user mode somewhere
    /// below the same entry sets bits in it: map nothing in [`recoverable`](crate::ArenaLayout::recoverable), and put
    /// the entry back as it was.
    UpperEntry {
        /// Which: 0 to 3 are the window's, lowest address first, 4 is the guard's.
        entry: u32,
        /// The bits that differ.
        changed: u64,
    },
    /// A directory entry does not hold what the arena put there; the number of its region.
    DirectoryEntry {
        /// The region, counted in leaf tables from the window's start.
        region: u32,
    },
    /// A slot holds a word that the arena does not write: something else is mapped there. Unmap it, flush it, and `reclaim`.
    ForeignWord {
        /// The page.
        page: u32,
    },
    /// A page is allocated, reserved or queued, but its number is not claimed.
    NotClaimed {
        /// The page.
        page: u32,
    },
    /// A number is claimed, but its slot is nobody's: the page is lost.
    Lost {
        /// The page.
        page: u32,
    },
    /// A slot holds the scratch page, but is not marked, or its mark is not counted.
    NotMarked {
        /// The page.
        page: u32,
    },
    /// A page is deferred but not queued, or queued but not deferred.
    QueueDisagrees {
        /// The page.
        page: u32,
    },
    /// A page is set aside because of a foreign word that has gone since: `reclaim` makes it the arena's again.
    SetAside {
        /// The page.
        page: u32,
    },
    /// A slot outside the extent holds something else than the scratch page.
    OutsideExtent {
        /// The page.
        page: u32,
    },
}

impl fmt::Display for ValidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpperEntry { entry, changed } => {
                write!(f, "bits {changed:#x} of lent entry {entry} were changed: map nothing in the window")
            }
            Self::DirectoryEntry { region } => {
                write!(f, "the directory entry of region {region} was changed")
            }
            Self::ForeignWord { page } => {
                write!(f, "the slot of page {page} holds a foreign word: unmap what is there, then `reclaim`")
            }
            Self::NotClaimed { page } => write!(f, "page {page} is in use but not claimed"),
            Self::Lost { page } => write!(f, "page {page} is claimed but nobody's"),
            Self::NotMarked { page } => {
                write!(f, "page {page} holds the scratch page without a mark")
            }
            Self::QueueDisagrees { page } => {
                write!(f, "page {page} and the queue of deferred frees disagree")
            }
            Self::SetAside { page } => {
                write!(f, "page {page} held a foreign word, which is gone: reclaim makes it the arena's again")
            }
            Self::OutsideExtent { page } => write!(f, "page {page}, outside the extent, is in use"),
        }
    }
}

impl core::error::Error for ValidateError {}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Checks every slot against the maps. To be called at rest: while other operations run, it may report what is merely in
    /// passing. Context: *any*.
    ///
    /// # Errors
    /// The first disagreement.
    pub fn validate(&self) -> Result<(), ValidateError> {
        self.validate_tables()?;
        for page in self.tables.built() {
            self.validate_page(page)?;
        }
        for number in 0..Tables::<A>::LEAF_PAGES {
            self.validate_guard(number)?;
        }
        Ok(())
    }

    fn validate_tables(&self) -> Result<(), ValidateError> {
        for ((number, entry), word) in (0..).zip(upper_entries(&self.platform)).zip(self.tables.upper_words()) {
            let changed = A::load(entry) ^ word;
            if changed != 0 {
                return Err(ValidateError::UpperEntry { entry: number, changed });
            }
        }
        (0..REGIONS).try_for_each(|region| self.validate_region(region))
    }

    fn validate_region(&self, region: u32) -> Result<(), ValidateError> {
        let Some(entry) = self.tables.region_entry(&self.platform, region) else {
            return Ok(());
        };
        let word = A::load(entry);
        let link = self.tables.scratch_link();
        let right = if self.tables.built().contains(&(region * Tables::<A>::LEAF_PAGES)) {
            self.tables.is_leaf_link(word)
        } else {
            word == 0 || word == link && self.maps.tainted.is_region_marked(region, Ordering::Acquire)
        };
        if right { Ok(()) } else { Err(ValidateError::DirectoryEntry { region }) }
    }

    fn validate_page(&self, page: u32) -> Result<(), ValidateError> {
        let bit = self.maps.bit_of(page);
        let state = self.state(page);
        let marked = self.maps.tainted.is_marked(bit, Ordering::Acquire);
        if !self.maps.in_extent(bit) {
            return check_scratch_only(state, marked, page);
        }
        if let SlotState::Foreign(_) = state {
            return Err(ValidateError::ForeignWord { page });
        }
        let claimed = self.maps.is_claimed(page);
        let queued = self.maps.deferred.pages().bits().test(bit, Ordering::Acquire);
        if queued != matches!(state, SlotState::Deferred(..)) {
            let untouched = matches!(state, SlotState::Vacant | SlotState::Vacated(_) | SlotState::Scratch);
            let set_aside = queued && claimed && untouched;
            return Err(if set_aside {
                ValidateError::SetAside { page }
            } else {
                ValidateError::QueueDisagrees { page }
            });
        }
        match state {
            SlotState::Scratch | SlotState::ScratchOverReserved(_) if !marked => Err(ValidateError::NotMarked { page }),
            SlotState::Vacant | SlotState::Vacated(_) | SlotState::Scratch if claimed => {
                Err(ValidateError::Lost { page })
            }
            SlotState::Vacant | SlotState::Vacated(_) | SlotState::Scratch => Ok(()),
            _ if !claimed => Err(ValidateError::NotClaimed { page }),
            _ => Ok(()),
        }
    }

    fn validate_guard(&self, number: u32) -> Result<(), ValidateError> {
        let Some(slot) = self.tables.guard_slot(&self.platform, number) else {
            return Ok(());
        };
        let marked = self.maps.tainted.is_marked(self.maps.guard_bit(number), Ordering::Acquire);
        check_scratch_only(self.state_of(A::load(slot)), marked, WINDOW_PAGES + number)
    }
}

/// A slot that is never allocated.
fn check_scratch_only(state: SlotState, marked: bool, page: u32) -> Result<(), ValidateError> {
    match state {
        SlotState::Vacant => Ok(()),
        SlotState::Scratch if marked => Ok(()),
        SlotState::Scratch => Err(ValidateError::NotMarked { page }),
        _ => Err(ValidateError::OutsideExtent { page }),
    }
}
