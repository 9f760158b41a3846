//! Physical memory, and frames whose content and life loom can see.
//!
//! The bytes behind a frame are plain memory: loom sees the atomics that the arena builds in its tables, but not the zeroing
//! of a page. So each data frame has three things beside its bytes. A *content* word stands for all of them: garbage once the
//! frame is freed, 0 from the moment it is taken (the arena zeroes it then), written and read Relaxed, so that an accessor who
//! reaches the frame without the zeroing having become visible reads garbage. A *watched* flag is changed when the frame is
//! taken or freed, and read by each access: loom reports what is not ordered. And a *lent* flag, invisible to loom, says what
//! is true at this moment.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use kernel_arena::platform::Frame;
use kernel_arena::sync::{AtomicU64, Ordering};

use crate::watched::Watched;

/// Frames that become tables or the scratch page: seven that every arena has, and one leaf table.
pub(crate) const TABLE_FRAMES: usize = 8;
/// Frames that become pages.
const DATA_FRAMES: usize = 3;

/// What a freed frame holds.
pub(crate) const GARBAGE: u64 = 0xdead;

#[repr(C, align(4096))]
struct Bytes(UnsafeCell<[u8; 4096]>);

/// The bytes of all frames; lives through all executions of a model.
pub(crate) struct Memory(Box<[Bytes]>);

// SAFETY: loom runs the threads of an execution, and one execution after another, on one thread of the host.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

const _: () = assert!(size_of::<AtomicU64>() * 2 <= 4096, "a table of two of loom's atomics fits a frame");

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        let bytes = || Bytes(UnsafeCell::new([0; 4096]));
        Arc::new(Self((0..TABLE_FRAMES + DATA_FRAMES).map(|_| bytes()).collect()))
    }

    pub(crate) fn bytes(&self, frame: Frame) -> NonNull<u8> {
        NonNull::new(self.0[number(frame)].0.get().cast()).expect("memory is not at address 0")
    }
}

/// Frame n is at physical address (n + 1) * 4096.
fn number(frame: Frame) -> usize {
    usize::try_from(frame.address() / 4096).expect("64 bits") - 1
}

fn frame(number: usize) -> Frame {
    Frame::new((number as u64 + 1) * 4096).expect("a multiple of 4096")
}

/// The frame source of one execution.
pub(crate) struct Frames {
    tables: [AtomicBool; TABLE_FRAMES],
    data: Vec<DataFrame>,
}

/// A frame for a page.
pub(crate) struct DataFrame {
    /// 1 while the source has it. A word for each frame: taking one frame orders nothing after the freeing of another.
    free: AtomicU64,
    content: AtomicU64,
    watched: Watched,
    lent: AtomicBool,
}

impl Frames {
    pub(crate) fn new() -> Self {
        let data = || DataFrame {
            free: AtomicU64::new(1),
            content: AtomicU64::new(GARBAGE),
            watched: Watched::new(false),
            lent: AtomicBool::new(false),
        };
        let tables = [const { AtomicBool::new(false) }; TABLE_FRAMES];
        Self { tables, data: (0..DATA_FRAMES).map(|_| data()).collect() }
    }

    /// The arena's first frames are its tables. Each CPU then looks for a frame at its own first, so that two CPUs meet at a
    /// frame only if one frees it.
    pub(crate) fn take(&self, cpu: usize) -> Option<Frame> {
        if let Some(n) = self.tables.iter().position(|lent| !lent.swap(true, SeqCst)) {
            return Some(frame(n));
        }
        let order = (0..DATA_FRAMES).map(|n| (n + cpu) % DATA_FRAMES);
        order.into_iter().find(|n| self.data[*n].take()).map(|n| frame(TABLE_FRAMES + n))
    }

    pub(crate) fn give_back(&self, frame: Frame) {
        match self.data(frame) {
            Some(data) => data.give_back(),
            None => assert!(self.tables[number(frame)].swap(false, SeqCst), "a table was freed twice"),
        }
    }

    /// The data frame, if it is not a table's.
    pub(crate) fn data(&self, frame: Frame) -> Option<&DataFrame> {
        number(frame).checked_sub(TABLE_FRAMES).map(|n| &self.data[n])
    }

    /// Whether a table's frame is out.
    pub(crate) fn is_table(&self, frame: Frame) -> bool {
        self.tables.get(number(frame)).is_some_and(|lent| lent.load(SeqCst))
    }

    /// How many frames are out.
    pub(crate) fn lent(&self) -> usize {
        let lent = self.tables.iter().chain(self.data.iter().map(|data| &data.lent));
        lent.filter(|lent| lent.load(SeqCst)).count()
    }
}

impl DataFrame {
    fn take(&self) -> bool {
        let taken = self.free.compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken {
            assert!(!self.lent.swap(true, SeqCst));
            self.watched.set(true);
            self.content.store(0, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self) {
        assert!(self.lent.swap(false, SeqCst), "a frame was freed twice");
        self.watched.set(false);
        self.content.store(GARBAGE, Ordering::Relaxed);
        self.free.store(1, Ordering::Release);
    }

    pub(crate) fn load(&self) -> u64 {
        self.touch();
        self.content.load(Ordering::Relaxed)
    }

    pub(crate) fn store(&self, value: u64) {
        self.touch();
        self.content.store(value, Ordering::Relaxed);
    }

    fn touch(&self) {
        assert!(self.lent.load(SeqCst), "I5: an access reached a frame that is free");
        assert!(self.watched.get());
    }
}
