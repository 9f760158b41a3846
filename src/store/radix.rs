//! A table of pointers in two levels, whose lower ones are made when they are first needed.

use core::ptr::{self, NonNull};

use super::{Blank, new_array, publish};
use crate::source::{MetadataPage, MetadataSource};
use crate::sync::{AtomicPtr, Ordering};

/// Pointers in a node: a page of them; under `cfg(kernel_arena_loom)` a few, so that a model stays small.
pub(crate) const FANOUT: u32 = if cfg!(kernel_arena_loom) { 4 } else { 512 };

type Node<T> = [AtomicPtr<T>; FANOUT as usize];

/// `ROOT` times [`FANOUT`] pointers, null until set.
///
/// Invariant: a pointer in it is valid, for shared use, as long as the table is.
#[derive(Debug)]
pub(crate) struct Radix<T, const ROOT: usize> {
    nodes: [AtomicPtr<Node<T>>; ROOT],
}

// SAFETY: null pointers.
unsafe impl<T, const ROOT: usize> Blank for Radix<T, ROOT> {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self::new()
    }
}

impl<T, const ROOT: usize> Radix<T, ROOT> {
    /// How many pointers there can be.
    #[expect(clippy::cast_possible_truncation, reason = "roots have at most 2^12 entries")]
    pub(crate) const CAPACITY: u32 = ROOT as u32 * FANOUT;

    /// A table in which nothing is set.
    #[cfg(not(kernel_arena_loom))]
    pub(crate) const fn new() -> Self {
        Self { nodes: [const { AtomicPtr::new(ptr::null_mut()) }; ROOT] }
    }

    #[cfg(kernel_arena_loom)]
    pub(crate) fn new() -> Self {
        Self { nodes: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())) }
    }

    /// What the entry points to; `None` if it is not set.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        // SAFETY: the invariant: what is set is valid.
        self.pointer(index).map(|pointer| unsafe { pointer.as_ref() })
    }

    /// The pointer itself, good for all that was behind it when it was set. Acquire: built before it was set.
    #[inline]
    pub(crate) fn pointer(&self, index: u32) -> Option<NonNull<T>> {
        NonNull::new(self.entry(index)?.load(Ordering::Acquire))
    }

    /// Whether the entry's node is there.
    pub(crate) fn has_node(&self, index: u32) -> bool {
        self.entry(index).is_some()
    }

    /// The entry, if its node is there.
    #[inline]
    fn entry(&self, index: u32) -> Option<&AtomicPtr<T>> {
        let root = self.nodes.get((index / FANOUT) as usize)?;
        // SAFETY: nodes are built before they are linked (Acquire), and never taken down while `self` is borrowed.
        let node = unsafe { root.load(Ordering::Acquire).as_ref()? };
        node.get((index % FANOUT) as usize)
    }

    /// The entry; its node is made if it is not there. `None` when there is no memory for it, or no such entry.
    pub(crate) fn entry_or_build(&self, index: u32, metadata: &impl MetadataSource) -> Option<&AtomicPtr<T>> {
        let root = self.nodes.get((index / FANOUT) as usize)?;
        if root.load(Ordering::Acquire).is_null() {
            // Where there is no memory for it, another CPU may have built it a moment ago.
            if let Some(node) = new_array(metadata, || AtomicPtr::new(ptr::null_mut())) {
                publish(root, ptr::null_mut(), node, metadata);
            }
        }
        self.entry(index)
    }

    /// What the entry points to; if it is not set, what `build` makes at the start of a metadata page. `None` when
    /// there is no memory for it, or no such entry.
    pub(crate) fn get_or_build<M: MetadataSource>(
        &self,
        index: u32,
        metadata: &M,
        build: impl FnOnce(&M) -> Option<NonNull<T>>,
    ) -> Option<&T> {
        let entry = self.entry_or_build(index, metadata)?;
        if entry.load(Ordering::Relaxed).is_null() {
            if let Some(built) = build(metadata) {
                publish(entry, ptr::null_mut(), built, metadata);
            }
        }
        self.get(index)
    }

    /// How many nodes there are.
    #[expect(clippy::cast_possible_truncation, reason = "roots have at most 2^12 entries")]
    pub(crate) fn node_count(&self) -> u32 {
        self.nodes.iter().filter(|node| !node.load(Ordering::Relaxed).is_null()).count() as u32
    }

    /// How many pointers are set.
    #[expect(clippy::cast_possible_truncation, reason = "below the capacity")]
    pub(crate) fn set_count(&self) -> u32 {
        let count = |root: &AtomicPtr<Node<T>>| {
            // SAFETY: nodes are built before they are linked (Acquire), and never taken down while `self` is borrowed.
            let node = unsafe { root.load(Ordering::Acquire).as_ref() };
            let set = |node: &Node<T>| node.iter().filter(|entry| !entry.load(Ordering::Relaxed).is_null()).count();
            node.map_or(0, set) as u32
        };
        self.nodes.iter().map(count).sum()
    }

    /// Takes the table down: `each` is given every pointer that is set.
    pub(crate) fn dismantle(&mut self, metadata: &impl MetadataSource, mut each: impl FnMut(NonNull<T>)) {
        for root in &self.nodes {
            let Some(node) = NonNull::new(root.swap(ptr::null_mut(), Ordering::Acquire)) else { continue };
            // SAFETY: built by `entry_or_build`, and nobody else has the table.
            for entry in unsafe { node.as_ref() } {
                if let Some(pointer) = NonNull::new(entry.load(Ordering::Acquire)) {
                    each(pointer);
                }
            }
            // SAFETY: the page of the node, which nothing points to any more.
            unsafe { metadata.free(node.cast::<MetadataPage>()) };
        }
    }
}
