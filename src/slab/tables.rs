//! What an allocator keeps about its slabs: one value, in a metadata page of its own, so that the allocator itself is
//! small and can be passed about.

use super::class::ClassState;
use super::debug::Debugger;
use super::header::Header;
use super::live::LiveMap;
use super::magazine::{Magazine, Rack};
use super::map::PageMap;
use super::roots;
use super::stats::Totals;
use crate::source::MetadataSource;
use crate::store::{Blank, Store};
use crate::sync::{AtomicU32, Line};

/// The tables of an allocator.
#[derive(Debug)]
pub(super) struct Tables {
    /// Set when a slab was retired while it was on a list.
    pub(super) names_listed: AtomicU32,
    /// Pages of slabs that are marked as empty, or were a moment ago: never fewer.
    pub(super) empty_pages: Line<AtomicU32>,
    /// Bytes that depots keep beyond what each may for itself.
    pub(super) surplus: Line<AtomicU32>,
    pub(super) totals: Line<Totals>,
    pub(super) map: PageMap,
    pub(super) live: LiveMap,
    /// Used in debug mode only.
    pub(super) debugger: Debugger,
    pub(super) classes: Store<ClassState, { roots(4) }>,
    pub(super) headers: Store<Header, { roots(64) }>,
    pub(super) magazines: Store<Magazine, { roots(128) }>,
    pub(super) racks: Store<Rack, { roots(4) }>,
}

// SAFETY: so are its parts, and words are.
unsafe impl Blank for Tables {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self {
            names_listed: AtomicU32::new(0),
            empty_pages: Line(AtomicU32::new(0)),
            surplus: Line(AtomicU32::new(0)),
            totals: Line(Totals::blank()),
            map: PageMap::blank(),
            live: LiveMap::blank(),
            debugger: Debugger::blank(),
            classes: Store::blank(),
            headers: Store::blank(),
            magazines: Store::blank(),
            racks: Store::blank(),
        }
    }
}

impl Tables {
    /// How many metadata pages they take, their own included.
    pub(super) fn metadata_pages(&self) -> u32 {
        1 + self.map.metadata_pages()
            + self.live.metadata_pages()
            + self.debugger.held.metadata_pages()
            + self.debugger.runs.metadata_pages()
            + self.classes.metadata_pages()
            + self.headers.metadata_pages()
            + self.magazines.metadata_pages()
            + self.racks.metadata_pages()
    }

    /// Takes all of them down.
    pub(super) fn dismantle(&mut self, metadata: &impl MetadataSource) {
        self.racks.dismantle(metadata);
        self.magazines.dismantle(metadata);
        self.headers.dismantle(metadata);
        self.classes.dismantle(metadata);
        self.live.dismantle(metadata);
        self.debugger.held.dismantle(metadata);
        self.debugger.runs.dismantle(metadata);
        self.map.dismantle(metadata);
    }
}
