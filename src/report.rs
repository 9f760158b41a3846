//! What the arena tells a log: its creation, its end, and violations when they are drained.
//!
//! Nothing is logged anywhere else, and never on the fault path, which may have interrupted the logger. Without the features
//! `log` and `defmt` nothing is left of these functions.

use crate::layout::ArenaLayout;
use crate::violations::Violation;

/// An arena was created.
pub(crate) fn created(layout: &ArenaLayout, table_frames: u32) {
    let pages = layout.extent().count().get();
    #[cfg(feature = "log")]
    log::info!("arena at {}: {pages} pages, {table_frames} frames of tables", layout.base());
    #[cfg(feature = "defmt")]
    defmt::info!("arena at {}: {} pages, {} frames of tables", layout.base(), pages, table_frames);
    let _ = (pages, table_frames);
}

/// An arena was destroyed.
pub(crate) fn destroyed(layout: &ArenaLayout, pages: u32) {
    #[cfg(feature = "log")]
    log::info!("arena at {} destroyed: {pages} pages were still in use", layout.base());
    #[cfg(feature = "defmt")]
    defmt::info!("arena at {} destroyed: {} pages were still in use", layout.base(), pages);
    let _ = (layout, pages);
}

/// A violation was taken out of the record.
pub(crate) fn drained(violation: &Violation) {
    #[cfg(feature = "log")]
    log::warn!("violation {}: {violation:?}", violation.sequence);
    #[cfg(feature = "defmt")]
    defmt::warn!("violation {}: {}", violation.sequence, violation);
    let _ = violation;
}
