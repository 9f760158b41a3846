//! What an access of a window is made of, whoever makes it.

/// How many bytes one instruction loads or stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    One,
    /// 16 bits.
    Two,
    /// 32 bits.
    Four,
    /// 64 bits.
    Eight,
}

impl Width {
    /// That of a value of so many bytes; `None` if no instruction has it.
    pub const fn of(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    /// In bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// What becomes of an access where no page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It runs on the scratch page, and a violation is recorded.
    Scratch,
    /// It stops, and leaves nothing.
    Stop,
}

/// An access came to a place without a page, and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many bytes of a copy are done, up to the very byte; 0 for other accesses.
    pub done: usize,
}

/// An atomic access of 32 or 64 bits. Its answer is what was there before.
///
/// An operation that reads and writes is sequentially consistent, whichever ordering was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomicOp {
    /// A load.
    Load(LoadOrder),
    /// A store; the answer is 0.
    Store(u64, StoreOrder),
    /// Puts the value there.
    Swap(u64),
    /// Adds the value, and wraps.
    Add(u64),
    /// Puts `new` there if `current` is.
    CompareExchange {
        /// What must be there.
        current: u64,
        /// What then is put there.
        new: u64,
    },
}

/// The orderings of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadOrder {
    /// None.
    Relaxed,
    /// Acquire, and sequentially consistent with what else is.
    SeqCst,
}

/// The orderings of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOrder {
    /// None.
    Relaxed,
    /// Release.
    Release,
    /// Sequentially consistent.
    SeqCst,
}
