//! A heap on an arena of its own, and what its figures say.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::NonNull;

use kernel_arena::heap::{Heap, HeapStats};
use kernel_arena::platform::CpuIdentity;
use kernel_arena::slab::{Mode, SizeClass};
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{Arena, ArenaLayout, MetadataWord, PAGE_SIZE, Platform};
use support::{ADDRESS_WIDTH, KernelPlatform, Machine};

use super::{count, page};
use crate::KernelArena;
use crate::chart;
use crate::report::{Report, Stop};

/// Such a heap can be a kernel's `#[global_allocator]`; then it is in a static.
type KernelHeap = Heap<ArenaPages<'static, KernelPlatform>, FrameMetadata<'static, KernelPlatform>>;

/// What is allocated: so many blocks of so many bytes.
const MIX: [(usize, usize); 9] =
    [(500, 24), (40, 64), (260, 100), (90, 200), (64, 512), (30, 2000), (14, 4096), (9, 10_000), (3, 100_000)];

/// A block, and the byte that all of it is filled with.
struct Block(NonNull<u8>, Layout, u8);

/// Makes a heap, uses it, draws what it holds, and empties it.
pub(crate) fn show(report: &Report, machine: &'static Machine) -> Result<(), Stop> {
    report.section(
        "A heap",
        "An arena that no program ever sees can carry the kernel's own heap: objects of up to 32 KiB from slabs, by \
         way of magazines that each CPU has to itself, and runs of pages for what is larger.",
    );
    let arena = create(machine)?;
    let heap = KernelHeap::new();
    heap.init(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast)?;

    let mut blocks = Vec::new();
    for (number, size) in MIX.into_iter().flat_map(|(blocks, size)| (0..blocks).map(move |number| (number, size))) {
        let layout = Layout::from_size_align(size, 8).map_err(|_| Stop::because("no such layout"))?;
        let byte = number.to_le_bytes()[0];
        let block = heap.try_alloc(layout)?;
        // SAFETY: the block is ours, and so large.
        unsafe { block.write_bytes(byte, size) };
        blocks.push(Block(block, layout, byte));
    }
    let allocated = blocks.len();
    // Every third goes again: to the magazines, where the next allocations find it.
    let (gone, rest): (Vec<_>, Vec<_>) = blocks.into_iter().enumerate().partition(|(number, _)| number % 3 == 2);
    let (freed, mut whole) = (gone.len(), true);
    gone.into_iter().for_each(|(_, block)| whole &= block.free(&heap));
    let stats = heap.stats().ok_or_else(|| Stop::because("the heap is gone"))?;
    report.check(whole, format!("{allocated} blocks of 24 to 100 000 bytes, {freed} of them freed again:"));
    chart::draw(report, &stats);
    check(report, arena, &stats, rest.iter().map(|(_, block)| block.1));
    defmt::info!(
        "the heap: {} bytes live, {} held, {} of bookkeeping",
        stats.live_bytes,
        stats.held_bytes,
        stats.slab.metadata_bytes
    );

    let mut whole = true;
    rest.into_iter().for_each(|(_, block)| whole &= block.free(&heap));
    report.check(whole, "every block has kept what was written to it, and all are freed");
    heap.reclaim();
    let empty = heap.stats().is_some_and(|stats| stats.live_bytes == 0 && stats.held_bytes == 0);
    report.check(empty && arena.stats().claimed_pages == 0, "reclaimed: no page is held any more");
    Ok(())
}

/// An arena for the kernel alone, which stays for ever, as its heap would.
fn create(machine: &'static Machine) -> Result<&'static KernelArena, Stop> {
    let platform = machine.platform().ok_or_else(|| Stop::because("all windows are lent"))?;
    let layout = ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, page(16), count(1024))?;
    let layout = layout.with_cpus(platform.cpus().count()).private();
    let metadata = Box::leak(Box::<[MetadataWord]>::new_uninit_slice(layout.metadata_words()));
    Ok(Box::leak(Box::new(Arena::new(platform, layout, metadata)?)))
}

/// Holds the figures against what was allocated, and against the arena's own.
fn check(report: &Report, arena: &KernelArena, stats: &HeapStats, blocks: impl Iterator<Item = Layout>) {
    let rounded = |block: Layout| {
        let pages = (block.size() as u64).next_multiple_of(PAGE_SIZE);
        SizeClass::of(block).map_or(pages, |class| class.size() as u64)
    };
    let bytes: u64 = blocks.map(rounded).sum();
    let live = stats.live_bytes == bytes;
    report.check(
        live,
        format!("{} bytes are live: what was asked for, rounded up to classes and pages", stats.live_bytes),
    );
    let whole = stats.slab.classes.iter().all(|class| class.live + class.cached + class.free == class.objects);
    report.check(whole, "in each class every object is live, cached or free, and in one place only");
    let pages = arena.stats();
    let held = stats.held_bytes == u64::from(pages.claimed_pages - pages.deferred_pages) * PAGE_SIZE;
    report.check(held, format!("{} KiB are held: just the pages that the arena gave", stats.held_bytes >> 10));
}

impl Block {
    /// Gives it back; says whether it held what was written.
    fn free(self, heap: &KernelHeap) -> bool {
        let Self(block, layout, byte) = self;
        let at = |place: usize| block.as_ptr().wrapping_add(place);
        // SAFETY: the block is ours, so large, and was written.
        let holds = (0..layout.size()).all(|place| unsafe { at(place).read() } == byte);
        // SAFETY: it came from this heap with this layout.
        unsafe { heap.free(block, layout) };
        holds
    }
}
