//! `cargo bench --bench pages`: what the search for free pages costs in 4 GiB, and what a refusal does.
//!
//! One thread, 2^20 pages less one. The first search of a kind looks at words that a later one passes over by the bounds that
//! it leaves, so both are told. A locked operation of this machine stands above, to compare with: times are its and the
//! memory's.

#[expect(unreachable_pub, reason = "for two benchmarks")]
mod median;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kernel_arena::kit::{FrameFns, OneCpu, Parts, Unnamed};
use kernel_arena::platform::{CpuCount, EntryAttributes, FixedOffset, FlushScope, Shootdown, UpperSlots};
use kernel_arena::source::{MetadataPage, PageSource, Region, region_words};
use kernel_arena::{
    AddressRange, AddressWidth, AllocRequest, Arena, ArenaLayout, Context, KernelAddr, Owner, PageCount, PageIndex,
    PageRange, WINDOW_PAGES,
};

use median::{ROUNDS, median};

const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, WINDOW_PAGES - 1);

fn main() {
    let word = AtomicU64::new(0);
    let locked = median(1, || {
        word.fetch_or(1, Ordering::SeqCst);
    });
    println!("one thread, 4 GiB less a page, median of {ROUNDS} rounds; a locked operation: {locked:.1} ns");
    println!("taken and given back, in a region:");
    singles();
    runs();
    println!("refused, by an arena:");
    refusals();
}

/// Prints a figure in nanoseconds.
fn tell(name: &str, nanoseconds: f64) {
    println!("  {name:<58} {nanoseconds:>9.1} ns");
}

/// One page, whatever part of the others is taken.
fn singles() {
    for percent in [0, 50, 95, 99] {
        let region = region();
        let mut random = 1u64;
        for page in take_all(&region, 1) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (random >> 33) % 100 >= percent {
                // SAFETY: it was taken above, and nobody uses it.
                unsafe { region.free_pages(page) };
            }
        }
        tell(&format!("a page, {percent} % taken at random"), pair(&region, 1));
    }
}

/// Sixteen pages.
fn runs() {
    tell("16 pages, nothing taken", pair(&region(), 16));
    let units = region();
    give_back_every_other(&units, take_all(&units, 32));
    tell("16 pages, every other 32 pages taken", pair(&units, 16));

    let single = region();
    let mut pages = take_all(&single, 1);
    for page in pages.split_off(pages.len() - 40) {
        // SAFETY: as above.
        unsafe { single.free_pages(page) };
    }
    give_back_every_other(&single, pages);
    let started = Instant::now();
    let run = single.alloc_pages(count(16), PageCount::ONE).expect("the last ones are free");
    let first = started.elapsed().as_secs_f64() * 1e9;
    // SAFETY: as above.
    unsafe { single.free_pages(run) };
    tell("16 pages, every other page taken: the first time", first);
    tell("16 pages, every other page taken: again", pair(&single, 16));
}

fn refusals() {
    let arena = arena();
    for page in (1..WINDOW_PAGES).step_by(2) {
        reserve(&arena, page);
    }
    for pages in [2, 4000] {
        refused(&arena, &format!("{pages} pages, every other page taken"), pages, Context::Any);
    }
    for page in (2..WINDOW_PAGES).step_by(2) {
        reserve(&arena, page);
    }
    refused(&arena, "a page, all taken", 1, Context::Any);
    refused(&arena, "a page, all taken, where it may wait", 1, Context::MayWait);
}

/// The first refusal, and later ones.
fn refused(arena: &Arena<Kernel>, name: &str, pages: u32, context: Context) {
    let request = AllocRequest::new(count(pages), Owner::Kernel).in_context(context);
    let refuse = || assert!(arena.alloc_pages(request).is_err(), "there is no room");
    let started = Instant::now();
    refuse();
    tell(&format!("{name}: the first time"), started.elapsed().as_secs_f64() * 1e9);
    tell(&format!("{name}: again"), median(1, refuse));
}

/// What it costs to take so many pages and give them back.
fn pair(region: &Region<Unnamed>, pages: u32) -> f64 {
    median(1, || {
        let run = region.alloc_pages(count(pages), PageCount::ONE).expect("there is room");
        // SAFETY: it was just taken, and nobody uses it.
        unsafe { region.free_pages(run) };
    })
}

fn take_all(region: &Region<Unnamed>, pages: u32) -> Vec<PageRange> {
    std::iter::from_fn(|| region.alloc_pages(count(pages), PageCount::ONE).ok()).collect()
}

fn give_back_every_other(region: &Region<Unnamed>, runs: Vec<PageRange>) {
    for run in runs.into_iter().step_by(2) {
        // SAFETY: it was taken from there, and nobody uses it.
        unsafe { region.free_pages(run) };
    }
}

/// Pages that nothing touches, so that none need be there.
fn region() -> Region<Unnamed> {
    let pages = WINDOW_PAGES as usize - 1;
    let words = Box::leak(Box::new_uninit_slice(region_words(pages)));
    let base = std::ptr::without_provenance_mut(1 << 32);
    // SAFETY: nobody reads or writes a page of it; an identity that names nobody keeps its contract.
    unsafe { Region::at(base, pages, words, Unnamed::new(CpuCount::ONE)) }
}

type Kernel = Parts<FrameFns, FixedOffset, NoTlb, OneCpu, Words>;

/// There is none in a process.
struct NoTlb;

impl Shootdown for NoTlb {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

/// Lent entries that no processor walks.
struct Words([AtomicU64; 5]);

impl UpperSlots for Words {
    fn window_base(&self) -> KernelAddr {
        LAYOUT.base()
    }
    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [first, second, third, fourth, _] = self.0.each_ref();
        [first, second, third, fourth]
    }
    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.0[4]
    }
}

fn arena() -> Arena<Kernel> {
    let fresh = || Some(std::ptr::from_mut(Box::leak(Box::<MetadataPage>::new_uninit())).expose_provenance() as u64);
    // SAFETY: the process's memory, each page at its own address.
    let map = unsafe { FixedOffset::new(0, EntryAttributes::default()) };
    let frames = FrameFns::new(fresh, |_| {});
    // SAFETY: one thread, in a process, where nothing is walked.
    let platform = unsafe { Parts::new(frames, map, NoTlb, OneCpu, Words([const { AtomicU64::new(0) }; 5])) };
    let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    Arena::new(platform, LAYOUT, metadata).expect("a good layout")
}

fn reserve(arena: &Arena<Kernel>, page: u32) {
    let page = PageIndex::new(page).and_then(PageIndex::to_ptr).expect("in the window");
    arena.reserve_pages(page, PageCount::ONE, Owner::Kernel).expect("it is free");
}

fn count(pages: u32) -> PageCount {
    PageCount::new(pages).expect("fits the window")
}
