//! The way from a root down to a lent entry, and the tables that are missing on it.

use core::ptr::NonNull;

use super::made::{LENT, MOST_MADE, Made, MadeTables};
use super::{GUARD_ENTRY_SHIFT, LinkError, WINDOW_ENTRY_SHIFT};
use crate::addr::{PAGE_BYTES, ProgramBase, VirtAddr};
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

/// The ways to the five entries that are lent to an arena, the guard's last.
pub(super) fn to_lent_entries<A: Arch>(root: Root, layout: &ArenaLayout) -> Result<[Path; 5], LinkError> {
    let [first, second, third, fourth] = to_window(root, layout.base().value());
    let guard = Path { root, address: layout.upper_guard().start(), until: GUARD_ENTRY_SHIFT };
    reached::<A, 5>([first, second, third, fourth, guard])
}

/// The ways to the four entries of a view.
pub(super) fn to_view_entries<A: Arch>(root: Root, base: ProgramBase) -> Result<[Path; 4], LinkError> {
    reached::<A, 4>(to_window(root, base.address().value()))
}

fn to_window(root: Root, base: u64) -> [Path; 4] {
    let gib = |number: u64| VirtAddr::new(base.wrapping_add(number << WINDOW_ENTRY_SHIFT));
    [0, 1, 2, 3].map(|number| Path { root, address: gib(number), until: WINDOW_ENTRY_SHIFT })
}

fn reached<A: Arch, const N: usize>(paths: [Path; N]) -> Result<[Path; N], LinkError> {
    let beyond = |path: &&Path| !path.root.reaches::<A>(path.address) || path.root.shift() < WINDOW_ENTRY_SHIFT;
    match paths.iter().find(beyond) {
        Some(path) => Err(LinkError::OutOfReach { address: path.address }),
        None => Ok(paths),
    }
}

/// Makes the tables that are missing on these ways, all of them or none, and takes the entries at their ends, which were
/// zero, by the word [`LENT`]. Where they are for programs (`Open`), those that are there allow what programs do.
///
/// The source is the caller's code, and may itself map something below this root. So the ways are followed once more when it
/// has been asked, until it has given enough: from then on nobody but us changes anything, and nothing is refused half-way.
///
/// # Safety
/// As for [`Path::follow`]; the root stays as long as the entries are used.
pub(super) unsafe fn link<A: Arch, const N: usize>(
    paths: &[Path; N],
    reach: TableReach,
    frames: &impl FrameSource,
    map: &impl PhysMap,
) -> Result<([NonNull<AtomicU64>; N], MadeTables), LinkError> {
    let mut fresh = Fresh { source: frames, frames: [None; MOST_MADE] };
    // SAFETY: as the caller promises.
    while fresh.count() < unsafe { missing::<A, N>(paths, reach, map) }? {
        fresh.take().ok_or(LinkError::OutOfFrames)?;
    }
    let mut made = MadeTables::default();
    let mut entries = [NonNull::dangling(); N];
    for (entry, path) in entries.iter_mut().zip(paths) {
        // SAFETY: as the caller promises.
        *entry = unsafe { path.make::<A>(reach, map, &mut fresh, &mut made) }?;
    }
    for entry in &entries {
        // SAFETY: it was found in a live table.
        A::swap(unsafe { entry.as_ref() }, LENT);
    }
    A::publish_and_sync();
    Ok((entries, made))
}

/// How many tables are missing on all these ways together; all of their ends are vacant.
///
/// # Safety
/// As for [`Path::follow`].
unsafe fn missing<A: Arch, const N: usize>(
    paths: &[Path; N],
    reach: TableReach,
    map: &impl PhysMap,
) -> Result<usize, LinkError> {
    let mut ends = [0; N];
    for (end, path) in ends.iter_mut().zip(paths) {
        // SAFETY: as the caller promises.
        *end = unsafe { path.follow::<A>(reach, map) }?.shift;
    }
    // The entry that a table is missing under is told by its shift, and the address above that.
    let under = |way: usize| (paths[way].until + INDEX_BITS..=ends[way]).step_by(INDEX_BITS as usize);
    let same = |one: usize, other: usize, shift: u32| {
        paths[one].address.value() >> shift == paths[other].address.value() >> shift
    };
    let is_new = |way: usize, shift: &u32| {
        !(0..way).any(|before| same(way, before, *shift) && under(before).any(|there| there == *shift))
    };
    Ok((0..N).map(|way| under(way).filter(|shift| is_new(way, shift)).count()).sum())
}

/// log2 of the entries of a table.
const INDEX_BITS: u32 = 9;

impl Path {
    /// Follows it as far as there are tables: to its end, or to the entry where a table is missing. Either is zero.
    ///
    /// # Safety
    /// The root and the tables below it are of this format, `map` reaches them, and nobody else changes them meanwhile.
    unsafe fn follow<'a, A: Arch>(&self, reach: TableReach, map: &'a impl PhysMap) -> Result<Step<'a>, LinkError> {
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
            if step.shift == WINDOW_ENTRY_SHIFT && is_window::<A>(word, map) {
                return Err(LinkError::InUse { address });
            }
            if reach == TableReach::Open && (A::is_closed_to_programs(word) || A::is_read_only(word)) {
                return Err(LinkError::ClosedToPrograms { address });
            }
        }
        Err(LinkError::OutOfReach { address })
    }

    /// Follows it to its end, making the tables that are missing.
    ///
    /// # Safety
    /// As for [`follow`](Self::follow); the root stays as long as the entry is used.
    unsafe fn make<A: Arch>(
        &self,
        reach: TableReach,
        map: &impl PhysMap,
        fresh: &mut Fresh<'_, impl FrameSource>,
        made: &mut MadeTables,
    ) -> Result<NonNull<AtomicU64>, LinkError> {
        loop {
            // SAFETY: as the caller promises.
            let Step { entry, shift } = unsafe { self.follow::<A>(reach, map) }?;
            if shift == self.until {
                return Ok(NonNull::from(entry));
            }
            let place = made.room().ok_or(LinkError::OutOfFrames)?;
            let table = fresh.next().ok_or(LinkError::OutOfFrames)?;
            let memory = map.frame_to_ptr(table);
            // SAFETY: the frame belongs to us, and the map gives its 4096 bytes. Zeros are entries that are not present.
            unsafe { memory.write_bytes(0, PAGE_BYTES) };
            A::try_install(entry, 0, A::table(table, reach, map.attributes()))
                .map_err(|_| LinkError::InUse { address: self.address })?;
            let first = VirtAddr::new(self.address.value() >> shift << shift);
            *place = Some(Made { entry: NonNull::from(entry), table, first, shift: shift - INDEX_BITS });
        }
    }
}

/// Whether an entry that covers 1 GiB is one that an arena has linked: where the guard would be, another window begins. Its
/// directory is no table of the kernel's, though the arena may have nothing in it yet.
fn is_window<A: Arch>(word: u64, map: &impl PhysMap) -> bool {
    let attributes = map.attributes();
    A::decode_table(word, attributes).is_some_and(|table| {
        // A model's words may be the same for both.
        let [window, kernel] =
            [TableReach::KernelView, TableReach::Kernel].map(|reach| A::table(table, reach, attributes));
        word == window && word != kernel
    })
}

/// Frames for tables. Those that are left go back when it is dropped.
#[derive(Debug)]
struct Fresh<'a, F: FrameSource> {
    source: &'a F,
    frames: [Option<Frame>; MOST_MADE],
}

impl<F: FrameSource> Fresh<'_, F> {
    fn count(&self) -> usize {
        self.frames.iter().flatten().count()
    }

    /// One more.
    fn take(&mut self) -> Option<()> {
        let place = self.frames.iter_mut().find(|place| place.is_none())?;
        *place = Some(self.source.alloc(None)?);
        Some(())
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
