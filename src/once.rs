//! A value that is written once, without waiting: whoever comes while another is at it is refused, not kept.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use crate::sync::{AtomicU32, Ordering};

/// A value that is written once.
pub(crate) struct Once<T> {
    state: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

const EMPTY: u32 = 0;
const BEING_WRITTEN: u32 = 1;
const READY: u32 = 2;

// SAFETY: the value is written by one thread before anybody reads it, and shared from then on.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    #[cfg(not(kernel_arena_loom))]
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    #[cfg(kernel_arena_loom)]
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire: pairs with the Release of `set`.
        if self.state.load(Ordering::Acquire) != READY {
            return None;
        }
        // SAFETY: written before the state said so, and never again.
        Some(unsafe { &*self.value.get().cast::<T>() })
    }

    pub(crate) fn into_inner(self) -> Option<T> {
        let ready = self.state.load(Ordering::Acquire) == READY;
        // SAFETY: written before the state said so, and nobody else has it any more.
        ready.then(|| unsafe { self.value.into_inner().assume_init() })
    }

    /// The right to write the value: one caller has it at a time, until it writes or gives up.
    pub(crate) fn begin(&self) -> bool {
        self.state.compare_exchange(EMPTY, BEING_WRITTEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn give_up(&self) {
        self.state.store(EMPTY, Ordering::Release);
    }

    /// Only after [`begin`](Self::begin) said yes.
    pub(crate) fn set(&self, value: T) {
        // SAFETY: the caller alone has the right, and nobody reads before the state says so.
        unsafe { self.value.get().cast::<T>().write(value) };
        self.state.store(READY, Ordering::Release);
    }

    /// Writes the value, if there is none and nobody is writing one.
    pub(crate) fn put(&self, value: T) -> Result<&T, T> {
        if !self.begin() {
            return Err(value);
        }
        self.set(value);
        // SAFETY: written just now.
        Ok(unsafe { &*self.value.get().cast::<T>() })
    }

    /// Takes the value out.
    ///
    /// # Safety
    /// No reference to it is used from now on, nobody asks for one at this moment, and all use comes before this call.
    pub(crate) unsafe fn take(&self) -> Option<T> {
        // Acquire: pairs with the Release of `set`.
        self.state.compare_exchange(READY, BEING_WRITTEN, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: it was there, and the caller leaves it to us alone.
        let value = unsafe { self.value.get().cast::<T>().read() };
        self.give_up();
        Some(value)
    }
}
