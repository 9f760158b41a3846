//! Blocks of the kernel's heap that know what was written into them.
//!
//! A block is taken in one of many layouts ([`LAYOUTS`]) and filled with words that no other block has, since each has
//! a serial number. If two have the same memory, or somebody else writes there, the next look finds it. A block fits a
//! word, so that it can be passed on where nothing is locked.

use alloc::alloc::{alloc, alloc_zeroed, dealloc, realloc};
use core::alloc::Layout;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::{MAX_CPUS, Random, cpu_id};

use crate::check::Wrong;
use crate::memory::arena;

/// Sizes and alignments in bytes: of every sort that the heap tells apart; those of more than 32 KiB, or aligned to
/// more than a page, are runs of pages.
#[rustfmt::skip]
pub(crate) const LAYOUTS: [(usize, usize); 64] = [
    (1, 1), (3, 1), (8, 8), (13, 1), (16, 16), (24, 8), (32, 32), (40, 8),
    (48, 16), (56, 8), (64, 64), (72, 8), (80, 16), (100, 4), (112, 16), (128, 128),
    (150, 2), (192, 64), (200, 8), (256, 256), (300, 4), (384, 128), (448, 64), (512, 512),
    (600, 8), (768, 256), (896, 128), (1000, 8), (1024, 1024), (1280, 256), (1500, 4), (1792, 256),
    (2048, 2048), (2500, 8), (3000, 8), (3584, 512), (4096, 4096), (5000, 8), (6000, 8), (7168, 1024),
    (8192, 4096), (10_000, 8), (12_288, 4096), (14_000, 8), (16_384, 4096), (20_000, 16), (24_576, 4096), (28_000, 8),
    (32_768, 4096), (32_769, 8), (40_000, 8), (65_536, 4096), (8192, 8192), (16_384, 16_384), (100_000, 8), (1, 8192),
    (8, 64), (24, 512), (100, 4096), (5000, 2048), (7, 1), (9, 1), (65, 1), (4097, 1),
];

/// Layouts before this one are of objects, most of which are small.
const OBJECTS: usize = 48;

/// A block in somebody's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    offset: u32,
    kind: u8,
    serial: u32,
}

/// On which CPUs the code at thread level is inside the allocator. Relaxed: for whoever interrupts that CPU.
static INSIDE: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Whether an interrupt on this CPU has come in the midst of an operation of the heap.
pub(crate) fn is_inside() -> bool {
    INSIDE[usize::from(cpu_id().number())].load(Ordering::Relaxed)
}

fn inside<R>(action: impl FnOnce() -> R) -> R {
    let inside = &INSIDE[usize::from(cpu_id().number())];
    // What is interrupted at a higher level is inside already, or a handler that will be left before anybody asks.
    let before = inside.swap(true, Ordering::Relaxed);
    let result = action();
    inside.store(before, Ordering::Relaxed);
    result
}

/// The layout of this number.
fn layout_of(kind: u8) -> Layout {
    let (size, align) = LAYOUTS[usize::from(kind)];
    Layout::from_size_align(size, align).expect("it is in the table")
}

/// Any kind.
pub(crate) fn any_kind(random: &mut Random) -> u8 {
    let limit = if random.one_in(8) { LAYOUTS.len() } else { OBJECTS };
    below(random, limit)
}

/// A kind that handlers take.
pub(crate) fn small_kind(random: &mut Random) -> u8 {
    below(random, OBJECTS / 2)
}

fn below(random: &mut Random, limit: usize) -> u8 {
    u8::try_from(random.index(limit)).unwrap_or(0)
}

impl Block {
    /// Takes a block and fills it; none if there is no memory.
    pub(crate) fn take(kind: u8) -> Result<Option<Self>, Wrong> {
        let layout = layout_of(kind);
        let address = inside(|| {
            // SAFETY: no size in the table is 0.
            unsafe { alloc(layout) }
        });
        Self::made(address, kind)
    }

    /// The same, zeroed, which it checks.
    pub(crate) fn take_zeroed(kind: u8) -> Result<Option<Self>, Wrong> {
        let layout = layout_of(kind);
        let address = inside(|| {
            // SAFETY: no size in the table is 0.
            unsafe { alloc_zeroed(layout) }
        });
        // SAFETY: the block is ours and has so many bytes, which are initialised.
        let is_zero = |byte: usize| unsafe { address.wrapping_add(byte).read_volatile() } == 0;
        if !address.is_null() && !(0..layout.size()).all(is_zero) {
            return Err(Wrong::NotZeroed);
        }
        Self::made(address, kind)
    }

    /// A block that must be there.
    pub(crate) fn get(kind: u8) -> Result<Self, Wrong> {
        Self::take(kind)?.ok_or(Wrong::NoMemory)
    }

    fn made(address: *mut u8, kind: u8) -> Result<Option<Self>, Wrong> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        if address.is_null() {
            return Ok(None);
        }
        if !address.addr().is_multiple_of(layout_of(kind).align()) {
            return Err(Wrong::Misaligned);
        }
        // Blocks lie within 4 GiB of the base.
        let base = arena().layout().base().value();
        let offset = u32::try_from(address.addr() as u64 - base).map_err(|_| Wrong::Misaligned)?;
        let block = Self { offset, kind, serial: SERIAL.fetch_add(1, Ordering::Relaxed) & 0xff_ffff };
        block.fill();
        Ok(Some(block))
    }

    pub(crate) fn size(self) -> usize {
        layout_of(self.kind).size()
    }

    fn address(self) -> *mut u8 {
        let base = arena().layout().base().value();
        let address = usize::try_from(base + u64::from(self.offset)).expect("a usize has 64 bits");
        core::ptr::with_exposed_provenance_mut(address)
    }

    /// What the byte at this place is to be.
    fn byte(self, place: usize) -> u8 {
        let number = u64::from(self.serial) << 20 | (place >> 3) as u64;
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 29;
        mixed.to_le_bytes()[place % 8]
    }

    /// The places that are written and looked at: all of a small block; of a large one some of each 64 bytes, and its
    /// ends.
    fn places(self) -> impl Iterator<Item = usize> {
        let size = self.size();
        let is_looked_at =
            move |place: &usize| size <= 256 || place.is_multiple_of(61) || *place < 8 || *place + 8 >= size;
        let step = if size <= 256 { 1 } else { 61 };
        let ends = (0..8).chain(size.saturating_sub(8)..size).filter(move |_| size > 256);
        (0..size).step_by(step).chain(ends).filter(is_looked_at)
    }

    fn fill(self) {
        for place in self.places() {
            // SAFETY: the block is ours and has so many bytes.
            unsafe { self.address().wrapping_add(place).write_volatile(self.byte(place)) };
        }
    }

    /// Checks that it holds what was written, below `limit`.
    fn check_below(self, limit: usize) -> Result<(), Wrong> {
        // SAFETY: the block is ours and has so many bytes, and this one was written.
        let read = |place: usize| unsafe { self.address().wrapping_add(place).read_volatile() };
        let is_right = self.places().filter(|place| *place < limit).all(|place| read(place) == self.byte(place));
        if is_right { Ok(()) } else { Err(Wrong::Contents) }
    }

    /// Checks that it holds what was written.
    pub(crate) fn check(self) -> Result<(), Wrong> {
        self.check_below(usize::MAX)
    }

    /// Checks it and gives it back.
    pub(crate) fn give(self) -> Result<(), Wrong> {
        self.check()?;
        inside(|| {
            // SAFETY: it was taken with this layout, and whoever has the block has it alone.
            unsafe { dealloc(self.address(), layout_of(self.kind)) };
        });
        Ok(())
    }

    /// Makes it one of another kind that has the same alignment, or gives it back as it is if there is no such kind.
    pub(crate) fn resize(self, kind: u8) -> Result<Self, Wrong> {
        let (old, new) = (layout_of(self.kind), layout_of(kind));
        if old.align() != new.align() {
            return Ok(self);
        }
        self.check()?;
        let address = inside(|| {
            // SAFETY: it was taken with this layout, and the new size is not 0.
            unsafe { realloc(self.address(), old, new.size()) }
        });
        if address.is_null() {
            return Err(Wrong::NoMemory);
        }
        let base = arena().layout().base().value();
        let offset = u32::try_from(address.addr() as u64 - base).map_err(|_| Wrong::Misaligned)?;
        Self { offset, ..self }.check_below(new.size())?;
        // What is checked as the old kind is written as the new one.
        Self::made(address, kind)?.ok_or(Wrong::NoMemory)
    }

    /// The block as a word, never 0.
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.offset) | u64::from(self.kind) << 32 | u64::from(self.serial) << 40
    }

    /// The block that a word stands for; none for 0. Page 0 has no blocks.
    pub(crate) fn unpack(word: u64) -> Option<Self> {
        let [.., kind, _, _, _, _] = word.to_be_bytes();
        let offset = (word & 0xffff_ffff) as u32;
        (offset != 0).then_some(Self { offset, kind, serial: (word >> 40) as u32 })
    }
}
