//! Creation: everything is checked and taken before anything is linked.

use core::fmt;
use core::mem::MaybeUninit;

use super::reach;
use crate::arch::Arch;
use crate::arena::alloc::Moved;
use crate::arena::slots::LastForeign;
use crate::arena::stats::Counters;
use crate::arena::{Arena, CreateError, Metadata, Shared};
use crate::layout::ArenaLayout;
use crate::metadata::MetadataWord;
use crate::metadata::Parts;
use crate::pages::{MapGeometry, PageMaps};
use crate::platform::{CpuIdentity, FlushScope, PhysMap, Platform, Shootdown, UpperSlots};
use crate::report;
use crate::sync::{AtomicU64, Line};
use crate::tables::{NotVacant, Tables, UPPER_ENTRIES};
use crate::views::ViewList;
use crate::violations::ViolationRing;

/// No arena was created: why, and all that was lent for it.
///
/// The error alone is had by `?`, where the caller returns a [`CreateError`], or as [`error`](Self::error).
pub struct CreateRefused<P> {
    /// What is missing.
    pub error: CreateError,
    /// The platform, as it was: every frame went back, and nothing is linked.
    pub platform: P,
    /// The metadata that was lent.
    pub metadata: &'static mut [MaybeUninit<MetadataWord>],
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Creates the arena: checks this CPU, takes [`ArenaLayout::table_frames`] frames for tables and the scratch page, and
    /// links the window into the lent entries. `metadata` has at least [`ArenaLayout::metadata_words`] words.
    ///
    /// Context: *may wait* (for a shootdown, if it gives up half-way), once, before the window is used. It zeroes
    /// tables, and calls the frame source and, by feature, the log. Other CPUs that will use the window call
    /// [`check_cpu`](Self::check_cpu).
    ///
    /// # Errors
    /// [`CreateRefused`] says what is missing and gives back what was lent; nothing is taken, nothing is linked.
    pub fn new(
        platform: P,
        layout: ArenaLayout,
        metadata: &'static mut [MaybeUninit<MetadataWord>],
    ) -> Result<Self, CreateRefused<P>> {
        let lent = Metadata::new(metadata);
        match build(&platform, &layout, &lent) {
            Ok((tables, parts)) => Ok(Self::assemble(platform, layout, lent, tables, &parts)),
            Err(error) => Err(CreateRefused { error, platform, metadata: lent.give_back() }),
        }
    }

    fn assemble(platform: P, layout: ArenaLayout, metadata: Metadata, tables: Tables<A>, parts: &Parts) -> Self {
        report::created(&layout, tables.frame_count());
        Self {
            codec: tables.codec(layout.sharing()),
            platform,
            layout,
            tables,
            maps: PageMaps::new(MapGeometry::of(layout.extent()), parts.maps),
            cpus: parts.cpus,
            violations: ViolationRing::new(parts.violations),
            views: ViewList::new(parts.views),
            metadata,
            batches: Line(AtomicU64::new(0)),
            moved: Moved::none(),
            shared: Line(Shared { counters: Counters::new(), foreign: LastForeign::new() }),
        }
    }
}

/// Everything that can be refused; the frames come late, and the window is linked last.
fn build<P: Platform, A: Arch>(
    platform: &P,
    layout: &ArenaLayout,
    metadata: &Metadata,
) -> Result<(Tables<A>, Parts), CreateError> {
    A::check_cpu(layout).map_err(CreateError::UnsupportedCpu)?;
    let attributes = platform.phys_map().attributes();
    if attributes.leaf & !A::LEAF_ATTRIBUTES != 0 || attributes.table & !A::TABLE_ATTRIBUTES != 0 {
        return Err(CreateError::AttributesNotAllowed);
    }
    if layout.extent().numbers().end > Tables::<A>::COVERED_PAGES {
        return Err(CreateError::ExtentNotCovered);
    }
    if platform.cpus().count().get() > layout.cpus().get() {
        return Err(CreateError::MoreCpus);
    }
    if platform.upper().window_base() != layout.base() {
        return Err(CreateError::WrongBase);
    }
    if !Tables::<A>::upper_is_vacant(platform) {
        return Err(CreateError::UpperEntryInUse);
    }
    reach::ends_at_lent_entries::<A>(layout, platform).map_err(|unreachable| {
        // Somebody may have linked them since they were looked at.
        let vacant = Tables::<A>::upper_is_vacant(platform);
        if vacant { CreateError::UnsupportedCpu(unreachable) } else { CreateError::UpperEntryInUse }
    })?;
    // SAFETY: nothing was built in it yet, and `give_back` is called only if no part is used: parts go into the arena.
    let words = unsafe { metadata.words() };
    let parts = layout.metadata_layout().carve(words).ok_or(CreateError::MetadataTooSmall)?;
    let tables = Tables::build(platform, layout, attributes, parts.leaves).ok_or(CreateError::OutOfFrames)?;
    if let Err(unsupported) = reach::check_memory::<A>(layout, platform.phys_map(), tables.scratch_page()) {
        tables.release(platform);
        return Err(CreateError::UnsupportedCpu(unsupported));
    }
    if let Err(NotVacant { linked }) = tables.link(platform) {
        undo_link(platform, layout, tables, linked);
        return Err(CreateError::UpperEntryInUse);
    }
    if let Err(unreachable) = reach::goes_beyond_lent_entries::<A>(layout, platform) {
        undo_link(platform, layout, tables, UPPER_ENTRIES);
        return Err(CreateError::UnsupportedCpu(unreachable));
    }
    Ok((tables, parts))
}

/// Somebody has taken a lent entry since they were looked at, or no walker comes by. Those that were linked before it
/// are taken back and forgotten everywhere, for a processor may have walked through them unasked; then the tables'
/// frames go back.
fn undo_link<P: Platform, A: Arch>(platform: &P, layout: &ArenaLayout, tables: Tables<A>, linked: usize) {
    if linked > 0 {
        tables.unlink(platform, linked);
        platform.shootdown().shootdown(&[layout.window(), layout.upper_guard()], FlushScope::Tables);
    }
    tables.release(platform);
}

impl<P> From<CreateRefused<P>> for CreateError {
    fn from(refused: CreateRefused<P>) -> Self {
        refused.error
    }
}

impl<P> fmt::Debug for CreateRefused<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateRefused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<P> fmt::Display for CreateRefused<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P> core::error::Error for CreateRefused<P> {}
