//! What allocated pages are: zeroed memory of one's own.

use alloc::vec::Vec;

use kernel_arena::platform::{Frame, PhysMap};
use kernel_arena::{AllocError, Owner, PageRange, Platform, SlotState};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, Failure, equal, holds, refused};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{END, PAGE, Site, index, page, pages};

claims! {
    allocated_pages_are_zero_though_their_frames_were_dirty,
    every_page_is_memory_of_its_own,
    the_first_and_the_last_byte_of_the_extent_can_be_used,
    an_extent_up_to_the_windows_last_byte_can_be_used,
    a_write_through_the_window_arrives_in_the_frame,
    every_access_width_works_in_a_page,
    an_allocation_takes_one_frame_a_page_and_no_more,
    an_allocation_without_frames_leaves_no_trace,
    an_allocation_of_the_whole_extent_works,
    pages_belong_to_the_owner_that_asked,
}

/// The frames behind pages.
fn frames_of(site: &Site<'_>, range: PageRange) -> Result<Vec<Frame>, Failure> {
    let frame = |number| match site.state(number) {
        Some(SlotState::Mapped(frame, _)) => Ok(frame),
        state => Err(Failure::new(alloc::format!("page {number} is not mapped: {state:?}"))),
    };
    range.pages().map(|page| frame(page.number())).collect()
}

fn allocated_pages_are_zero_though_their_frames_were_dirty(site: &Site<'_>) -> Checked {
    let first = site.alloc(64)?;
    site.fill(first, 0xdead_beef_dead_beef)?;
    let mut dirty = frames_of(site, first)?;
    site.free(first.first().number(), 64)?;
    let second = site.alloc(64)?;
    let mut again = frames_of(site, second)?;
    dirty.sort_unstable();
    again.sort_unstable();
    holds("the dirty frames were used again", dirty == again)?;
    site.all_words_are(second, 0)
}

fn every_page_is_memory_of_its_own(site: &Site<'_>) -> Checked {
    let range = site.alloc(300)?;
    let numbers = || range.pages().map(|page| page.number());
    for number in numbers() {
        site.writes(page(number), u64::from(number), Faults::NONE)?;
        site.writes(page(number) + PAGE - 8, !u64::from(number), Faults::NONE)?;
    }
    for number in numbers() {
        site.reads(page(number), u64::from(number), Faults::NONE)?;
        site.reads(page(number) + PAGE - 8, !u64::from(number), Faults::NONE)?;
    }
    site.violations(0)
}

fn the_first_and_the_last_byte_of_the_extent_can_be_used(site: &Site<'_>) -> Checked {
    let last = FIRST_PAGE + PAGES - 1;
    site.alloc_at(FIRST_PAGE, 1)?;
    site.alloc_at(last, 1)?;
    for offset in [page(FIRST_PAGE), page(last) + PAGE - 1] {
        site.expect("write", |site| site.write_u8(offset, 0x5a), true, Faults::NONE)?;
        site.expect("read", |site| site.read_u8(offset), Some(0x5a), Faults::NONE)?;
    }
    site.reads(page(FIRST_PAGE) - 8, 0, Faults::RECOVERED)?;
    site.reads(page(last) + PAGE, 0, Faults::RECOVERED)
}

fn an_extent_up_to_the_windows_last_byte_can_be_used(site: &Site<'_>) -> Checked {
    let last = (1 << 20) - 1;
    site.bench.with_arena(last - 99, 100, |inner| {
        let all = inner.alloc(100)?;
        equal("the first page", all.first(), index(last - 99))?;
        inner.writes(END - 8, 42, Faults::NONE)?;
        inner.reads(END - 8, 42, Faults::NONE)?;
        inner.reads(END, 0, Faults::RECOVERED)?;
        inner.writes(END, 0xbad, Faults::NONE)?;
        inner.reads(END - 8, 42, Faults::NONE)?;
        inner.violations(1)
    })
}

fn a_write_through_the_window_arrives_in_the_frame(site: &Site<'_>) -> Checked {
    let range = site.alloc(1)?;
    let number = range.first().number();
    let frame = *frames_of(site, range)?.first().ok_or_else(|| Failure::new("no frame"))?;
    site.writes(page(number) + 0x128, 0x1234_5678, Faults::NONE)?;
    let memory = site.arena.platform().phys_map().frame_to_ptr(frame).as_ptr();
    let word = memory.wrapping_add(0x128).cast::<u64>();
    // SAFETY: the frame is the arena's, and the map gives its memory; this CPU alone writes there, and not now.
    let found = unsafe { word.read_volatile() };
    equal("the word in the frame", found, 0x1234_5678)
}

fn every_access_width_works_in_a_page(site: &Site<'_>) -> Checked {
    let at = page(site.alloc(1)?.first().number()) + 0x7c0;
    site.writes(at, 0x8877_6655_4433_2211, Faults::NONE)?;
    site.expect("byte", |site| site.read_u8(at + 3), Some(0x44), Faults::NONE)?;
    site.expect("four bytes", |site| site.read_u32(at + 2), Some(0x6655_4433), Faults::NONE)?;
    site.expect("write four", |site| site.write_u32(at + 1, 0xaabb_ccdd), true, Faults::NONE)?;
    site.expect("write one", |site| site.write_u8(at + 7, 0xee), true, Faults::NONE)?;
    site.reads(at, 0xee77_66aa_bbcc_dd11, Faults::NONE)
}

fn an_allocation_takes_one_frame_a_page_and_no_more(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    for number in [1, 2, 63, 64, 65, 600] {
        let free = site.bench.frames().free_count();
        let range = site.alloc(number)?;
        equal("frames", free - site.bench.frames().free_count(), number as usize)?;
        site.free(range.first().number(), number)?;
    }
    equal("frames after", site.bench.frames().free_count(), before)?;
    equal("pages in use", site.arena.stats().claimed_pages, 0)
}

fn an_allocation_without_frames_leaves_no_trace(site: &Site<'_>) -> Checked {
    let frames = site.bench.frames();
    let hidden: Vec<_> = (9..frames.free_count()).filter_map(|_| frames.alloc()).collect();
    let stats = site.arena.stats();
    let ten = site.arena.alloc_pages(pages(10));
    let after = (frames.free_count(), site.arena.stats());
    let nine = site.arena.alloc_pages(pages(9));
    hidden.into_iter().for_each(|frame| frames.free(frame));
    refused("ten pages of nine frames", ten, AllocError::OutOfFrames)?;
    equal("frames and figures after", after, (9, stats))?;
    holds("nine pages can be had", nine.is_ok())
}

fn an_allocation_of_the_whole_extent_works(site: &Site<'_>) -> Checked {
    let all = site.alloc(PAGES)?;
    equal("first page", all.first(), index(FIRST_PAGE))?;
    for number in (FIRST_PAGE..FIRST_PAGE + PAGES).step_by(97) {
        site.writes(page(number), 1, Faults::NONE)?;
    }
    equal("pages in use", site.arena.stats().claimed_pages, PAGES)?;
    site.free(FIRST_PAGE, PAGES)?;
    equal("pages in use after the free", site.arena.stats().claimed_pages, 0)
}

fn pages_belong_to_the_owner_that_asked(site: &Site<'_>) -> Checked {
    for owner in [Owner::Program, Owner::Kernel, Owner::Allocator] {
        let range = site.arena.alloc_pages(kernel_arena::AllocRequest::new(crate::site::count(3), owner))?;
        for number in range.pages() {
            let state = site.arena.page_state(number);
            holds("the slot says whose", matches!(state, Some(SlotState::Mapped(_, theirs)) if theirs == owner))?;
        }
        // The kernel reaches the pages of all of them.
        site.writes(page(range.first().number()), 7, Faults::NONE)?;
        site.reads(page(range.first().number()), 7, Faults::NONE)?;
    }
    Ok(())
}
