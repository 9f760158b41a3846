//! Initialisation, once, without waiting: whoever comes while another is at it is refused, not kept.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use super::{Heap, InitError, InitRefused};
use crate::layout::Sharing;
use crate::slab::{Mode, Slab};
use crate::source::{MetadataSource, PageSource};
use crate::sync::{AtomicU32, Ordering};

/// A value that is written once.
pub(super) struct Once<T> {
    state: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

const EMPTY: u32 = 0;
const BEING_WRITTEN: u32 = 1;
const READY: u32 = 2;

// SAFETY: the value is written by one thread before anybody reads it, and shared from then on.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub(super) const fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        // Acquire: pairs with the Release of `set`.
        if self.state.load(Ordering::Acquire) != READY {
            return None;
        }
        // SAFETY: written before the state said so, and never again.
        Some(unsafe { &*self.value.get().cast::<T>() })
    }

    pub(super) fn into_inner(self) -> Option<T> {
        let ready = self.state.load(Ordering::Acquire) == READY;
        // SAFETY: written before the state said so, and nobody else has it any more.
        ready.then(|| unsafe { self.value.into_inner().assume_init() })
    }

    /// The right to write the value: one caller has it at a time, until it writes or gives up.
    fn begin(&self) -> bool {
        self.state.compare_exchange(EMPTY, BEING_WRITTEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn give_up(&self) {
        self.state.store(EMPTY, Ordering::Release);
    }

    /// Only after [`begin`](Self::begin) said yes.
    fn set(&self, value: T) {
        // SAFETY: the caller alone has the right, and nobody reads before the state says so.
        unsafe { self.value.get().cast::<T>().write(value) };
        self.state.store(READY, Ordering::Release);
    }
}

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// Gives the heap its sources. In [`Mode::Debug`] mistakes of those who use it are recorded.
    ///
    /// Context: *any* in which both sources may be called. Who comes while another is at it is refused, not kept waiting.
    ///
    /// # Errors
    /// [`InitRefused`] says why and gives the sources back; the heap is as it was.
    pub fn init(&self, source: S, metadata: M, mode: Mode) -> Result<(), InitRefused<S, M>> {
        if source.sharing() == Sharing::Shared {
            return Err(InitRefused { error: InitError::SharedMemory, source, metadata });
        }
        if !self.slab.begin() {
            return Err(InitRefused { error: InitError::AlreadyInitialised, source, metadata });
        }
        match Slab::new(source, metadata, mode) {
            Ok(slab) => {
                self.slab.set(slab);
                Ok(())
            }
            Err(refused) => {
                self.slab.give_up();
                let error = InitError::Slab(refused.error);
                Err(InitRefused { error, source: refused.source, metadata: refused.metadata })
            }
        }
    }
}
