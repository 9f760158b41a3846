//! A program's mask, as the kernel has read its header once.

use core::fmt;

use super::grid::place;
use super::{MaskError, MaskHeader, MaskIds, MaskIter, MaskSpan, check_place, field, word, words};
use crate::access::{Accessor, Hole, Memory, Processor};
use crate::addr::ArenaPtr;
use crate::arch::{Arch, Native};
use crate::platform::{CpuId, Platform};

/// A snapshot of a mask's geometry; its bits are read and changed in the arena.
///
/// Holding one proves that its ids are ids of the machine, and that the words in which they lie are in the window, whatever the header
/// says by now. It does not show that the page is there, or that nobody else changes the bits.
///
/// Operations stop at a [`Hole`]. Of two masks they touch what both have: ids of the target that the other has not stay as
/// they are. Each word is read once, or changed in one step; between words others may come. Context: *any*.
///
/// ```
/// # use kernel_arena::Platform;
/// # use kernel_arena::access::Memory;
/// use kernel_arena::masks::{MaskError, MaskIds, SharedMask};
/// use kernel_arena::platform::CpuId;
///
/// /// The first CPU of those that a program names by any number that it likes.
/// fn first<P: Platform>(memory: &Memory<'_, P>, anything: u64, ids: MaskIds) -> Result<Option<CpuId>, MaskError> {
///     let mask = SharedMask::snapshot(memory, anything, ids)?;
///     Ok(mask.next_set(CpuId::new(0))?)
/// }
/// ```
pub struct SharedMask<'a, P: Platform, A: Arch = Native, M = Processor> {
    pub(super) memory: &'a Memory<'a, P, A, M>,
    ptr: ArenaPtr<MaskHeader>,
    span: MaskSpan,
}

impl<'a, P: Platform, A: Arch, M: Accessor> SharedMask<'a, P, A, M> {
    /// Takes a number that a program passed for a pointer to a mask: of it the low 32 bits count. Each field of the header is
    /// read once.
    ///
    /// # Errors
    /// [`MaskError`].
    pub fn snapshot(memory: &'a Memory<'a, P, A, M>, at: u64, ids: MaskIds) -> Result<Self, MaskError> {
        let ptr = ArenaPtr::<MaskHeader>::from_low_bits(at).ok_or(MaskError::Null)?;
        check_place(ptr, 0)?;
        let base = memory.try_load(field::<u32>(ptr, 0))?;
        let nr = memory.try_load(field::<u32>(ptr, 4))?;
        let alloc_words = memory.try_load(field::<u32>(ptr, 8))?;
        let span = MaskSpan::new(base, nr, ids).ok_or(if base < ids.get() {
            MaskError::Count { base, nr }
        } else {
            MaskError::Base { base }
        })?;
        let needed = words(nr);
        if needed > u64::from(alloc_words) {
            return Err(MaskError::Room { alloc_words, needed });
        }
        // What the header says of more room is nobody's business: no word behind these is touched.
        check_place(ptr, u32::try_from(needed).unwrap_or(u32::MAX))?;
        Ok(Self { memory, ptr, span })
    }

    /// Where it is.
    pub const fn ptr(&self) -> ArenaPtr<MaskHeader> {
        self.ptr
    }

    /// Which ids it has.
    pub const fn span(&self) -> MaskSpan {
        self.span
    }

    /// Whether an id is set; not if the mask does not have it.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn test(&self, cpu: CpuId) -> Result<bool, Hole> {
        let (grid_word, bit) = place(cpu.number().into());
        Ok(self.span.contains(cpu) && self.load(grid_word)? & bit != 0)
    }

    /// The ids that are set, ascending. Each word is read once, when its turn comes.
    pub const fn iter(&self) -> MaskIter<'_, 'a, P, A, M> {
        MaskIter::new(self)
    }

    /// The first id that is set, from this one on.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn next_set(&self, from: CpuId) -> Result<Option<CpuId>, Hole> {
        MaskIter::from(self, from).next().transpose()
    }

    /// Whether none is set.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn is_empty(&self) -> Result<bool, Hole> {
        self.all_words(|_, bits| Ok(bits == 0))
    }

    /// How many are set.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn weight(&self) -> Result<u32, Hole> {
        self.span.grid().try_fold(0, |sum, grid_word| Ok(sum + self.load(grid_word)?.count_ones()))
    }

    /// Whether the other mask has all that are set here: one that the other does not have, or that is not set there, is a no.
    /// An empty mask is in every other.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn is_subset(&self, of: &SharedMask<'_, P, A, M>) -> Result<bool, Hole> {
        self.all_words(|grid_word, bits| Ok(bits == 0 || bits & !of.load_any(grid_word)? == 0))
    }

    /// Whether an id is set in both.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn intersects(&self, other: &SharedMask<'_, P, A, M>) -> Result<bool, Hole> {
        Ok(!self.all_words(|grid_word, bits| Ok(bits == 0 || bits & other.load_any(grid_word)? == 0))?)
    }

    /// Whether something holds of each word, up to the first of which it does not.
    fn all_words(&self, holds: impl Fn(u32, u64) -> Result<bool, Hole>) -> Result<bool, Hole> {
        for grid_word in self.span.grid() {
            if !holds(grid_word, self.load(grid_word)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A word of the grid that this mask uses: the bits that are ids of it.
    pub(super) fn load(&self, grid_word: u32) -> Result<u64, Hole> {
        Ok(self.memory.try_load(self.word(grid_word))? & self.span.live(grid_word))
    }

    /// A word of the grid; 0 if this mask does not use it.
    pub(super) fn load_any(&self, grid_word: u32) -> Result<u64, Hole> {
        if self.span.grid().contains(&grid_word) { self.load(grid_word) } else { Ok(0) }
    }

    /// Where a word of the grid lies that this mask uses.
    pub(super) fn word(&self, grid_word: u32) -> ArenaPtr<u64> {
        word(self.ptr, self.span.index(grid_word))
    }
}

// Not derived: a derive would ask the same of `P`, `A` and `M`.
impl<P: Platform, A: Arch, M> Clone for SharedMask<'_, P, A, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<P: Platform, A: Arch, M> Copy for SharedMask<'_, P, A, M> {}

impl<P: Platform, A: Arch, M> fmt::Debug for SharedMask<'_, P, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMask").field("ptr", &self.ptr).field("span", &self.span).finish_non_exhaustive()
    }
}
