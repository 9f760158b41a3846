//! What a group has as long as it is enabled: a pool of memory, and in it a CPU mask for each CPU.

use core::alloc::Layout;
use core::fmt;

use crate::addr::ArenaPtr;
use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::platform::{CpuId, CpuIdentity, Platform, ReversibleMap};
use crate::pool::{Pool, PoolError};
use crate::source::{ArenaPages, FrameMetadata};

/// The most ids that a CPU mask has.
pub(super) const MAX_IDS: u32 = 8192;
/// Bytes before a mask's bits: base, count and words, and what aligns the bits.
const HEADER_BYTES: u32 = 16;

/// The memory that a group shares with its programs while it is enabled: blocks of any size for whatever the kernel and they tell
/// each other, and the CPU masks that the kernel writes for them.
///
/// What is still taken from the pool when the group is disabled goes back with it.
pub struct Equipment<'a, P: Platform, A: Arch = Native>
where
    P::PhysMap: ReversibleMap,
{
    pool: Pool<ArenaPages<'a, P, A>, FrameMetadata<'a, P>>,
    masks: ArenaPtr,
    mask_bytes: u32,
    ids: u32,
    cpus: u32,
}

impl<'a, P: Platform, A: Arch> Equipment<'a, P, A>
where
    P::PhysMap: ReversibleMap,
{
    /// The most ids of a CPU mask.
    pub const MAX_IDS: u32 = MAX_IDS;

    /// The pool first, then the masks in it. If there is no memory for these, the pool gives back what it has.
    pub(super) fn new(arena: &'a Arena<P, A>, ids: u32) -> Result<Self, PoolError> {
        let pool = Pool::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()));
        let mask_bytes = HEADER_BYTES + words(ids) * 8;
        let cpus = arena.platform().cpus().count().get();
        // In pages that the arena has just zeroed: the pool has had no others.
        match all_masks(cpus, mask_bytes).and_then(|layout| pool.alloc(layout)) {
            Ok(masks) => Ok(Self { pool, masks, mask_bytes, ids, cpus }),
            Err(error) => {
                let _none = pool.destroy();
                Err(error)
            }
        }
    }

    /// The masks first, then the pool.
    pub(super) fn give_back(self) {
        if let Ok(layout) = all_masks(self.cpus, self.mask_bytes) {
            // A pool that does not know the block has a violation in its record.
            let _freed = self.pool.free(self.masks, layout.size());
        }
        let _forgotten = self.pool.destroy();
    }

    /// Memory for what kernel and programs share: blocks from 8 bytes up.
    pub const fn pool(&self) -> &Pool<ArenaPages<'a, P, A>, FrameMetadata<'a, P>> {
        &self.pool
    }

    /// Where the mask of a CPU lies, [`mask_words`](Self::mask_words) words of bits behind its header; `None` if there is no such
    /// CPU. It is the kernel's to write, by whoever calls a program on this CPU; programs read it, and may scribble on it.
    pub fn mask(&self, cpu: CpuId) -> Option<ArenaPtr> {
        let cpu = u32::from(cpu.number());
        if cpu >= self.cpus {
            return None;
        }
        ArenaPtr::new(self.masks.offset().checked_add(cpu.checked_mul(self.mask_bytes)?)?)
    }

    /// How many ids a mask has, from 0 on.
    pub const fn mask_ids(&self) -> u32 {
        self.ids
    }

    /// How many words of 64 bits a mask has room for.
    pub const fn mask_words(&self) -> u32 {
        words(self.ids)
    }
}

/// One block for the masks of all CPUs.
fn all_masks(cpus: u32, mask_bytes: u32) -> Result<Layout, PoolError> {
    let bytes = usize::try_from(u64::from(cpus) * u64::from(mask_bytes)).map_err(|_| PoolError::TooLarge)?;
    Layout::from_size_align(bytes, 8).map_err(|_| PoolError::TooLarge)
}

/// How many words so many bits lie in, whichever the first of them is.
const fn words(ids: u32) -> u32 {
    ids.div_ceil(64) + 1
}

impl<P: Platform, A: Arch> fmt::Debug for Equipment<'_, P, A>
where
    P::PhysMap: ReversibleMap,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Equipment").field("masks", &self.masks).field("ids", &self.ids).finish_non_exhaustive()
    }
}
