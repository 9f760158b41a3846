//! The way from a root down to a lent entry, and the tables that are missing on it.

use core::ptr::NonNull;

use super::{GUARD_ENTRY_SHIFT, LinkError, MOST_MADE, WINDOW_ENTRY_SHIFT};
use crate::addr::{PAGE_BYTES, VirtAddr};
use crate::arch::{Arch, Root, Step, TableReach, walk};
use crate::layout::ArenaLayout;
use crate::platform::{Frame, FrameSource, PhysMap};
use crate::sync::AtomicU64;

/// From the root to the entry of shift `until` that translates `address`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    root: Root,
    address: VirtAddr,
    until: u32,
}

/// A table that was made, and the entry that leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) entry: NonNull<AtomicU64>,
    pub(super) table: Frame,
}

/// The ways to the five lent entries, the guard's last.
pub(super) fn to_lent_entries(root: Root, layout: &ArenaLayout) -> Result<[Path; 5], LinkError> {
    let base = layout.base().value();
    let window = [0, 1, 2, 3].map(|gib| (base + (gib << WINDOW_ENTRY_SHIFT), WINDOW_ENTRY_SHIFT));
    let [first, second, third, fourth] = window;
    let guard = (layout.upper_guard().start().value(), GUARD_ENTRY_SHIFT);
    let paths = [first, second, third, fourth, guard].map(|(address, until)| Path {
        root,
        address: VirtAddr::new(address),
        until,
    });
    match paths.iter().find(|path| !root.reaches(path.address) || root.shift() < WINDOW_ENTRY_SHIFT) {
        Some(path) => Err(LinkError::OutOfReach { address: path.address }),
        None => Ok(paths),
    }
}

/// How many tables are missing on all these ways together; all of their ends are vacant.
///
/// # Safety
/// As for [`Path::follow`].
pub(super) unsafe fn missing<A: Arch>(paths: &[Path; 5], map: &impl PhysMap) -> Result<usize, LinkError> {
    let mut ends = [0; 5];
    for (end, path) in ends.iter_mut().zip(paths) {
        // SAFETY: as the caller promises.
        *end = unsafe { path.follow::<A>(map) }?.shift;
    }
    let ([window, .., guard], [window_end, .., guard_end]) = (paths, ends);
    // Where the guard's way and the window's come by the same missing entry, one table serves both.
    let shared = |shift: &u32| window.address.value() >> shift == guard.address.value() >> shift;
    let above = |end: u32, until: u32| (until + 9..=end).step_by(9);
    let for_both = above(window_end, window.until).filter(shared).count();
    Ok(above(window_end, window.until).count() + above(guard_end, guard.until).count() - for_both)
}

impl Path {
    /// Follows it as far as there are tables: to its end, or to the entry where a table is missing. Either is zero.
    ///
    /// # Safety
    /// The root and the tables below it are of this format, `map` reaches them, and nobody else changes them meanwhile.
    unsafe fn follow<'a, A: Arch>(&self, map: &'a impl PhysMap) -> Result<Step<'a>, LinkError> {
        let address = self.address;
        // SAFETY: as the caller promises.
        for step in unsafe { walk::<A>(self.root, address, map) } {
            let word = A::load(step.entry);
            if word == 0 {
                return Ok(step);
            }
            // A word that is not present, and not zero, is somebody's note of what belongs there.
            if step.shift == self.until || word & 1 == 0 {
                return Err(LinkError::InUse { address });
            }
            if A::is_block(word) {
                return Err(LinkError::LargePage { address });
            }
        }
        Err(LinkError::OutOfReach { address })
    }

    /// Follows it to its end, making the tables that are missing.
    ///
    /// # Safety
    /// As for [`follow`](Self::follow); the root stays as long as the entry is used.
    pub(super) unsafe fn make<A: Arch>(
        &self,
        map: &impl PhysMap,
        fresh: &mut Fresh<'_, impl FrameSource>,
        made: &mut [Option<Made>; MOST_MADE],
    ) -> Result<NonNull<AtomicU64>, LinkError> {
        loop {
            // SAFETY: as the caller promises.
            let Step { entry, shift } = unsafe { self.follow::<A>(map) }?;
            if shift == self.until {
                return Ok(NonNull::from(entry));
            }
            let place = made.iter_mut().find(|place| place.is_none()).ok_or(LinkError::OutOfFrames)?;
            let table = fresh.next().ok_or(LinkError::OutOfFrames)?;
            let memory = map.frame_to_ptr(table);
            // SAFETY: the frame belongs to us, and the map gives its 4096 bytes. Zeros are entries that are not present.
            unsafe { memory.write_bytes(0, PAGE_BYTES) };
            A::try_install(entry, 0, A::table(table, TableReach::Kernel, map.attributes()))
                .map_err(|_| LinkError::InUse { address: self.address })?;
            *place = Some(Made { entry: NonNull::from(entry), table });
        }
    }
}

/// Frames for tables. Those that are left go back when it is dropped.
#[derive(Debug)]
pub(super) struct Fresh<'a, F: FrameSource> {
    source: &'a F,
    frames: [Option<Frame>; MOST_MADE],
}

impl<'a, F: FrameSource> Fresh<'a, F> {
    /// So many, or none.
    pub(super) fn take(count: usize, source: &'a F) -> Option<Self> {
        let mut fresh = Self { source, frames: [None; MOST_MADE] };
        for place in fresh.frames.iter_mut().take(count) {
            *place = Some(source.alloc(None)?);
        }
        Some(fresh)
    }

    fn next(&mut self) -> Option<Frame> {
        self.frames.iter_mut().find_map(Option::take)
    }
}

impl<F: FrameSource> Drop for Fresh<'_, F> {
    fn drop(&mut self) {
        while let Some(frame) = self.next() {
            // SAFETY: it came from this source, and nobody uses it.
            unsafe { self.source.free(frame) };
        }
    }
}
