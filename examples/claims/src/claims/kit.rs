//! A window that links itself below the root that is loaded, and entries that no root leads to.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::arch::Native;
use kernel_arena::arch::{MemoryTypeError, UnsupportedCpu};
use kernel_arena::kit::{LinkError, Parts, Window};
use kernel_arena::platform::{EntryAttributes, FixedOffset, Frame, PhysMap, UpperSlots};
use kernel_arena::{AllocRequest, Arena, ArenaLayout, CreateError, KernelAddr, Owner, PageCount, PageIndex, Platform};
use support::{ADDRESS_WIDTH, FrameStack, PHYSICAL_MAP, Shootdown, ThisCpu, probe_read_u64, probe_write_u64};

use crate::check::{Checked, Failure, equal, holds};
use crate::claims::claims;
use crate::site::Site;

claims! {
    a_window_links_itself_and_gives_its_tables_back,
    a_window_where_something_is_mapped_is_refused,
    a_map_that_shows_other_memory_as_the_root_is_refused,
    create_refuses_entries_that_no_root_leads_to,
    create_refuses_a_guard_that_no_root_leads_to,
    create_refuses_device_memory,
}

/// Where nothing is: below an entry of the root that is empty (x86_64), and in the root itself (aarch64). The last 4 GiB that
/// one table covers, so that the guard needs a way of its own where there is a table above.
const BASE: u64 = if cfg!(target_arch = "x86_64") { 0xffff_a07f_0000_0000 } else { PHYSICAL_MAP + (400 << 30) };
/// How many tables are missing.
const TABLES: usize = if cfg!(target_arch = "x86_64") { 3 } else { 1 };

type Linked<U> = Parts<&'static FrameStack, FixedOffset, Shootdown, ThisCpu, U>;

fn layout(base: u64, platform: &impl Platform) -> Result<ArenaLayout, Failure> {
    use kernel_arena::platform::CpuIdentity;
    let (first, count) = (PageIndex::new(1), PageCount::new(100));
    let (first, count) = first.zip(count).ok_or_else(|| Failure::new("no such pages"))?;
    Ok(ArenaLayout::new(KernelAddr::new(base), ADDRESS_WIDTH, first, count)?.with_cpus(platform.cpus().count()))
}

/// A platform with these entries, and otherwise as that of the arena of this claim.
fn parts<U: UpperSlots>(site: &Site<'_>, upper: U) -> Linked<U> {
    let platform = site.arena.platform();
    // SAFETY: as the kernel argues for its own platform; the entries are the claim's alone.
    unsafe { Parts::new(site.bench.frames(), *platform.phys_map(), *platform.shootdown(), ThisCpu, upper) }
}

/// Tries to create an arena on these parts.
fn create<U: UpperSlots>(
    site: &Site<'_>,
    parts: Linked<U>,
    layout: ArenaLayout,
) -> Result<Arena<Linked<U>>, (CreateError, Linked<U>)> {
    Arena::new(parts, layout, site.bench.metadata(&layout)).map_err(|refused| {
        site.bench.keep(refused.metadata);
        (refused.error, refused.platform)
    })
}

fn link(site: &Site<'_>, layout: &ArenaLayout) -> Result<Window, LinkError> {
    let platform = site.arena.platform();
    // SAFETY: the map reaches all RAM, with the tables that are loaded; the claims run on one CPU, and nothing else edits
    // tables; these addresses are nobody's.
    unsafe { Window::link(layout, site.bench.frames(), platform.phys_map()) }
}

fn a_window_links_itself_and_gives_its_tables_back(site: &Site<'_>) -> Checked {
    let layout = layout(BASE, site.arena.platform())?;
    let before = site.bench.frames().free_count();
    let window = link(site, &layout)?;
    equal("tables made", (window.tables_made(), before - site.bench.frames().free_count()), (TABLES, TABLES))?;
    let arena = create(site, parts(site, window), layout).map_err(|(error, _)| error)?;
    let outcome = use_pages(&arena);
    let back = arena.destroy().expect("no view is attached");
    site.bench.keep(back.metadata);
    let (frames, map, shootdown, _, window) = back.platform.into_parts();
    // SAFETY: the arena is gone, and no other root was given the tables.
    let unlinked = unsafe { window.unlink(&frames, &map, &shootdown) };
    outcome?;
    unlinked?;
    equal("frames after", site.bench.frames().free_count(), before)?;
    // SAFETY: nothing is there, and reading changes nothing.
    let read = unsafe { probe_read_u64(BASE + 0x1000) };
    holds("what was mapped is gone", read.is_none())
}

/// Its first and its last page can be written and read.
fn use_pages<P: Platform>(arena: &Arena<P>) -> Checked {
    equal("check_cpu", arena.check_cpu(), Ok(()))?;
    let pages = arena.alloc_pages(AllocRequest::new(arena.layout().extent().count(), Owner::Kernel))?;
    let first = arena.layout().to_kernel(pages.to_ptr()).value();
    for address in [first, first + 99 * 4096 + 4088] {
        // SAFETY: the word is in pages that were just allocated to the kernel.
        let written = unsafe { probe_write_u64(address, address) };
        holds("the write is no fault", written)?;
        // SAFETY: as above.
        let read = unsafe { probe_read_u64(address) };
        equal("what is read", read, Some(address))?;
    }
    Ok(())
}

fn a_window_where_something_is_mapped_is_refused(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    let arena = site.arena.layout().base();
    let in_use = link(site, &layout(arena.value(), site.arena.platform())?).map(drop);
    let address = kernel_arena::VirtAddr::new(arena.value());
    equal("the answer over an arena", in_use, Err(LinkError::InUse { address }))?;
    equal("frames after", site.bench.frames().free_count(), before)
}

/// A physical map as one at a wrong offset: a frame of zeros stands wherever a table is.
struct Elsewhere(core::ptr::NonNull<u8>);

impl PhysMap for Elsewhere {
    fn frame_to_ptr(&self, _frame: Frame) -> core::ptr::NonNull<u8> {
        self.0
    }

    fn attributes(&self) -> EntryAttributes {
        EntryAttributes::default()
    }
}

/// By itself: on aarch64 no map is asked for the way, and creation finds that it does not lead to the window.
fn a_map_that_shows_other_memory_as_the_root_is_refused(site: &Site<'_>) -> Checked {
    let frames = site.bench.frames();
    let zeros = frames.alloc().ok_or_else(|| Failure::new("no frame"))?;
    let memory = site.arena.platform().phys_map().frame_to_ptr(zeros);
    // SAFETY: the frame was just taken, and the map gives its 4096 bytes.
    unsafe { memory.write_bytes(0, 4096) };
    let before = frames.free_count();
    let layout = layout(BASE, site.arena.platform())?;
    // SAFETY: what the map shows is one frame of this claim's, whatever is read or written; these addresses are nobody's.
    let refused = unsafe { Window::<Native>::link(&layout, frames, &Elsewhere(memory)) }.map(drop);
    let address = kernel_arena::VirtAddr::new(memory.addr().get() as u64);
    let left = frames.free_count();
    frames.free(zeros);
    equal("the answer", refused, Err(LinkError::WrongMap { address }))?;
    equal("frames after", left, before)
}

/// Words that hang on nothing, in place of some of a window's.
struct Loose<'a> {
    linked: &'a Window,
    part: Part,
    words: [AtomicU64; 5],
}

/// Which words are loose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Window,
    Guard,
}

impl UpperSlots for Loose<'_> {
    fn window_base(&self) -> KernelAddr {
        self.linked.window_base()
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        match self.part {
            Part::Window => core::array::from_fn(|gib| &self.words[gib]),
            // SAFETY: as the caller promises.
            Part::Guard => unsafe { self.linked.window_entries() },
        }
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        match self.part {
            // SAFETY: as the caller promises.
            Part::Window => unsafe { self.linked.guard_entry() },
            Part::Guard => &self.words[4],
        }
    }

    fn vacant_word(&self) -> u64 {
        self.linked.vacant_word()
    }
}

/// Creation is refused for this address, and leaves nothing behind.
fn refused_as_unreachable(site: &Site<'_>, part: Part, at: u64) -> Checked {
    let layout = layout(BASE, site.arena.platform())?;
    let window = link(site, &layout)?;
    let before = site.bench.frames().free_count();
    let loose = Loose { linked: &window, part, words: core::array::from_fn(|_| AtomicU64::new(window.vacant_word())) };
    let outcome = match create(site, parts(site, loose), layout) {
        Ok(_) => Err(Failure::new("the arena was created")),
        Err((error, parts)) => {
            let (.., loose) = parts.into_parts();
            let named = |address| matches!(error, CreateError::UnsupportedCpu(UnsupportedCpu::Unreachable { address: there, .. }) if there == address);
            holds("the answer names the address", named(kernel_arena::VirtAddr::new(at))).and(holds(
                "no word is left",
                loose.words.iter().all(|word| word.load(Ordering::Relaxed) == loose.vacant_word()),
            ))
        }
    };
    let after = site.bench.frames().free_count();
    let platform = site.arena.platform();
    // SAFETY: no arena was created, and no other root was given the tables.
    let unlinked = unsafe { window.unlink(site.bench.frames(), platform.phys_map(), platform.shootdown()) };
    outcome?;
    equal("frames after", after, before)?;
    Ok(unlinked?)
}

fn create_refuses_entries_that_no_root_leads_to(site: &Site<'_>) -> Checked {
    refused_as_unreachable(site, Part::Window, BASE + (1 << 30) - 4096)
}

fn create_refuses_a_guard_that_no_root_leads_to(site: &Site<'_>) -> Checked {
    refused_as_unreachable(site, Part::Guard, BASE + (1 << 32))
}

/// x86_64: PCD and PWT make it uncacheable. aarch64: AttrIndx 0 is device memory in this kernel, as in most: what
/// `EntryAttributes::default()` says.
fn create_refuses_device_memory(site: &Site<'_>) -> Checked {
    let uncached = if cfg!(target_arch = "x86_64") { 0b11 << 3 } else { 0 };
    let before = site.bench.frames().free_count();
    let (platform, layout) = site.bench.prepare(1, 1)?;
    // SAFETY: the frames are mapped there; that the attributes are others is what is to be found.
    let map = unsafe { FixedOffset::new(PHYSICAL_MAP, EntryAttributes { leaf: uncached, table: 0 }) };
    // SAFETY: as the kernel argues for its own platform.
    let parts = unsafe { Parts::new(site.bench.frames(), map, *platform.shootdown(), ThisCpu, Borrowed(&platform)) };
    let refused = Arena::<_>::new(parts, layout, site.bench.metadata(&layout)).map_err(|refused| {
        site.bench.keep(refused.metadata);
        refused.error
    });
    let named = matches!(
        refused.map(drop),
        Err(CreateError::UnsupportedCpu(UnsupportedCpu::MemoryType(
            MemoryTypeError::Device { index: 0, .. } | MemoryTypeError::NotWriteBack { index: 3, .. }
        )))
    );
    holds("the answer names the memory type", named)?;
    equal("frames after", site.bench.frames().free_count(), before)
}

/// Another platform's entries.
struct Borrowed<'a>(&'a support::KernelPlatform);

impl UpperSlots for Borrowed<'_> {
    fn window_base(&self) -> KernelAddr {
        self.0.upper().window_base()
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        // SAFETY: as the caller promises.
        unsafe { self.0.upper().window_entries() }
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        // SAFETY: as the caller promises.
        unsafe { self.0.upper().guard_entry() }
    }
}
