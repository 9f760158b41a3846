//! A mask for each CPU, side by side.

use core::alloc::Layout;

use super::{KernelMask, MaskHeader, MaskIds, PlaceError, check_place};
use crate::addr::{ArenaPtr, WINDOW_SIZE};
use crate::platform::{CpuCount, CpuId};

/// Masks start on cache lines of their own, so that CPUs that write theirs do not fight.
const LINE_BYTES: usize = 64;

/// A [`KernelMask`] of all ids for each CPU, in one block of memory in the arena.
///
/// ```
/// use kernel_arena::ArenaPtr;
/// use kernel_arena::masks::{MaskIds, PerCpuMasks};
/// use kernel_arena::platform::{CpuCount, CpuId};
/// let (cpus, ids) = (CpuCount::new(4).unwrap(), MaskIds::new(4).unwrap());
/// let layout = PerCpuMasks::layout(cpus, ids); // to be asked of a pool
/// assert_eq!((layout.size(), layout.align()), (256, 64));
/// let masks = PerCpuMasks::new(ArenaPtr::new(0x1_0000).unwrap(), cpus, ids).unwrap();
/// assert_eq!(masks.of(CpuId::new(3)).unwrap().ptr().offset(), 0x1_00c0);
/// assert_eq!(masks.of(CpuId::new(4)), None);
/// ```
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerCpuMasks {
    first: ArenaPtr,
    cpus: CpuCount,
    ids: MaskIds,
}

impl PerCpuMasks {
    /// What the block is like.
    pub const fn layout(cpus: CpuCount, ids: MaskIds) -> Layout {
        let bytes = Self::stride(ids) * cpus.get() as usize;
        match Layout::from_size_align(bytes, LINE_BYTES) {
            Ok(layout) => layout,
            // 2^16 masks of at most 1088 bytes are a layout.
            Err(_) => Layout::new::<()>(),
        }
    }

    /// The masks in a block of that [`layout`](Self::layout) that is the kernel's.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub const fn new(block: ArenaPtr, cpus: CpuCount, ids: MaskIds) -> Result<Self, PlaceError> {
        let (offset, bytes) = (block.offset(), Self::layout(cpus, ids).size() as u64);
        if let Err(error) = check_place(block.cast(), 0) {
            return Err(error);
        }
        if bytes > WINDOW_SIZE - offset as u64 {
            return Err(PlaceError::LeavesWindow { offset, bytes });
        }
        Ok(Self { first: block, cpus, ids })
    }

    /// The block.
    pub const fn block(&self) -> ArenaPtr {
        self.first
    }

    /// How many bytes it has.
    pub const fn bytes(&self) -> usize {
        Self::layout(self.cpus, self.ids).size()
    }

    /// The ids of each mask.
    pub const fn ids(&self) -> MaskIds {
        self.ids
    }

    /// The mask of a CPU; `None` if there is no such CPU.
    pub const fn of(&self, cpu: CpuId) -> Option<KernelMask> {
        let number = cpu.number() as u32;
        if number >= self.cpus.get() {
            return None;
        }
        let offset = self.first.offset() as u64 + number as u64 * Self::stride(self.ids) as u64;
        match ArenaPtr::<MaskHeader>::from_low_bits(offset) {
            Some(ptr) => Some(KernelMask::at(ptr, self.ids.span())),
            None => None,
        }
    }

    const fn stride(ids: MaskIds) -> usize {
        KernelMask::bytes(ids.span()).next_multiple_of(LINE_BYTES)
    }
}
