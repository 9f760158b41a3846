//! Physical memory and the frame source.
//!
//! Frames are real memory of this process, at physical addresses that have nothing to do with their host addresses, so that
//! an address taken for a pointer does not work by chance. The one given back last is handed out first, which is what makes a
//! stale translation hurt most. Free frames are full of poison: whoever forgets to zero a fresh one sees it, and whoever
//! writes to a free one is found out when it is handed out again.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::ptr::NonNull;

use kernel_arena::platform::{Frame, NodeId};

use super::random::Random;
use super::rule;

const FRAME_BYTES: usize = 4096;
/// The physical address of the first frame.
const PHYSICAL_BASE: u64 = 0x12_3456_7000;
const POISON: u64 = 0xa5a5_a5a5_a5a5_a5a5;

pub(super) struct Memory {
    first: NonNull<u8>,
    layout: Layout,
    source: RefCell<Source>,
}

struct Source {
    /// Numbers of free frames; the last is handed out next.
    free: Vec<usize>,
    taken: Vec<bool>,
    /// Counts down; the call at 0 finds nothing.
    fail_in: Option<u32>,
    /// How many may be in use at once.
    limit: usize,
    last_node: Option<NodeId>,
    calls: u32,
}

impl Memory {
    pub(super) fn new(frames: usize, random: &Random) -> Self {
        let layout = Layout::from_size_align(frames * FRAME_BYTES, FRAME_BYTES).unwrap();
        // SAFETY: a machine has at least one frame, so the size is not 0.
        let first = unsafe { alloc(layout) };
        let first = NonNull::new(first).expect("no memory for the machine");
        // Numbers next to each other are not to be frames next to each other.
        let mut free: Vec<usize> = (0..frames).collect();
        for n in (1..frames).rev() {
            free.swap(n, index(random.below(n as u64 + 1)));
        }
        let memory = Self {
            first,
            layout,
            source: RefCell::new(Source {
                free,
                taken: vec![false; frames],
                fail_in: None,
                limit: frames,
                last_node: None,
                calls: 0,
            }),
        };
        (0..frames).for_each(|number| memory.poison(number));
        memory
    }

    pub(super) fn alloc(&self, node: Option<NodeId>) -> Option<Frame> {
        let mut source = self.source.borrow_mut();
        source.calls += 1;
        source.last_node = node;
        if let Some(calls) = source.fail_in {
            source.fail_in = calls.checked_sub(1);
            if calls == 0 {
                return None;
            }
        }
        if source.in_use() >= source.limit {
            return None;
        }
        let number = source.free.pop()?;
        source.taken[number] = true;
        rule(self.words(number).iter().all(|word| *word == POISON), || {
            format!("frame {number} was written to while it was free")
        });
        Frame::new(PHYSICAL_BASE + (number * FRAME_BYTES) as u64)
    }

    pub(super) fn free(&self, frame: Frame) {
        let number = self.number(frame.address());
        let mut source = self.source.borrow_mut();
        rule(source.taken[number], || format!("{frame:?} was freed but not taken: a double free"));
        if std::mem::replace(&mut source.taken[number], false) {
            source.free.push(number);
            self.poison(number);
        }
    }

    /// The host's pointer to a frame.
    pub(super) fn pointer(&self, address: u64) -> NonNull<u8> {
        self.pointer_to(self.number(address))
    }

    /// The physical address of what the host's pointer points to.
    pub(super) fn address_of(&self, pointer: NonNull<u8>) -> u64 {
        let bytes = pointer.addr().get() - self.first.addr().get();
        assert!(bytes < self.layout.size(), "{pointer:?} is not in a frame of this machine");
        PHYSICAL_BASE + bytes as u64
    }

    /// The words of a frame that somebody has taken.
    pub(super) fn table(&self, address: u64) -> &[u64] {
        let number = self.number(address);
        rule(self.source.borrow().taken[number], || format!("the frame at {address:#x} is walked as a table but free"));
        self.words(number)
    }

    pub(super) fn is_taken(&self, address: u64) -> bool {
        self.source.borrow().taken[self.number(address)]
    }

    pub(super) fn in_use(&self) -> usize {
        self.source.borrow().in_use()
    }

    /// The frames that are taken.
    pub(super) fn taken(&self) -> Vec<u64> {
        let source = self.source.borrow();
        let taken = source.taken.iter().enumerate().filter(|(_, taken)| **taken);
        taken.map(|(number, _)| PHYSICAL_BASE + (number * FRAME_BYTES) as u64).collect()
    }

    pub(super) fn calls(&self) -> u32 {
        self.source.borrow().calls
    }

    pub(super) fn last_node(&self) -> Option<NodeId> {
        self.source.borrow().last_node
    }

    /// Has the `n`-th call from now, counted from 0, find nothing; `None`: all calls find what there is.
    pub(super) fn fail_in(&self, n: Option<u32>) {
        self.source.borrow_mut().fail_in = n;
    }

    /// From now on frames are given out in ascending order.
    pub(super) fn count_upwards(&self) {
        self.source.borrow_mut().free.sort_unstable_by(|one, other| other.cmp(one));
    }

    pub(super) fn set_limit(&self, frames: usize) {
        self.source.borrow_mut().limit = frames;
    }

    fn number(&self, address: u64) -> usize {
        let number = index(address.wrapping_sub(PHYSICAL_BASE)) / FRAME_BYTES;
        assert!(
            address % FRAME_BYTES as u64 == 0 && number < self.layout.size() / FRAME_BYTES,
            "{address:#x} is not a frame of this machine"
        );
        number
    }

    fn pointer_to(&self, number: usize) -> NonNull<u8> {
        // SAFETY: numbers come from the free list or from `number`, so the frame is in the allocation.
        unsafe { self.first.add(number * FRAME_BYTES) }
    }

    fn words(&self, number: usize) -> &[u64] {
        let first = self.pointer_to(number).cast::<u64>();
        // SAFETY: the frame's memory is initialised (it was poisoned) and lives as long as `self`; the machine has one
        // thread, which does not write while this borrow is looked at.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), FRAME_BYTES / 8) }
    }

    fn poison(&self, number: usize) {
        let first = self.pointer_to(number);
        // SAFETY: the frame is free, and the machine has one thread.
        unsafe { first.write_bytes(POISON.to_le_bytes()[0], FRAME_BYTES) };
    }
}

impl Source {
    fn in_use(&self) -> usize {
        self.taken.len() - self.free.len()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and nothing outlives the machine that points into it.
        unsafe { dealloc(self.first.as_ptr(), self.layout) };
    }
}

/// Addresses have 64 bits on every host these tests are for.
pub(super) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
