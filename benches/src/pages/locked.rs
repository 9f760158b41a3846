//! Other crates, as a kernel puts them together: numbers of pages from `bitmap-allocator`, page tables by `x86_64` or
//! `page_table_multiarch`, each behind a spin lock.

use bitmap_allocator::{BitAlloc, BitAlloc1M};
use memory_addr::{PhysAddr as Physical, VirtAddr as Virtual};
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{MappingFlags, PageSize, PageTable64, PagingHandler, PagingMetaData};
use spin::Mutex;
use x86_64::structures::paging::mapper::Translate;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags, PhysFrame, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::reserved::Numbers;
use super::{Pages, frames};

/// Where the window of all of them is.
const BASE: u64 = 0xffff_9000_0000_0000;

/// Frames for tables.
struct Tables;

// SAFETY: each is nobody else's.
unsafe impl FrameAllocator<Size4KiB> for Tables {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        PhysFrame::from_start_address(PhysAddr::new(frames::for_table())).ok()
    }
}

/// Page tables by `x86_64`.
pub(super) struct Offset(Mutex<OffsetPageTable<'static>>);

impl Offset {
    /// With all tables that so many pages need.
    pub(super) fn new(pages: u32) -> Self {
        let root = Box::leak(Box::new(PageTable::new()));
        // SAFETY: frames are at their own addresses.
        let table = Self(Mutex::new(unsafe { OffsetPageTable::new(root, VirtAddr::new(0)) }));
        for page in (0..=pages).step_by(512) {
            table.map(page, frames::for_page());
            table.unmap(page);
        }
        table
    }

    #[inline]
    pub(super) fn map(&self, page: u32, frame: u64) {
        let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE;
        let frame = PhysFrame::containing_address(PhysAddr::new(frame));
        // SAFETY: no processor walks these tables.
        let mapped = unsafe { self.0.lock().map_to(Self::page(page), frame, flags, &mut Tables) };
        mapped.expect("it was not mapped").ignore();
    }

    #[inline]
    pub(super) fn unmap(&self, page: u32) {
        self.0.lock().unmap(Self::page(page)).expect("it was mapped").1.ignore();
    }

    pub(super) fn is_mapped(&self, page: u32) -> bool {
        self.0.lock().translate_addr(Self::page(page).start_address()).is_some()
    }

    fn page(page: u32) -> Page {
        Page::containing_address(VirtAddr::new(BASE + (u64::from(page) << 12)))
    }
}

/// The x86_64 of `page_table_multiarch`, without an instruction that a process may not use.
struct NoTlb;

impl PagingMetaData for NoTlb {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = Virtual;

    fn flush_tlb(_: Option<Virtual>) {}
}

impl PagingHandler for Tables {
    fn alloc_frames(count: usize, _: usize) -> Option<Physical> {
        (count == 1).then(|| Physical::from(usize::try_from(frames::for_table()).expect("an address")))
    }
    fn dealloc_frames(_: Physical, _: usize) {}
    fn phys_to_virt(frame: Physical) -> Virtual {
        Virtual::from(frame.as_usize())
    }
}

/// Page tables by `page_table_multiarch`.
pub(super) struct Multiarch(Mutex<PageTable64<NoTlb, X64PTE, Tables>>);

impl Multiarch {
    pub(super) fn new(pages: u32) -> Self {
        let table = Self(Mutex::new(PageTable64::try_new().expect("there is memory")));
        for page in (0..=pages).step_by(512) {
            table.map(page, frames::for_page());
            table.unmap(page);
        }
        table
    }

    #[inline]
    pub(super) fn map(&self, page: u32, frame: u64) {
        let flags = MappingFlags::READ | MappingFlags::WRITE;
        let frame = Physical::from(usize::try_from(frame).expect("an address"));
        let mut table = self.0.lock();
        table.cursor().map(Self::page(page), frame, PageSize::Size4K, flags).expect("it was not mapped");
    }

    #[inline]
    pub(super) fn unmap(&self, page: u32) {
        self.0.lock().cursor().unmap(Self::page(page)).expect("it was mapped");
    }

    pub(super) fn is_mapped(&self, page: u32) -> bool {
        self.0.lock().query(Self::page(page)).is_ok()
    }

    fn page(page: u32) -> Virtual {
        Virtual::from(usize::try_from(BASE).expect("an address") + ((page as usize) << 12))
    }
}

/// Numbers by `bitmap-allocator`, tables by `x86_64`.
pub(super) struct Locked {
    numbers: Mutex<Box<BitAlloc1M>>,
    table: Offset,
}

impl Locked {
    pub(super) fn new(pages: u32) -> Self {
        let mut numbers = Box::new(BitAlloc1M::DEFAULT);
        numbers.insert(1..pages as usize + 1);
        Self { numbers: Mutex::new(numbers), table: Offset::new(pages) }
    }
}

impl Pages for Locked {
    #[inline]
    fn alloc(&self, pages: u32) -> Option<u32> {
        let first = {
            let mut numbers = self.numbers.lock();
            if pages == 1 { numbers.alloc() } else { numbers.alloc_contiguous(None, pages as usize, 0) }
        };
        let first = u32::try_from(first?).ok()?;
        for page in first..first + pages {
            let frame = frames::for_page();
            frames::zero(frame);
            self.table.map(page, frame);
        }
        Some(first)
    }

    #[inline]
    fn free(&self, first: u32, pages: u32) {
        (first..first + pages).for_each(|page| self.table.unmap(page));
        let mut numbers = self.numbers.lock();
        let freed = if pages == 1 {
            numbers.dealloc(first as usize)
        } else {
            numbers.dealloc_contiguous(first as usize, pages as usize)
        };
        assert!(freed, "it was taken");
    }

    fn is_mapped(&self, page: u32) -> bool {
        self.table.is_mapped(page)
    }
}

impl Numbers for Locked {
    #[inline]
    fn reserve(&self, page: u32) -> bool {
        self.numbers.lock().alloc_contiguous(Some(page as usize), 1, 0).is_some()
    }
    #[inline]
    fn give_up(&self, page: u32) {
        assert!(self.numbers.lock().dealloc(page as usize), "it was taken");
    }
}
