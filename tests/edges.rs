//! Values at the borders of what their types can hold: no call panics or wraps where it should not, and what a type
//! proves is true of every value of it. The judge reckons in 128 bits, where nothing overflows.

use kernel_arena::platform::{CpuCount, CpuIdentity, CpuLevel, Frame};
use kernel_arena::source::{PageSource, Region, region_words};
use kernel_arena::{
    AddressRange, AddressWidth, ArenaLayout, ArenaPtr, GUARD_SIZE, KernelAddr, PAGE_SIZE, PageCount, PageIndex,
    PageRange, ProgramAddr, ProgramBase, VirtAddr, WINDOW_PAGES, WINDOW_SIZE,
};
use proptest::prelude::*;

use requests::answers_every_request;

mod regions;
mod requests;

/// Numbers near powers of two and near both ends.
fn edge() -> impl Strategy<Value = u64> {
    let power = (0..64u32).prop_map(|shift| 1u64 << shift);
    let base = prop_oneof![Just(0), Just(u64::MAX), power, any::<u64>()];
    (base, -3i64..=3, any::<bool>()).prop_map(|(base, by, negate)| {
        let near = base.wrapping_add_signed(by);
        if negate { near.wrapping_neg() } else { near }
    })
}

/// The same for numbers of pages.
fn page_edge() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..=4u32,
        WINDOW_PAGES - 4..=WINDOW_PAGES + 4,
        510..=514u32,
        u32::MAX - 4..=u32::MAX,
        0..=WINDOW_PAGES,
        any::<u32>()
    ]
}

proptest! {
    #[test]
    fn a_range_of_pages_stays_in_the_window(first in page_edge(), count in page_edge(), other in page_edge()) {
        let index = PageIndex::new(first);
        prop_assert_eq!(index.is_some(), first < WINDOW_PAGES);
        prop_assert_eq!(PageCount::new(count).is_some(), count <= WINDOW_PAGES);
        let (Some(index), Some(pages)) = (index, PageCount::new(count)) else { return Ok(()) };
        let range = PageRange::new(index, pages);
        prop_assert_eq!(range.is_some(), first != 0 && first + count <= WINDOW_PAGES);
        let Some(range) = range else { return Ok(()) };
        prop_assert_eq!((range.first(), range.count(), range.is_empty()), (index, pages, count == 0));
        prop_assert_eq!(range.pages().count(), count as usize);
        prop_assert_eq!(range.pages().next_back().map(PageIndex::number), (first + count).checked_sub(1).filter(|_| count > 0));
        prop_assert!(range.covers(range));
        if let Some(other) = PageIndex::new(other) {
            let inside = (first..first + count).contains(&other.number());
            prop_assert_eq!(range.contains(other), inside);
            prop_assert_eq!(PageRange::single(other).is_some_and(|other| range.covers(other)), inside);
        }
    }

    #[test]
    fn an_address_range_has_every_page_once_up_to_the_top(start in edge(), pages in 0..40u64) {
        let start = start / PAGE_SIZE * PAGE_SIZE;
        let range = AddressRange::new(VirtAddr::new(start), pages * PAGE_SIZE);
        let all: Vec<u64> = range.pages().map(VirtAddr::value).collect();
        let wrapped = |page: u64| u64::try_from((u128::from(start) + u128::from(page * PAGE_SIZE)) % (1 << 64)).unwrap();
        prop_assert_eq!(&all, &(0..pages).map(wrapped).collect::<Vec<_>>());
        prop_assert!(all.iter().all(|page| range.contains(VirtAddr::new(*page))));
        prop_assert!(all.iter().all(|page| range.contains(VirtAddr::new(page + (PAGE_SIZE - 1)))));
        prop_assert!(!range.contains(VirtAddr::new(start.wrapping_add(pages * PAGE_SIZE))));
        prop_assert!(!range.contains(VirtAddr::new(start.wrapping_sub(1))));
    }

    #[test]
    fn a_layout_keeps_window_and_guards_in_one_canonical_half(
        base in edge(), bits in 30..60u32, first in page_edge(), count in page_edge(),
    ) {
        let Some(width) = AddressWidth::new(bits) else {
            prop_assert!(!(35..=57).contains(&bits));
            return Ok(());
        };
        prop_assert_eq!(width.is_canonical(base), is_canonical(base, bits));
        for base in [base, base / WINDOW_SIZE * WINDOW_SIZE] {
            let (Some(page), Some(pages)) = (PageIndex::new(first), PageCount::new(count)) else { return Ok(()) };
            let layout = ArenaLayout::new(KernelAddr::new(base), width, page, pages);
            let low = i128::from(base) - i128::from(GUARD_SIZE);
            let high = i128::from(base) + i128::from(WINDOW_SIZE + GUARD_SIZE) - 1;
            let half = |address: i128| u64::try_from(address).ok().filter(|at| is_canonical(*at, bits)).map(|at| at >> 63);
            let fits = base % WINDOW_SIZE == 0 && half(low).is_some() && half(low) == half(high);
            let extent = first > 0 && count > 0 && first + count <= WINDOW_PAGES;
            prop_assert_eq!(layout.is_ok(), fits && extent, "{:?}", layout);
            let Ok(layout) = layout else { continue };
            let tables = u64::from(layout.table_frames().get());
            prop_assert!((8..=2055).contains(&tables));
            prop_assert!(layout.metadata_size() > 0);
            for range in [layout.window(), layout.upper_guard(), layout.lower_guard(), layout.recoverable()] {
                prop_assert_eq!(range.page_count() * PAGE_SIZE, range.size_bytes());
                prop_assert!(range.contains(range.start()));
            }
        }
    }

    #[test]
    fn translation_is_exact_or_refused(address in edge(), base in edge(), offset in edge()) {
        let program = ProgramBase::new(ProgramAddr::new(base));
        prop_assert_eq!(program.is_some(), base % WINDOW_SIZE == 0);
        if let Some(program) = ProgramBase::new(ProgramAddr::new(base / WINDOW_SIZE * WINDOW_SIZE)) {
            let start = base / WINDOW_SIZE * WINDOW_SIZE;
            let inside = (u128::from(start)..u128::from(start) + u128::from(WINDOW_SIZE)).contains(&u128::from(address));
            let ptr = program.to_ptr::<u8>(ProgramAddr::new(address));
            prop_assert_eq!(ptr.is_ok(), inside && address != start, "the first byte's pointer would be null");
            if let Ok(ptr) = ptr {
                prop_assert_eq!(ptr.to_program(program).value(), address);
            }
            let low = u32::try_from(offset & 0xffff_ffff).unwrap();
            let address = ArenaPtr::<u8>::new(low).map(|ptr| ptr.to_program(program).value());
            prop_assert_eq!(address, (low != 0).then_some(start + u64::from(low)));
        }
        prop_assert_eq!(Frame::new(address).is_some(), address % PAGE_SIZE == 0 && address < 1 << 52);
    }
}

/// As the manuals have it: shifted by half the space, both halves lie at the bottom.
fn is_canonical(address: u64, bits: u32) -> bool {
    address.wrapping_add(1 << (bits - 1)) >> bits == 0
}

#[test]
fn every_width_has_room_for_a_window() {
    for bits in (0..=64).chain([u32::MAX - 1, u32::MAX]) {
        let Some(width) = AddressWidth::new(bits) else {
            assert!(!(35..=57).contains(&bits));
            continue;
        };
        assert_eq!(AddressWidth::of_halves(bits - 1), Some(width));
        let lower = 1u64 << 32;
        let upper = lower.wrapping_sub(1 << (bits - 1));
        for base in [lower, upper] {
            let layout = ArenaLayout::new(KernelAddr::new(base), width, PageIndex::new(1).unwrap(), PageCount::ONE);
            assert!(layout.is_ok(), "{bits} bits, {base:#x}: {layout:?}");
        }
    }
    assert_eq!(AddressWidth::of_halves(33), None);
    assert_eq!(AddressWidth::of_halves(57), None);
    assert_eq!(AddressWidth::of_halves(u32::MAX), None);
    assert!(CpuCount::new(0).is_none() && CpuCount::new((1 << 16) + 1).is_none());
}

struct Nobody;

impl CpuIdentity for Nobody {
    fn current(&self) -> Option<CpuLevel> {
        None
    }
    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

fn region(pages: usize) -> Region<Nobody> {
    region_of(pages, region_words(pages))
}

fn region_of(pages: usize, words: usize) -> Region<Nobody> {
    let memory = Box::leak(Box::new_uninit_slice(pages));
    let words = Box::leak(Box::new_uninit_slice(words));
    // SAFETY: saying nothing is always right.
    unsafe { Region::new(memory, words, Nobody) }
}

#[test]
fn a_region_has_as_many_pages_as_its_words_serve() {
    for pages in [1, 64, 65, 512, 513, 600, 1100, 2100] {
        for words in 0..region_words(pages) + 2 {
            let served = (0..=pages).rev().find(|pages| region_words(*pages) <= words).unwrap();
            let region = region_of(pages, words);
            assert_eq!(region.extent().count().get() as usize, served, "{words} words for {pages} pages");
            let all = (0..served).filter(|_| region.alloc_pages(PageCount::ONE, PageCount::ONE).is_ok());
            assert_eq!(all.count(), served);
            assert!(region.alloc_pages(PageCount::ONE, PageCount::ONE).is_err());
        }
    }
}

#[test]
fn a_source_answers_every_request() {
    answers_every_request(&region(100));
    answers_every_request(&region(0));
}
