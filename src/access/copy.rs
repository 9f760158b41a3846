//! Copies between the window and memory of the kernel's.

use core::mem::MaybeUninit;
use core::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Accessor, Hole, LeavesWindow, Memory, Missing, Stopped, TryCopyError};
use crate::addr::{ArenaPtr, KernelAddr, PAGE_BYTES, PAGE_SIZE};
use crate::arch::Arch;
use crate::platform::Platform;

impl<P: Platform, A: Arch, M: Accessor> Memory<'_, P, A, M> {
    /// Fills `into` with what is at `from` and behind it. Where there is no page that is what the scratch page holds, and a
    /// violation is recorded of each.
    ///
    /// A program may write meanwhile: then some bytes are older than others.
    ///
    /// # Errors
    /// [`LeavesWindow`]; nothing was copied.
    #[inline]
    pub fn copy_in<T: FromBytes>(&self, from: ArenaPtr<T>, into: &mut [T]) -> Result<(), LeavesWindow> {
        let offset = Self::reach(from, size_of_val(into))?;
        let _never_stops = self.bytes_in(offset, bytes_of(into), Missing::Scratch);
        Ok(())
    }

    /// The same, up to the first byte that has no page. What lies behind it in `into` is as it was.
    ///
    /// # Errors
    /// [`TryCopyError`], with how many bytes were copied.
    #[inline]
    pub fn try_copy_in<T: FromBytes>(&self, from: ArenaPtr<T>, into: &mut [T]) -> Result<(), TryCopyError> {
        let offset = Self::reach(from, size_of_val(into))?;
        self.bytes_in(offset, bytes_of(into), Missing::Stop).map_err(stopped)
    }

    /// Copies `from` to `to` and behind it. Where there is no page it goes to the scratch page, and a violation is recorded of
    /// each.
    ///
    /// # Errors
    /// [`LeavesWindow`]; nothing was copied.
    #[inline]
    pub fn copy_out<T: IntoBytes + Immutable>(&self, to: ArenaPtr<T>, from: &[T]) -> Result<(), LeavesWindow> {
        let offset = Self::reach(to, size_of_val(from))?;
        let _never_stops = self.bytes_out(offset, from.as_bytes(), Missing::Scratch);
        Ok(())
    }

    /// The same, up to the first byte that has no page.
    ///
    /// # Errors
    /// [`TryCopyError`], with how many bytes were copied.
    #[inline]
    pub fn try_copy_out<T: IntoBytes + Immutable>(&self, to: ArenaPtr<T>, from: &[T]) -> Result<(), TryCopyError> {
        let offset = Self::reach(to, size_of_val(from))?;
        self.bytes_out(offset, from.as_bytes(), Missing::Stop).map_err(stopped)
    }

    /// Copies out of bytes that lie in window and guard. Stopped, it says where, and how many are done.
    #[inline(always)]
    pub(super) fn bytes_in(
        &self,
        offset: u64,
        into: &mut [MaybeUninit<u8>],
        missing: Missing,
    ) -> Result<(), (Hole, usize)> {
        if missing == Missing::Stop && self.must_look() {
            return self.by_pages(offset, into.len(), |at, part| {
                // SAFETY: as below.
                unsafe { self.accessor.copy_in(at, &mut into[part], missing) }
            });
        }
        // SAFETY: the bytes lie in window and guard of a shared arena, and whoever asked for the access vouches that its
        // faults are handled.
        let copied = unsafe { self.accessor.copy_in(self.address(offset), into, missing) };
        copied.map_err(|at| self.stopped(offset, at.done))
    }

    /// The same into them.
    #[inline(always)]
    pub(super) fn bytes_out(&self, offset: u64, from: &[u8], missing: Missing) -> Result<(), (Hole, usize)> {
        if missing == Missing::Stop && self.must_look() {
            return self.by_pages(offset, from.len(), |at, part| {
                // SAFETY: as above.
                unsafe { self.accessor.copy_out(at, &from[part], missing) }
            });
        }
        // SAFETY: as above.
        let copied = unsafe { self.accessor.copy_out(self.address(offset), from, missing) };
        copied.map_err(|at| self.stopped(offset, at.done))
    }

    /// Page by page, and each looked at before. (What else is copied at once: a page that is scratched meanwhile is one that
    /// is scratched at the time of the access.)
    #[inline(never)]
    fn by_pages(
        &self,
        offset: u64,
        bytes: usize,
        mut copy: impl FnMut(KernelAddr, Range<usize>) -> Result<(), Stopped>,
    ) -> Result<(), (Hole, usize)> {
        let mut done = 0;
        while done < bytes {
            let at = offset + done as u64;
            let in_page = PAGE_BYTES - (at & (PAGE_SIZE - 1)) as usize;
            let part = done..bytes.min(done + in_page);
            let end = part.end;
            self.look(at, 1).map_err(|_| self.stopped(offset, done))?;
            copy(self.address(at), part).map_err(|at| self.stopped(offset, done + at.done))?;
            done = end;
        }
        Ok(())
    }

    fn stopped(&self, offset: u64, done: usize) -> (Hole, usize) {
        (Hole { address: self.address(offset + done as u64) }, done)
    }
}

fn stopped((hole, copied): (Hole, usize)) -> TryCopyError {
    TryCopyError::Hole { hole, copied }
}

/// The bytes of values, to be written: any bytes are values of such a type.
fn bytes_of<T: FromBytes>(values: &mut [T]) -> &mut [MaybeUninit<u8>] {
    let bytes = size_of_val(values);
    // SAFETY: the same memory, borrowed as long. Whoever gets it here writes initialised bytes, and those are values.
    unsafe { core::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), bytes) }
}
