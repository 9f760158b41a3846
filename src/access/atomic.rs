//! Words of 32 and 64 bits that the kernel and programs change at once.

use core::fmt;
use core::sync::atomic::Ordering;

use super::{Accessor, AtomicOp, Hole, LoadOrder, Memory, Misaligned, Missing, Processor, StoreOrder, Width};
use crate::addr::ArenaPtr;
use crate::arch::{Arch, Native};
use crate::platform::Platform;

/// `u32` and `u64`.
pub trait AtomicValue: Copy + fmt::Debug + sealed::Word {}

mod sealed {
    /// As a word of the accesses.
    pub trait Word: Eq {
        /// How many bytes.
        const WIDTH: super::Width;
        /// As 64 bits.
        fn widen(self) -> u64;
        /// Of 64 bits, those that count.
        fn narrow(word: u64) -> Self;
    }
}

impl AtomicValue for u32 {}
impl AtomicValue for u64 {}

impl sealed::Word for u32 {
    const WIDTH: Width = Width::Four;
    fn widen(self) -> u64 {
        self.into()
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the word")]
    fn narrow(word: u64) -> Self {
        word as Self
    }
}

impl sealed::Word for u64 {
    const WIDTH: Width = Width::Eight;
    fn widen(self) -> u64 {
        self
    }
    fn narrow(word: u64) -> Self {
        word
    }
}

/// A word in the window that is accessed atomically; its address is a multiple of its size.
///
/// The methods are those of [`AtomicU32`](core::sync::atomic::AtomicU32), with its orderings, in both flavours. None panics: a
/// load or a store with an ordering that such has not is sequentially consistent.
///
/// So is all that reads and writes, whichever ordering is asked for, which is never too weak. It is no difference on x86_64, where a
/// locked instruction is that; on aarch64 it is an exclusive pair with acquire and release (`ldaxr`, `stlxr`), where a weaker
/// ordering could do without one or both, and none of the instructions of FEAT_LSE. A counter that many CPUs change at once is
/// therefore better one for each CPU.
pub struct Atomic<'a, T, P: Platform, A: Arch = Native, M = Processor> {
    memory: &'a Memory<'a, P, A, M>,
    ptr: ArenaPtr<T>,
}

impl<P: Platform, A: Arch, M: Accessor> Memory<'_, P, A, M> {
    /// The word at `ptr`, to be accessed atomically.
    ///
    /// # Errors
    /// [`Misaligned`]: a program may have chosen any address.
    pub fn atomic<T: AtomicValue>(&self, ptr: ArenaPtr<T>) -> Result<Atomic<'_, T, P, A, M>, Misaligned> {
        let (offset, alignment) = (ptr.offset(), if T::WIDTH.bytes() == 4 { 4 } else { 8 });
        if offset % alignment == 0 { Ok(Atomic { memory: self, ptr }) } else { Err(Misaligned { offset, alignment }) }
    }
}

/// How a change ended: with what was there before, which may be what was to be there.
type Exchanged<T> = Result<T, T>;

impl<T: AtomicValue, P: Platform, A: Arch, M: Accessor> Atomic<'_, T, P, A, M> {
    /// Loads.
    pub fn load(&self, order: Ordering) -> T {
        self.plain(AtomicOp::Load(load_order(order)))
    }

    /// Loads, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_load(&self, order: Ordering) -> Result<T, Hole> {
        self.stopping(AtomicOp::Load(load_order(order)))
    }

    /// Stores.
    pub fn store(&self, value: T, order: Ordering) {
        let _nothing = self.plain(AtomicOp::Store(value.widen(), store_order(order)));
    }

    /// Stores, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_store(&self, value: T, order: Ordering) -> Result<(), Hole> {
        self.stopping(AtomicOp::Store(value.widen(), store_order(order))).map(drop)
    }

    /// Puts `value` there; what was there before.
    pub fn swap(&self, value: T, _order: Ordering) -> T {
        self.plain(AtomicOp::Swap(value.widen()))
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_swap(&self, value: T, _order: Ordering) -> Result<T, Hole> {
        self.stopping(AtomicOp::Swap(value.widen()))
    }

    /// Puts `new` there if `current` is; what was there before, which then is `current`.
    ///
    /// # Errors
    /// What was there instead.
    pub fn compare_exchange(&self, current: T, new: T, _success: Ordering, _failure: Ordering) -> Exchanged<T> {
        exchanged(current, self.plain(exchange(current, new)))
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`]; within, as [`compare_exchange`](Self::compare_exchange).
    pub fn try_compare_exchange(
        &self,
        current: T,
        new: T,
        _success: Ordering,
        _failure: Ordering,
    ) -> Result<Exchanged<T>, Hole> {
        self.stopping(exchange(current, new)).map(|seen| exchanged(current, seen))
    }

    /// Adds, and wraps; what was there before.
    pub fn fetch_add(&self, value: T, _order: Ordering) -> T {
        self.plain(AtomicOp::Add(value.widen()))
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_fetch_add(&self, value: T, _order: Ordering) -> Result<T, Hole> {
        self.stopping(AtomicOp::Add(value.widen()))
    }

    /// Subtracts, and wraps; what was there before.
    pub fn fetch_sub(&self, value: T, _order: Ordering) -> T {
        self.plain(AtomicOp::Add(value.widen().wrapping_neg()))
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_fetch_sub(&self, value: T, _order: Ordering) -> Result<T, Hole> {
        self.stopping(AtomicOp::Add(value.widen().wrapping_neg()))
    }

    /// And, bit by bit; what was there before.
    pub fn fetch_and(&self, value: T, _order: Ordering) -> T {
        self.change(Missing::Scratch, |word| word & value.widen()).unwrap_or(value)
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_fetch_and(&self, value: T, _order: Ordering) -> Result<T, Hole> {
        self.change(Missing::Stop, |word| word & value.widen())
    }

    /// Or, bit by bit; what was there before.
    pub fn fetch_or(&self, value: T, _order: Ordering) -> T {
        self.change(Missing::Scratch, |word| word | value.widen()).unwrap_or(value)
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_fetch_or(&self, value: T, _order: Ordering) -> Result<T, Hole> {
        self.change(Missing::Stop, |word| word | value.widen())
    }

    /// Exclusive or, bit by bit; what was there before.
    pub fn fetch_xor(&self, value: T, _order: Ordering) -> T {
        self.change(Missing::Scratch, |word| word ^ value.widen()).unwrap_or(value)
    }

    /// The same, unless there is no page.
    ///
    /// # Errors
    /// [`Hole`].
    pub fn try_fetch_xor(&self, value: T, _order: Ordering) -> Result<T, Hole> {
        self.change(Missing::Stop, |word| word ^ value.widen())
    }

    /// An exchange until nobody came between.
    fn change(&self, missing: Missing, to: impl Fn(u64) -> u64) -> Result<T, Hole> {
        let mut seen = self.run(AtomicOp::Load(LoadOrder::Relaxed), missing)?;
        loop {
            let was = self.run(AtomicOp::CompareExchange { current: seen, new: to(seen) }, missing)?;
            if was == seen {
                return Ok(T::narrow(was));
            }
            seen = was;
        }
    }

    fn plain(&self, op: AtomicOp) -> T {
        // An access of this flavour never stops.
        T::narrow(self.run(op, Missing::Scratch).unwrap_or_default())
    }

    fn stopping(&self, op: AtomicOp) -> Result<T, Hole> {
        self.run(op, Missing::Stop).map(T::narrow)
    }

    #[inline(always)]
    fn run(&self, op: AtomicOp, missing: Missing) -> Result<u64, Hole> {
        let (memory, offset) = (self.memory, u64::from(self.ptr.offset()));
        if missing == Missing::Stop {
            memory.look(offset, T::WIDTH.bytes())?;
        }
        // SAFETY: the word lies in the window, for it starts there and is aligned; the arena is shared, and whoever asked for
        // the access vouches that its faults are handled.
        let answer = unsafe { memory.accessor.atomic(memory.address(offset), T::WIDTH, op, missing) };
        answer.map_err(|_| memory.hole(offset, T::WIDTH.bytes()))
    }
}

fn exchange<T: AtomicValue>(current: T, new: T) -> AtomicOp {
    AtomicOp::CompareExchange { current: current.widen(), new: new.widen() }
}

fn exchanged<T: AtomicValue>(current: T, seen: T) -> Exchanged<T> {
    if seen == current { Ok(seen) } else { Err(seen) }
}

const fn load_order(order: Ordering) -> LoadOrder {
    if matches!(order, Ordering::Relaxed) { LoadOrder::Relaxed } else { LoadOrder::SeqCst }
}

const fn store_order(order: Ordering) -> StoreOrder {
    match order {
        Ordering::Relaxed => StoreOrder::Relaxed,
        Ordering::Release => StoreOrder::Release,
        _ => StoreOrder::SeqCst,
    }
}

impl<T, P: Platform, A: Arch, M> fmt::Debug for Atomic<'_, T, P, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Atomic({:#x})", self.ptr.offset())
    }
}
