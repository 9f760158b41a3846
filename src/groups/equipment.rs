//! What a group has as long as it is enabled: a pool of memory, and in it a CPU mask for each CPU.

use core::fmt;

use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::masks::{KernelMask, MaskIds, PerCpuMasks};
use crate::platform::{CpuId, CpuIdentity, Platform, ReversibleMap};
use crate::pool::{Pool, PoolError};
use crate::source::{ArenaPages, FrameMetadata};

/// The memory that a group shares with its programs while it is enabled: blocks of any size for whatever the kernel and they tell
/// each other, and the CPU masks that the kernel writes for them.
///
/// What is still taken from the pool when the group is disabled goes back with it.
pub struct Equipment<'a, P: Platform, A: Arch = Native>
where
    P::PhysMap: ReversibleMap,
{
    pool: Pool<ArenaPages<'a, P, A>, FrameMetadata<'a, P>>,
    masks: PerCpuMasks,
}

impl<'a, P: Platform, A: Arch> Equipment<'a, P, A>
where
    P::PhysMap: ReversibleMap,
{
    /// The pool first, then the masks in it. If there is no memory for these, the pool gives back what it has.
    pub(super) fn new(arena: &'a Arena<P, A>, ids: MaskIds) -> Result<Self, PoolError> {
        let pool = Pool::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()));
        let cpus = arena.platform().cpus().count();
        // In pages that the arena has just zeroed: the pool has had no others.
        let masks = pool.alloc(PerCpuMasks::layout(cpus, ids)).and_then(|block| {
            // A pool's blocks lie in the window, aligned as the layout says.
            PerCpuMasks::new(block, cpus, ids).map_err(|_| PoolError::TooLarge)
        });
        match masks {
            Ok(masks) => Ok(Self { pool, masks }),
            Err(error) => {
                let _none = pool.destroy();
                Err(error)
            }
        }
    }

    /// The masks first, then the pool.
    pub(super) fn give_back(self) {
        // A pool that does not know the block has a violation in its record.
        let _freed = self.pool.free(self.masks.block(), self.masks.bytes());
        let _forgotten = self.pool.destroy();
    }

    /// Memory for what kernel and programs share: blocks from 8 bytes up.
    pub const fn pool(&self) -> &Pool<ArenaPages<'a, P, A>, FrameMetadata<'a, P>> {
        &self.pool
    }

    /// The mask of a CPU; `None` if there is no such CPU. It is the kernel's to write, by whoever calls a program on this CPU;
    /// programs read it, and may scribble on it.
    pub const fn mask(&self, cpu: CpuId) -> Option<KernelMask> {
        self.masks.of(cpu)
    }

    /// How many ids a mask has, from 0 on.
    pub const fn mask_ids(&self) -> MaskIds {
        self.masks.ids()
    }
}

/// Equipment that is given back when this is dropped, unless it is kept.
pub(super) struct Lent<'a, P: Platform, A: Arch>(Option<Equipment<'a, P, A>>)
where
    P::PhysMap: ReversibleMap;

impl<'a, P: Platform, A: Arch> Lent<'a, P, A>
where
    P::PhysMap: ReversibleMap,
{
    pub(super) const fn new(equipment: Equipment<'a, P, A>) -> Self {
        Self(Some(equipment))
    }

    pub(super) fn get(&self) -> &Equipment<'a, P, A> {
        match &self.0 {
            Some(equipment) => equipment,
            None => unreachable!("it is there until this is gone"),
        }
    }

    pub(super) fn keep(mut self) -> Equipment<'a, P, A> {
        match self.0.take() {
            Some(equipment) => equipment,
            None => unreachable!("it is there until this is gone"),
        }
    }
}

impl<P: Platform, A: Arch> Drop for Lent<'_, P, A>
where
    P::PhysMap: ReversibleMap,
{
    fn drop(&mut self) {
        if let Some(equipment) = self.0.take() {
            equipment.give_back();
        }
    }
}

impl<P: Platform, A: Arch> fmt::Debug for Equipment<'_, P, A>
where
    P::PhysMap: ReversibleMap,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Equipment").field("masks", &self.masks).finish_non_exhaustive()
    }
}
