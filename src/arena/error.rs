//! What an operation refuses, one type an operation, and what the caller can do about it.

use core::fmt;

use crate::addr::{PageCount, PageIndex};
use crate::arch::UnsupportedCpu;
use crate::slot::Owner;

/// Pages that [`Arena::reclaim`](crate::Arena::reclaim) would bring back, as counted when the error was made.
///
/// So that a refusal is cheap, no more than 64 groups of 64 pages that have any are counted: where there are more, these are
/// lower bounds, of at least 64.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimable {
    /// Pages queued by a deferred free, and those that were set aside because of a foreign word.
    pub deferred: u32,
    /// Free pages whose slot may hold the scratch page.
    pub tainted: u32,
    /// The page in whose slot a word that is not the arena's was last found, if that word has not gone: something is mapped
    /// there. Nobody gets such a page until the word is cleared, and `reclaim` has seen it.
    pub foreign: Option<PageIndex>,
}

impl fmt::Display for Reclaimable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reclaim would bring back {} deferred and {} tainted pages", self.deferred, self.tainted)?;
        match self.foreign {
            Some(page) => write!(f, "; page {} holds a word that is not the arena's: clear it first", page.number()),
            None => Ok(()),
        }
    }
}

/// Why no arena was created.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// This CPU is not set up as the arena needs it.
    UnsupportedCpu(UnsupportedCpu),
    /// The physical map asks for attribute bits that the arena gives a meaning itself: leave only memory type, shareability
    /// and encryption bits.
    AttributesNotAllowed,
    /// The extent reaches beyond what this format's tables cover (only a model's cover less than the window).
    ExtentNotCovered,
    /// The layout's base is not the address that the lent entries translate: make both the same.
    WrongBase,
    /// The machine may have more CPUs than the layout was made for: use
    /// [`ArenaLayout::with_cpus`](crate::ArenaLayout::with_cpus).
    MoreCpus,
    /// A lent upper entry is not vacant: lend entries that nothing else uses, and no other arena, not even one that is being
    /// created at the same time.
    UpperEntryInUse,
    /// Lend at least [`ArenaLayout::metadata_words`](crate::ArenaLayout::metadata_words).
    MetadataTooSmall,
    /// The frame source has fewer than [`ArenaLayout::table_frames`](crate::ArenaLayout::table_frames).
    OutOfFrames,
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedCpu(cpu) => return cpu.fmt(f),
            Self::AttributesNotAllowed => {
                "the physical map's attributes contain the arena's bits: leave memory type, shareability, encryption"
            }
            Self::ExtentNotCovered => "the extent reaches beyond what the tables cover: make it smaller",
            Self::WrongBase => {
                "the layout's base is not the address that the lent entries translate: make both the same"
            }
            Self::MoreCpus => "the machine may have more CPUs than the layout: `ArenaLayout::with_cpus`",
            Self::UpperEntryInUse => "a lent upper entry is not vacant: lend entries that nothing else uses",
            Self::MetadataTooSmall => "the metadata is too small: lend `ArenaLayout::metadata_words`",
            Self::OutOfFrames => "the frame source ran out: the tables take `ArenaLayout::table_frames`",
        })
    }
}

/// Why no pages were allocated. Nothing was changed, but for marks and pages that wait for `reclaim`.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocError {
    /// Zero pages: ask for at least one.
    ZeroPages,
    /// The alignment is not a power of two.
    BadAlignment,
    /// The pages were to be at an address that is not a page's first byte.
    Misaligned,
    /// The extent does not contain the pages that were named, or has no place for so many with that alignment, free or not.
    Outside,
    /// This page, of those named, is allocated, reserved or queued: free it, or `reclaim`, or name others.
    Taken {
        /// The first such page.
        page: PageIndex,
    },
    /// This page, of those named, was to be reserved, and is not (any more): reserve it first, or name others.
    NotReserved {
        /// The first such page.
        page: PageIndex,
    },
    /// This page, of those named, is reserved for another owner.
    NotOwner {
        /// The first such page.
        page: PageIndex,
        /// Whose it is.
        owner: Owner,
    },
    /// This page, of those named, holds the scratch page, and the context may not wait: `reclaim`, or ask from one that may.
    Tainted {
        /// The first such page.
        page: PageIndex,
    },
    /// This page, of those named, has a slot that the arena did not write: somebody maps something in the window, which nobody
    /// but the arena may. It was left as it is. Unmap it, flush it, and `reclaim`.
    Foreign {
        /// The first such page.
        page: PageIndex,
    },
    /// No run of that many pages is free; in [`Context::Any`](crate::Context::Any) pages that may hold the scratch page
    /// count as taken. Free some, or `reclaim`: pages whose free was deferred are no allocation's to take back, not even one's
    /// that may wait.
    NoSpace(Reclaimable),
    /// Pages in the middle of another operation are in the way, or were given back while the arena looked, or faults
    /// keep scratching those that were found: try again, or `reclaim`. In an arena of more than 512 pages nobody checks
    /// whether they would be enough.
    Busy(Reclaimable),
    /// The frame source has too few frames: free some.
    OutOfFrames,
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroPages => f.write_str("zero pages were asked for"),
            Self::Misaligned => f.write_str("the address is not that of a page's first byte"),
            Self::BadAlignment => f.write_str("the alignment is not a power of two"),
            Self::Outside => f.write_str("the extent does not contain that many pages there"),
            Self::Taken { page } => write!(f, "page {} is taken", page.number()),
            Self::NotReserved { page } => write!(f, "page {} is not reserved", page.number()),
            Self::NotOwner { page, owner } => write!(f, "page {} is reserved for {owner:?}", page.number()),
            Self::Tainted { page } => write!(f, "page {} holds the scratch page: reclaim first", page.number()),
            Self::Foreign { page } => foreign(f, *page),
            Self::NoSpace(pages) => write!(f, "no run of that many pages is free; {pages}"),
            Self::Busy(pages) => {
                write!(f, "pages in the middle of another operation are in the way, try again; {pages}")
            }
            Self::OutOfFrames => f.write_str("the frame source ran out"),
        }
    }
}

/// Why pages were not freed.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The address is not that of a page's first byte. Nothing was freed.
    Misaligned,
    /// Zero pages: name at least one. Nothing was freed.
    ZeroPages,
    /// The range is not in the extent. Nothing was freed.
    Outside,
    /// This page is neither allocated nor reserved (any more). Nothing was freed.
    NotAllocated {
        /// The first such page.
        page: PageIndex,
    },
    /// This page has another owner, or, on a private arena, is an allocator's, which no safe call frees. Nothing was freed.
    NotOwner {
        /// The first such page.
        page: PageIndex,
        /// Whose it is.
        owner: Owner,
    },
    /// The slot of this page holds a word that the arena did not write: somebody maps something in the window, which nobody but
    /// the arena may. Nothing was freed. What was there before is lost unless that word is put back.
    Foreign {
        /// The first such page.
        page: PageIndex,
    },
    /// Another free came between for some of the pages; the others were freed.
    Raced {
        /// How many pages this call freed.
        freed: PageCount,
    },
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the address is not that of a page's first byte"),
            Self::ZeroPages => f.write_str("zero pages were named"),
            Self::Outside => f.write_str("the range is not in the extent"),
            Self::NotAllocated { page } => write!(f, "page {} is not allocated", page.number()),
            Self::NotOwner { page, owner } => {
                write!(f, "page {} is owned by {owner:?}", page.number())
            }
            Self::Foreign { page } => foreign(f, *page),
            Self::Raced { freed } => write!(f, "another free came between: {} pages were freed here", freed.get()),
        }
    }
}

/// Why no pages were reserved. Nothing was changed.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// The address is not that of a page's first byte.
    Misaligned,
    /// Zero pages: name at least one.
    ZeroPages,
    /// The range is not in the extent.
    Outside,
    /// This page is allocated, reserved or queued: free it, or `reclaim`, or name others.
    Taken {
        /// The first such page.
        page: PageIndex,
    },
    /// This page is in the middle of somebody's operation: try again.
    Busy {
        /// The first such page.
        page: PageIndex,
    },
    /// The slot of this page holds a word that the arena did not write: somebody maps something in the window, which nobody but
    /// the arena may. It was left as it is. Unmap it, flush it, and `reclaim`.
    Foreign {
        /// The first such page.
        page: PageIndex,
    },
}

/// What all say of a page that somebody else has written to.
fn foreign(f: &mut fmt::Formatter<'_>, page: PageIndex) -> fmt::Result {
    let page = page.number();
    write!(f, "page {page} holds a word that is not the arena's: map nothing in the window; unmap it, then reclaim")
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => f.write_str("the address is not that of a page's first byte"),
            Self::ZeroPages => f.write_str("zero pages were named"),
            Self::Outside => f.write_str("the range is not in the extent"),
            Self::Taken { page } => write!(f, "page {} is taken", page.number()),
            Self::Busy { page } => write!(f, "page {} is in the middle of another operation, try again", page.number()),
            Self::Foreign { page } => foreign(f, *page),
        }
    }
}

impl core::error::Error for CreateError {}
impl core::error::Error for AllocError {}
impl core::error::Error for FreeError {}
impl core::error::Error for ReserveError {}
