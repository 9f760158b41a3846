//! Physical memory of a host's: pages of its own, each at its own address, and root tables in it.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::AddressRange;
use kernel_arena::arch::Root;
use kernel_arena::platform::{
    EntryAttributes, FixedOffset, FlushScope, Frame, FrameSource, NodeId, PhysMap, Shootdown,
};

/// Frames, all of whose bytes are set when they are handed out.
pub(super) struct Memory {
    free: RefCell<Vec<Frame>>,
}

impl Memory {
    pub(super) fn of(frames: usize) -> Self {
        let bytes = vec![0u8; (frames + 1) * 4096].leak();
        let start = bytes.as_mut_ptr().expose_provenance().next_multiple_of(4096) as u64;
        let free = (0..frames as u64).rev().map(|number| Frame::new(start + number * 4096).unwrap()).collect();
        Self { free: RefCell::new(free) }
    }

    pub(super) fn left(&self) -> usize {
        self.free.borrow().len()
    }

    /// A table of zeros.
    pub(super) fn table(&self) -> Frame {
        let table = self.alloc(None).unwrap();
        entries(table).iter().for_each(|entry| entry.store(0, Ordering::Relaxed));
        table
    }

    /// A root table of zeros.
    pub(super) fn root(&self, bits: u32) -> (Frame, Root) {
        let table = self.table();
        (table, Root::new(table.address(), bits).unwrap())
    }
}

impl FrameSource for Memory {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        let frame = self.free.borrow_mut().pop()?;
        entries(frame).iter().for_each(|entry| entry.store(!0, Ordering::Relaxed));
        Some(frame)
    }

    unsafe fn free(&self, frame: Frame) {
        assert!(!self.free.borrow().contains(&frame), "freed twice");
        self.free.borrow_mut().push(frame);
    }
}

/// The physical map: each frame at its own address.
pub(super) fn map() -> FixedOffset {
    // SAFETY: the frames of `Memory` are memory at their own addresses.
    unsafe { FixedOffset::new(0, EntryAttributes::default()) }
}

/// The words of a table.
pub(super) fn entries(table: Frame) -> &'static [AtomicU64; 512] {
    let first: NonNull<[AtomicU64; 512]> = map().frame_to_ptr(table).cast();
    // SAFETY: a frame of `Memory`, which is never unmapped.
    unsafe { first.as_ref() }
}

/// Counts flushes.
#[derive(Default)]
pub(super) struct Flushes(pub(super) AtomicU64);

impl Shootdown for Flushes {
    fn shootdown(&self, _ranges: &[AddressRange], scope: FlushScope) {
        assert_eq!(scope, FlushScope::Tables);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
