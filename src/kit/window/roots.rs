//! Other roots than the one below which the window was linked.

use core::iter;
use core::ptr::NonNull;

use super::{LENT, LinkError, Window};
use crate::addr::{VirtAddr, WINDOW_SIZE};
use crate::arch::{Arch, Root, walk};
use crate::platform::PhysMap;
use crate::sync::AtomicU64;

impl<A: Arch> Window<A> {
    /// Copies the root's entries that lead to the window into another root, made later or in another way: those of it that are
    /// zero, or a copy of entries that no arena has; where it leads to the same tables already, it stays as it is. All of them, or none.
    ///
    /// Where the roots' own entries cover 1 GiB (aarch64 with up to 39 bits), they are the lent ones: then the arena comes
    /// first, and before it is destroyed each such root is passed to [`unlink_from`](Self::unlink_from).
    ///
    /// # Errors
    /// [`LinkError`]; the other root was not changed.
    ///
    /// # Safety
    /// `other` is a root table of this format, `map` reaches it and the first root, and nobody else changes either
    /// meanwhile. It is used no longer than the window is linked, or was passed to `unlink_from` before that ends.
    pub unsafe fn link_into(&self, other: Root, map: &impl PhysMap) -> Result<(), LinkError> {
        if other.bits() != self.root.bits() {
            return Err(LinkError::OutOfReach { address: VirtAddr::new(self.base.value()) });
        }
        for (address, ours, theirs) in self.root_entries(other, map) {
            let (word, there) = (A::load(ours), A::load(theirs));
            if word == 0 || word == LENT {
                return Err(LinkError::NothingToCopy { address });
            }
            if there != 0 && there != LENT && !lead_to_the_same::<A>(there, word, map) {
                return Err(LinkError::OtherTable { address });
            }
        }
        for (address, ours, theirs) in self.root_entries(other, map) {
            let word = A::load(ours);
            // A copy that was made before the arena was created has the note.
            let vacant = if A::load(theirs) == LENT { LENT } else { 0 };
            match A::try_install(theirs, vacant, word) {
                Err(there) if !lead_to_the_same::<A>(there, word, map) => {
                    return Err(LinkError::OtherTable { address });
                }
                _ => {}
            }
        }
        A::publish_and_sync();
        Ok(())
    }

    /// Takes out of another root the entries that lead to tables which were made for this window, and the lent ones, where a root
    /// has them itself: whatever [`link_into`](Self::link_into), or a copy, has put there. What TLBs remember under that
    /// root is the caller's to flush.
    ///
    /// Other entries stay: what leads to a table of the kernel's, and what leads to one that was made for another window, which
    /// may be in use under that root. Where windows share tables, each root that leads to one of them is passed to all of
    /// them, the one that made the tables included, though it may not have been linked there itself.
    ///
    /// # Safety
    /// As for `link_into`; and nothing uses the window under that root any more, nor another that shares tables made for this one.
    pub unsafe fn unlink_from(&self, other: Root, map: &impl PhysMap) {
        let made = |ours: NonNull<AtomicU64>| self.made.iter().any(|made| made.entry == ours);
        for (_, ours, theirs) in self.root_entries(other, map) {
            let pointer = NonNull::from(ours);
            // What led to tables of the kernel's before the window came stays.
            let is_ours = made(pointer) || self.entries.contains(&pointer);
            let there = A::load(theirs);
            if is_ours && (there == LENT || lead_to_the_same::<A>(there, A::load(ours), map)) {
                A::swap(theirs, 0);
            }
        }
    }

    /// The entries of both roots on the way to the window and its guard, each pair once.
    ///
    /// Only the two above call it, whose callers vouch for both roots.
    fn root_entries<'a>(
        &'a self,
        other: Root,
        map: &'a impl PhysMap,
    ) -> impl Iterator<Item = (VirtAddr, &'a AtomicU64, &'a AtomicU64)> {
        let (base, step) = (self.base.value(), 1u64 << self.root.shift());
        let guard = base + WINDOW_SIZE;
        let rest = (base / step + 1..=guard / step).map(move |index| index * step);
        iter::once(base).chain(rest).filter_map(move |address| {
            let address = VirtAddr::new(address);
            // SAFETY: two roots of this format, which the map reaches.
            let ours = unsafe { walk::<A>(self.root, address, map) }.next()?.entry;
            // SAFETY: as above.
            let theirs = unsafe { walk::<A>(other, address, map) }.next()?.entry;
            Some((address, ours, theirs))
        })
    }
}

/// Whether two entries lead to the same table. The words may differ: where it is walked, the processor marks an entry as
/// accessed (x86_64) under the one root alone, and a mapper opens it to user mode there.
fn lead_to_the_same<A: Arch>(one: u64, other: u64, map: &impl PhysMap) -> bool {
    let table = |word| A::decode_table(word, map.attributes()).filter(|_| !A::is_block(word));
    table(one).is_some_and(|one| table(other) == Some(one))
}
