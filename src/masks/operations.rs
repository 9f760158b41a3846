//! Changes of a program's mask.
//!
//! A word is changed by a compare-exchange, so that whoever sets another bit of it meanwhile, on another CPU, loses nothing, and
//! bits that are no ids of the mask stay as they are. A program can make each exchange fail, so they are counted.

use core::sync::atomic::Ordering;

use super::grid::place;
use super::{ChangeError, SharedMask};
use crate::access::Accessor;
use crate::arch::Arch;
use crate::platform::{CpuId, Platform};

/// How often a word is tried.
const TRIES: u32 = 64;

impl<P: Platform, A: Arch, M: Accessor> SharedMask<'_, P, A, M> {
    /// Sets an id; whether it was set. Of one that the mask does not have, nothing is done, and it was not.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn set(&self, cpu: CpuId) -> Result<bool, ChangeError> {
        self.change_one(cpu, |word, bit| word | bit)
    }

    /// Clears an id; whether it was set. Of one that the mask does not have, nothing is done, and it was not.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn clear(&self, cpu: CpuId) -> Result<bool, ChangeError> {
        self.change_one(cpu, |word, bit| word & !bit)
    }

    /// Sets what is set in the other.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn or(&self, other: &SharedMask<'_, P, A, M>) -> Result<(), ChangeError> {
        self.combine(other, |ours, theirs| ours | theirs)
    }

    /// Leaves set what is set in the other, too.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn and(&self, other: &SharedMask<'_, P, A, M>) -> Result<(), ChangeError> {
        self.combine(other, |ours, theirs| ours & theirs)
    }

    /// Clears what is set in the other.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn and_not(&self, other: &SharedMask<'_, P, A, M>) -> Result<(), ChangeError> {
        self.combine(other, |ours, theirs| ours & !theirs)
    }

    /// Sets what is set in the other, and clears what is not.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn copy(&self, from: &SharedMask<'_, P, A, M>) -> Result<(), ChangeError> {
        self.combine(from, |_, theirs| theirs)
    }

    fn change_one(&self, cpu: CpuId, to: impl Fn(u64, u64) -> u64) -> Result<bool, ChangeError> {
        let (grid_word, bit) = place(cpu.number().into());
        Ok(self.span().contains(cpu) && self.change(grid_word, |word| to(word, bit))? & bit != 0)
    }

    /// Changes the ids that both have, word by word.
    fn combine(&self, other: &SharedMask<'_, P, A, M>, to: impl Fn(u64, u64) -> u64) -> Result<(), ChangeError> {
        let (ours, theirs) = (self.span().grid(), other.span().grid());
        for grid_word in ours.start.max(theirs.start)..ours.end.min(theirs.end) {
            let both = self.span().live(grid_word) & other.span().live(grid_word);
            let operand = other.load(grid_word)?;
            self.change(grid_word, |word| word & !both | to(word, operand) & both)?;
        }
        Ok(())
    }

    /// Changes a word in one step, unless it is as it shall be; what it was.
    fn change(&self, grid_word: u32, to: impl Fn(u64) -> u64) -> Result<u64, ChangeError> {
        // A word of a snapshot is aligned; were it not, there would be no word.
        let word = self.memory.atomic(self.word(grid_word)).map_err(|_| ChangeError::Contended)?;
        let mut seen = word.try_load(Ordering::Relaxed)?;
        for _ in 0..TRIES {
            let changed = to(seen);
            if changed == seen {
                return Ok(seen);
            }
            match word.try_compare_exchange(seen, changed, Ordering::AcqRel, Ordering::Relaxed)? {
                Ok(was) => return Ok(was),
                Err(was) => seen = was,
            }
        }
        Err(ChangeError::Contended)
    }
}
