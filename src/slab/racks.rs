//! Which rack a (CPU, level) has: a table in which every entry names one from the start.
//!
//! Until a (CPU, level) has a rack of its own its entry names the *dummy rack*, whose magazines are the dummy magazine,
//! always empty and always full. So the hot path asks for nothing: it finds no object, or no room, and takes the slow
//! path, where the rack is made. For the same reason all levels share one node, full of dummies, until they need their
//! own.

use core::ptr;

use super::LEVELS;
use super::magazine::Rack;
use crate::source::{MetadataPage, MetadataSource};
use crate::store::{FANOUT, new_array, publish};
use crate::sync::{AtomicPtr, Ordering};

/// CPUs that have magazines of their own: a page of pointers.
pub(super) const RACK_CPUS: u32 = FANOUT;

type Node = [AtomicPtr<Rack>; RACK_CPUS as usize];

/// The table. Its pointers are valid, for shared use, as long as it is.
#[derive(Debug)]
pub(super) struct RackTable {
    levels: [AtomicPtr<Node>; LEVELS as usize],
    /// The node of levels that have no rack yet.
    dummies: *mut Node,
    dummy: *mut Rack,
}

impl RackTable {
    /// A table that has nothing yet: not to be asked before [`prepare`](Self::prepare).
    pub(super) fn new() -> Self {
        let levels = core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self { levels, dummies: ptr::null_mut(), dummy: ptr::null_mut() }
    }

    /// Fills the table with the dummy rack; says whether there was memory for it.
    pub(super) fn prepare(&mut self, dummy: &Rack, metadata: &impl MetadataSource) -> bool {
        self.dummy = ptr::from_ref(dummy).cast_mut();
        let Some(node) = self.new_node(metadata) else { return false };
        self.dummies = node.as_ptr();
        for level in &mut self.levels {
            *level = AtomicPtr::new(self.dummies);
        }
        true
    }

    /// A node full of dummies.
    fn new_node(&self, metadata: &impl MetadataSource) -> Option<ptr::NonNull<Node>> {
        new_array(metadata, || AtomicPtr::new(self.dummy))
    }

    #[inline]
    fn node(&self, level: u8) -> &Node {
        let node = self.levels[usize::from(level % LEVELS)].load(Ordering::Acquire);
        // SAFETY: `prepare` set it before anybody asks; nodes are built before they are linked (Acquire), and never
        // taken down while `self` is borrowed.
        unsafe { &*node }
    }

    /// The rack of a (CPU, level), or the dummy.
    #[inline]
    pub(super) fn get(&self, cpu: u32, level: u8) -> &Rack {
        let rack = self.node(level)[(cpu % RACK_CPUS) as usize].load(Ordering::Acquire);
        // SAFETY: what is in the table is valid as long as the table is. Acquire: built before it was set.
        unsafe { &*rack }
    }

    /// The dummy rack. Cold: whoever has a place goes straight on.
    #[cold]
    #[inline]
    pub(super) fn dummy(&self) -> &Rack {
        // SAFETY: `prepare` set it before anybody asks, and it is valid as long as the table is.
        unsafe { &*self.dummy }
    }

    pub(super) fn is_dummy(&self, rack: &Rack) -> bool {
        ptr::eq(self.dummy, rack)
    }

    /// Makes sure that a level has a node of its own; says whether there was memory for it.
    pub(super) fn prepare_level(&self, level: u8, metadata: &impl MetadataSource) -> bool {
        let link = &self.levels[usize::from(level % LEVELS)];
        if link.load(Ordering::Relaxed) != self.dummies {
            return true;
        }
        // Where there is no memory for it, another CPU may have built it a moment ago.
        if let Some(node) = self.new_node(metadata) {
            publish(link, self.dummies, node, metadata);
        }
        link.load(Ordering::Relaxed) != self.dummies
    }

    /// Sets the rack of a (CPU, level) that has none, if its level has a node of its own; says whether it did. The caller holds
    /// that place.
    ///
    /// # Safety
    /// The rack is valid, for shared use, as long as the table is.
    pub(super) unsafe fn set(&self, cpu: u32, level: u8, rack: &Rack) -> bool {
        let free = !ptr::eq(self.node(level), self.dummies) && self.is_dummy(self.get(cpu, level));
        if free {
            let entry = &self.node(level)[(cpu % RACK_CPUS) as usize];
            entry.store(ptr::from_ref(rack).cast_mut(), Ordering::Release);
        }
        free
    }

    /// The racks of a CPU, at all levels.
    pub(super) fn of_cpu(&self, cpu: u32) -> impl Iterator<Item = &Rack> {
        (0..LEVELS).map(move |level| self.get(cpu, level)).filter(|rack| !self.is_dummy(rack))
    }

    /// All racks but the dummy.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Rack> {
        (0..LEVELS)
            .filter(|level| !ptr::eq(self.node(*level), self.dummies))
            .flat_map(move |level| (0..RACK_CPUS).map(move |cpu| self.get(cpu, level)))
            .filter(|rack| !self.is_dummy(rack))
    }

    /// How many metadata pages it takes.
    pub(super) fn metadata_pages(&self) -> u32 {
        let own = (0..LEVELS).filter(|level| !ptr::eq(self.node(*level), self.dummies)).map(|_| 1);
        1 + own.sum::<u32>()
    }

    pub(super) fn dismantle(&mut self, metadata: &impl MetadataSource) {
        for level in &self.levels {
            let node = level.swap(self.dummies, Ordering::Acquire);
            if node != self.dummies {
                free_node(node, metadata);
            }
        }
        if !self.dummies.is_null() {
            free_node(self.dummies, metadata);
            self.dummies = ptr::null_mut();
        }
    }
}

/// Gives a node's page back: one that nothing points to any more.
fn free_node(node: *mut Node, metadata: &impl MetadataSource) {
    if let Some(page) = ptr::NonNull::new(node.cast::<MetadataPage>()) {
        // SAFETY: `new_node` took it, and nobody uses it.
        unsafe { metadata.free(page) };
    }
}
