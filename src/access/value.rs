//! Loads and stores of values.

use core::mem::MaybeUninit;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Accessor, Hole, Memory, Missing, SnapshotError, Width};
use crate::addr::{ArenaPtr, GUARD_SIZE};
use crate::arch::Arch;
use crate::platform::Platform;

/// Whoever loads or stores a value by itself starts in the window, so it ends in the guard at the latest: no such access can
/// leave them. A larger value does not compile: copy it.
struct Fits<T>(T);

impl<T> Fits<T> {
    const IN_GUARD: () = assert!(size_of::<T>() as u64 <= GUARD_SIZE, "a value of more than 32 KiB: use a copy");
}

impl<P: Platform, A: Arch, M: Accessor> Memory<'_, P, A, M> {
    /// The value at `ptr`, at any alignment. Where there is no page it is what the scratch page holds, and a violation is
    /// recorded.
    ///
    /// One of 1, 2, 4 or 8 bytes is loaded in one piece if its address is a multiple of its size; of others a program may change
    /// one part before it is loaded, and another after.
    #[inline]
    pub fn load<T: FromBytes>(&self, ptr: ArenaPtr<T>) -> T {
        let () = Fits::<T>::IN_GUARD;
        self.load_as(u64::from(ptr.offset()), Missing::Scratch).unwrap_or_else(|_| T::new_zeroed())
    }

    /// The same, unless there is no page: then nothing is left behind.
    ///
    /// # Errors
    /// [`Hole`].
    #[inline]
    pub fn try_load<T: FromBytes>(&self, ptr: ArenaPtr<T>) -> Result<T, Hole> {
        let () = Fits::<T>::IN_GUARD;
        self.load_as(u64::from(ptr.offset()), Missing::Stop)
    }

    /// Stores a value at `ptr`, at any alignment. Where there is no page it goes to the scratch page, and a violation is
    /// recorded. In one piece, as [`load`](Self::load).
    #[inline]
    pub fn store<T: IntoBytes + Immutable>(&self, ptr: ArenaPtr<T>, value: &T) {
        let () = Fits::<T>::IN_GUARD;
        let _never_stops = self.store_as(u64::from(ptr.offset()), value, Missing::Scratch);
    }

    /// The same, unless there is no page. Of a value that lies in two pages, what lies before the hole may have been stored.
    ///
    /// # Errors
    /// [`Hole`].
    #[inline]
    pub fn try_store<T: IntoBytes + Immutable>(&self, ptr: ArenaPtr<T>, value: &T) -> Result<(), Hole> {
        let () = Fits::<T>::IN_GUARD;
        self.store_as(u64::from(ptr.offset()), value, Missing::Stop)
    }

    /// Reads a value once, and has it validated: what `validate` makes of it is what is used, and the program cannot change
    /// that any more. Loading twice, once to look and once to use, is the mistake that this is against.
    ///
    /// # Errors
    /// [`SnapshotError`].
    ///
    /// ```no_run
    /// # use kernel_arena::access::{Memory, SnapshotError};
    /// # use kernel_arena::{ArenaPtr, Platform};
    /// /// The length that a program names, which is no more than 64.
    /// fn length<P: Platform>(memory: &Memory<'_, P>, at: ArenaPtr<u32>) -> Result<usize, SnapshotError<u32>> {
    ///     memory.try_snapshot(at, |said| if said <= 64 { Ok(said as usize) } else { Err(said) })
    /// }
    /// ```
    #[inline]
    pub fn try_snapshot<T: FromBytes, U, E>(
        &self,
        ptr: ArenaPtr<T>,
        validate: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<U, SnapshotError<E>> {
        let read = self.try_load(ptr).map_err(SnapshotError::Hole)?;
        validate(read).map_err(SnapshotError::Invalid)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bytes of a word are what was loaded")]
    #[inline(always)]
    fn load_as<T: FromBytes>(&self, offset: u64, missing: Missing) -> Result<T, Hole> {
        let mut value = MaybeUninit::<T>::uninit();
        let bytes = size_of::<T>();
        if let Some(width) = Width::of(bytes) {
            if missing == Missing::Stop {
                self.look(offset, bytes)?;
            }
            // SAFETY: the value starts in the window, and is no larger than the guard; the arena is shared, and whoever asked
            // for the access vouches that its faults are handled.
            let loaded = unsafe { self.accessor.load(self.address(offset), width, missing) };
            let loaded = loaded.map_err(|_| self.hole(offset, bytes))?;
            let to = value.as_mut_ptr();
            match width {
                // SAFETY: the value has that size; so have those below.
                Width::One => unsafe { to.cast::<u8>().write_unaligned(loaded as u8) },
                // SAFETY: as above.
                Width::Two => unsafe { to.cast::<u16>().write_unaligned(loaded as u16) },
                // SAFETY: as above.
                Width::Four => unsafe { to.cast::<u32>().write_unaligned(loaded as u32) },
                // SAFETY: as above.
                Width::Eight => unsafe { to.cast::<u64>().write_unaligned(loaded) },
            }
        } else {
            let to = value.as_mut_ptr().cast::<MaybeUninit<u8>>();
            // SAFETY: the bytes of the value, which may be anything.
            let to = unsafe { core::slice::from_raw_parts_mut(to, bytes) };
            self.bytes_in(offset, to, missing).map_err(|(hole, _)| hole)?;
        }
        // SAFETY: all its bytes were written, and any bytes are a value of a type that is `FromBytes`.
        Ok(unsafe { value.assume_init() })
    }

    #[inline(always)]
    fn store_as<T: IntoBytes + Immutable>(&self, offset: u64, value: &T, missing: Missing) -> Result<(), Hole> {
        let bytes = value.as_bytes();
        let (width, word) = match *bytes {
            [a] => (Width::One, u64::from(a)),
            [a, b] => (Width::Two, u16::from_ne_bytes([a, b]).into()),
            [a, b, c, d] => (Width::Four, u32::from_ne_bytes([a, b, c, d]).into()),
            [a, b, c, d, e, f, g, h] => (Width::Eight, u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
            _ => return self.bytes_out(offset, bytes, missing).map_err(|(hole, _)| hole),
        };
        if missing == Missing::Stop {
            self.look(offset, bytes.len())?;
        }
        // SAFETY: as for a load.
        let stored = unsafe { self.accessor.store(self.address(offset), width, word, missing) };
        stored.map_err(|_| self.hole(offset, bytes.len()))
    }
}
