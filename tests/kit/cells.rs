//! Statics for an arena and its metadata, and a platform in parts.

use std::sync::atomic::AtomicU64;

use kernel_arena::kit::{ArenaCell, FrameFns, MetadataCell, Parts};
use kernel_arena::platform::{
    CpuCount, CpuIdentity, CpuLevel, FixedOffset, FlushScope, Frame, FrameSource, Shootdown, UpperSlots,
};
use kernel_arena::{AddressRange, AddressWidth, AllocRequest, Arena, ArenaLayout, KernelAddr, Owner, PageCount};

use super::memory::{Memory, map};

const BASE: KernelAddr = KernelAddr::new(0xffff_9000_0000_0000);
const LAYOUT: ArenaLayout = ArenaLayout::fixed(BASE.value(), AddressWidth::BITS_48, 16);

struct Nobody;

impl CpuIdentity for Nobody {
    fn current(&self) -> Option<CpuLevel> {
        None
    }
    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

struct NoTlb;

impl Shootdown for NoTlb {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

#[derive(Default)]
struct Words([AtomicU64; 5]);

impl UpperSlots for Words {
    fn window_base(&self) -> KernelAddr {
        BASE
    }
    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [first, second, third, fourth, _] = self.0.each_ref();
        [first, second, third, fourth]
    }
    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.0[4]
    }
}

type Kernel = Parts<FrameFns, FixedOffset, NoTlb, Nobody, Words>;

thread_local! {
    static MEMORY: Memory = Memory::of(64);
}

fn alloc_frame() -> Option<u64> {
    MEMORY.with(|memory| memory.alloc(None)).map(Frame::address)
}

fn free_frame(address: u64) {
    // SAFETY: it came from there.
    MEMORY.with(|memory| unsafe { memory.free(Frame::new(address).unwrap()) });
}

fn kernel() -> Kernel {
    let frames = FrameFns::new(alloc_frame, free_frame);
    // SAFETY: a process, where nothing is walked.
    unsafe { Parts::new(frames, map(), NoTlb, Nobody, Words::default()) }
}

#[test]
fn an_arena_lives_in_a_static_and_comes_back() {
    static METADATA: MetadataCell<{ LAYOUT.metadata_words() }> = MetadataCell::new();
    static ARENA: ArenaCell<Kernel> = ArenaCell::new();
    assert!(ARENA.get().is_none());
    let before = MEMORY.with(Memory::left);
    let metadata = METADATA.take().unwrap();
    assert!(METADATA.take().is_none(), "lent once");
    let arena = ARENA.put(Arena::new(kernel(), LAYOUT, metadata).unwrap()).unwrap();
    arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Kernel)).unwrap();
    assert!(std::ptr::eq(ARENA.get().unwrap(), arena));

    // A second one is not put over it.
    let words = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    let second = ARENA.put(Arena::new(kernel(), LAYOUT, words).unwrap()).unwrap_err();
    assert_eq!(second.destroy().unwrap().pages, 0);

    // SAFETY: nobody uses the reference any more.
    let back = unsafe { ARENA.take() }.unwrap().destroy().unwrap();
    assert_eq!((back.pages, MEMORY.with(Memory::left)), (1, before));
    assert!(ARENA.get().is_none());
    let (.., words) = back.platform.into_parts();
    assert!(words.0.into_iter().all(|word| word.into_inner() == 0));

    // The same place and the same metadata once more.
    let again = ARENA.put(Arena::new(kernel(), LAYOUT, back.metadata).unwrap()).unwrap();
    assert_eq!(again.stats().violations, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { ARENA.take() }.unwrap().destroy().unwrap().pages, 0);
}

#[test]
fn addresses_that_are_no_frames_are_not_taken() {
    let frames = FrameFns { alloc: || Some(0x1234), free: |_| {} };
    assert_eq!(frames.alloc(None), None);
}
