//! CPU masks that a program changes while the kernel reads or writes them (N14).
//!
//! Guards I11: whatever a header becomes while it is read, the snapshot is one that the machine has ids and the mask has room
//! for, each field was read once, and no word beside those of the snapshot is touched; what others set in a word meanwhile is not
//! lost; and what the kernel writes it does not read, so the next writing repairs whatever a program made of it.
//!
//! The mask is a few of loom's atomics in place of a page: whether there is a page is `window`'s business. No bound on
//! preemptions.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as PlainU32, Ordering::SeqCst};

use kernel_arena::access::{Accessor, AtomicOp, Memory, Missing, Stopped, Width};
use kernel_arena::masks::{KernelMask, MaskError, MaskIds, MaskSpan, SharedMask};
use kernel_arena::platform::CpuId;
use kernel_arena::sync::{AtomicU32, AtomicU64, Ordering};
use kernel_arena::{ArenaPtr, KernelAddr};

use crate::explore::{UNBOUNDED, explore};
use crate::machine::{BASE, Machine, Small};
use crate::race::{race, race_of_three};
use crate::world::{ModelArena, at, start};

/// A mask with room for the ids of three words of the grid, and how often the kernel has read each field of the header.
struct Mask {
    arena: Arc<ModelArena>,
    header: [AtomicU32; 3],
    words: [AtomicU64; 3],
    reads: [PlainU32; 3],
}

const PAGE: u32 = 2;

/// As many ids as the machine has.
fn ids() -> MaskIds {
    MaskIds::new(128).expect("1 to 8192")
}

impl Mask {
    fn new(arena: Arc<ModelArena>, header: [u32; 3], words: [u64; 3]) -> Arc<Self> {
        let (header, words) = (header.map(AtomicU32::new), words.map(AtomicU64::new));
        Arc::new(Self { arena, header, words, reads: [0; 3].map(PlainU32::new) })
    }

    fn memory(&self) -> Memory<'_, Machine, Small, &Self> {
        self.arena.memory_by(self).expect("the arena is shared")
    }

    /// A program writes another header, field by field.
    fn rewrite(&self, header: [u32; 3]) {
        for (field, value) in self.header.iter().zip(header) {
            field.store(value, Ordering::Relaxed);
        }
    }

    /// The word at an address.
    fn word(&self, at: KernelAddr) -> &AtomicU64 {
        let offset = at.value() - BASE - u64::from(PAGE) * 0x1000;
        assert!(offset % 8 == 0, "no word of the mask");
        usize::try_from(offset / 8 - 2).ok().and_then(|index| self.words.get(index)).expect("a word of the mask")
    }

    fn field(&self, at: KernelAddr) -> usize {
        let offset = at.value() - BASE - u64::from(PAGE) * 0x1000;
        assert!(offset % 4 == 0 && offset < 12, "no field of the header");
        usize::try_from(offset / 4).expect("small")
    }
}

// SAFETY: it reads and changes the words of the mask, and panics at any other address; it never stops.
unsafe impl Accessor for &Mask {
    unsafe fn load(&self, at: KernelAddr, width: Width, _: Missing) -> Result<u64, Stopped> {
        if width == Width::Eight {
            return Ok(self.word(at).load(Ordering::Relaxed));
        }
        let field = self.field(at);
        self.reads[field].fetch_add(1, SeqCst);
        Ok(self.header[field].load(Ordering::Relaxed).into())
    }

    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, _: Missing) -> Result<(), Stopped> {
        if width == Width::Eight {
            self.word(at).store(value, Ordering::Relaxed);
        } else {
            self.header[self.field(at)].store(u32::try_from(value).expect("four bytes"), Ordering::Relaxed);
        }
        Ok(())
    }

    unsafe fn copy_in(&self, _: KernelAddr, _: &mut [MaybeUninit<u8>], _: Missing) -> Result<(), Stopped> {
        unreachable!("masks are read field by field, and word by word")
    }

    unsafe fn copy_out(&self, _: KernelAddr, _: &[u8], _: Missing) -> Result<(), Stopped> {
        unreachable!("masks are written field by field, and word by word")
    }

    unsafe fn atomic(&self, at: KernelAddr, _: Width, op: AtomicOp, _: Missing) -> Result<u64, Stopped> {
        let word = self.word(at);
        Ok(match op {
            AtomicOp::Load(_) => word.load(Ordering::Relaxed),
            AtomicOp::CompareExchange { current, new } => {
                word.compare_exchange(current, new, SeqCst, SeqCst).unwrap_or_else(|seen| seen)
            }
            AtomicOp::Store(value, _) => {
                word.store(value, SeqCst);
                0
            }
            AtomicOp::Swap(_) | AtomicOp::Add(_) => unreachable!("a mask's words are sets"),
        })
    }
}

fn cpu(number: u16) -> CpuId {
    CpuId::new(number)
}

/// 128 ids in two words of three become the 64 of the second word: of what is between, nothing is outside.
#[test]
fn a_header_that_changes_while_it_is_read_is_a_snapshot_or_refused() {
    explore("a snapshot against another geometry", UNBOUNDED, 2, |memory, first| {
        let mask = Mask::new(start::<Small>(memory, PAGE, 1), [0, 128, 3], [1, 1 << 63, u64::MAX]);
        let look = |mask: &Mask| {
            let memory = mask.memory();
            match SharedMask::snapshot(&memory, at(PAGE).offset().into(), ids()) {
                Ok(snapshot) => {
                    let (base, nr) = (snapshot.span().base(), snapshot.span().nr());
                    assert!(matches!((base, nr), (0, 128) | (0, 64) | (64, 64)), "{base}, {nr}");
                    // The third word of the mask says nothing, and is never asked.
                    let seen: Vec<_> = snapshot.iter().map(|id| u32::from(id.expect("a page").number())).collect();
                    assert!(seen.iter().all(|id| (base..base + nr).contains(id)), "{base}, {nr}: {seen:?}");
                }
                // The base of after, and the number of before.
                Err(MaskError::Count { base: 64, nr: 128 }) => {}
                // The number of before, and the room of after.
                Err(MaskError::Room { alloc_words: 2, needed: 3 }) => {}
                Err(other) => panic!("{other:?}"),
            }
            assert!(mask.reads.iter().all(|reads| reads.load(SeqCst) <= 1), "a field was read twice");
        };
        let ((), ()) = race(first, &mask, look, |mask| mask.rewrite([64, 64, 2]));
    });
}

#[test]
fn ids_that_several_set_in_one_word_are_all_set() {
    explore("two CPUs of the kernel and a program at one word", UNBOUNDED, 3, |memory, first| {
        let mask = Mask::new(start::<Small>(memory, PAGE, 1), [0, 64, 2], [1 << 7, 0, 0]);
        let change = |mask: &Mask, id: u16, is_set: bool| {
            let memory = mask.memory();
            let snapshot = SharedMask::snapshot(&memory, at(PAGE).offset().into(), ids()).expect("a mask");
            let was = if is_set { snapshot.set(cpu(id)) } else { snapshot.clear(cpu(id)) };
            assert_eq!(was, Ok(!is_set), "{id}");
        };
        let ((), (), _) = race_of_three(
            first,
            &mask,
            move |mask| change(mask, 3, true),
            move |mask| change(mask, 7, false),
            |mask| mask.words[0].fetch_or(1 << 5, Ordering::Relaxed),
        );
        assert_eq!(mask.words[0].load(Ordering::Relaxed), 1 << 3 | 1 << 5);
    });
}

#[test]
fn what_a_program_scribbles_on_is_written_anew_and_never_read() {
    explore("writing a mask against scribbling and reading", UNBOUNDED, 3, |memory, first| {
        let mask = Mask::new(start::<Small>(memory, PAGE, 1), [0; 3], [0; 3]);
        let span = MaskSpan::new(0, 100, ids()).expect("ids of the machine");
        let place = KernelMask::new(ArenaPtr::new(at(PAGE).offset()).expect("not null"), span).expect("in the window");
        let write = move |mask: &Mask, bits: [u64; 2]| place.set(&mask.memory(), bits).expect("a page");
        let ((), (), seen) = race_of_three(
            first,
            &mask,
            move |mask| write(mask, [5, u64::MAX]),
            |mask| mask.header[1].store(u32::MAX, Ordering::Relaxed),
            |mask| mask.words[1].load(Ordering::Relaxed),
        );
        assert!(matches!(seen, 0 | 0xf_ffff_ffff), "bits that are no ids: {seen:#x}");
        write(&mask, [9, 0]);
        assert_eq!([0, 1, 2].map(|field| mask.header[field].load(Ordering::Relaxed)), [0, 100, 3]);
        assert_eq!([0, 1].map(|word| mask.words[word].load(Ordering::Relaxed)), [9, 0]);
        assert!(mask.reads.iter().all(|reads| reads.load(SeqCst) == 0), "the kernel has read what it writes");
    });
}
