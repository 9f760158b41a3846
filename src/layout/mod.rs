//! Where an arena lies: window, extent, guards, and how much memory its bookkeeping takes.
//!
//! An [`ArenaLayout`] is pure arithmetic and can be made in a `const`. Holding one proves that the window is 4
//! GiB-aligned and canonical, that both guards stay in the window's half of the address space, and that the extent is
//! not empty, lies in the window and leaves out page 0, so that offset 0 is never a page (a null pointer is never
//! valid).

use core::fmt;

use crate::addr::{
    AddressRange, ArenaPtr, GUARD_SIZE, KernelAddr, OutsideWindow, PAGE_SHIFT, PageCount, PageIndex, PageRange,
    VirtAddr, WINDOW_PAGES, WINDOW_SIZE, window_offset,
};
use crate::metadata::{MetadataLayout, MetadataWord};
use crate::platform::CpuCount;

mod error;
#[cfg(test)]
mod tests;
mod width;

pub use error::LayoutError;
pub use width::AddressWidth;

/// Where an arena's window lies in the kernel view, and which of its pages may be allocated.
///
/// ```
/// use kernel_arena::{AddressWidth, ArenaLayout, ArenaPtr, KernelAddr};
/// const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 4096); // 16 MiB
/// let ptr: ArenaPtr = ArenaPtr::new(0x1234).unwrap();
/// assert_eq!(LAYOUT.to_kernel(ptr), KernelAddr::new(0xffff_9000_0000_1234));
/// assert_eq!(LAYOUT.to_ptr(LAYOUT.to_kernel(ptr)), Ok(ptr));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ArenaLayout {
    base: u64,
    width: AddressWidth,
    extent: PageRange,
    cpus: CpuCount,
    sharing: Sharing,
    views: u8,
}

/// Whether programs may ever see an arena.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// They may: the kernel never forms a reference to its memory, and names what is in it by
    /// [`ArenaPtr`](crate::ArenaPtr).
    Shared,
    /// None ever can: it has no view but the kernel's, and user mode reaches none of its pages. Only such an arena can
    /// be under a [`Heap`](crate::heap::Heap), which hands out references.
    Private,
}

impl ArenaLayout {
    /// A window at `base` whose pages `first_page .. first_page + page_count` may be allocated, on a machine that
    /// translates `width` bits, for one CPU (see [`with_cpus`](Self::with_cpus)).
    ///
    /// # Errors
    /// [`LayoutError`] names what to change.
    pub const fn new(
        base: KernelAddr,
        width: AddressWidth,
        first_page: PageIndex,
        page_count: PageCount,
    ) -> Result<Self, LayoutError> {
        let base = base.value();
        if base % WINDOW_SIZE != 0 {
            return Err(LayoutError::BaseNotAligned);
        }
        if !width.is_canonical(base) || !width.is_canonical(base + (WINDOW_SIZE - 1)) {
            return Err(LayoutError::BaseNotCanonical);
        }
        if !guards_fit(base, width) {
            return Err(LayoutError::GuardLeavesHalf);
        }
        if page_count.get() == 0 {
            return Err(LayoutError::ExtentEmpty);
        }
        if first_page.number() == 0 {
            return Err(LayoutError::ExtentHasPageZero);
        }
        match PageRange::new(first_page, page_count) {
            Some(extent) => Ok(Self { base, width, extent, cpus: CpuCount::ONE, sharing: Sharing::Shared, views: 0 }),
            None => Err(LayoutError::ExtentOutsideWindow),
        }
    }

    /// A layout for a constant: a window at `base`, a multiple of 4 GiB, whose pages `1 ..= pages` may be allocated, on a
    /// machine that translates `width` bits, for one CPU. [`new`](Self::new) is for numbers that are known only at run
    /// time: it returns what this function panics with.
    ///
    /// ```
    /// use kernel_arena::{AddressWidth, ArenaLayout};
    /// const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 4096);
    /// assert_eq!(LAYOUT.extent().count().bytes(), 16 << 20);
    /// ```
    ///
    /// # Panics
    /// With the text of the [`LayoutError`] that `new` returns; in a constant that is an error of the compiler:
    /// ```compile_fail,E0080
    /// # use kernel_arena::{AddressWidth, ArenaLayout};
    /// const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_8000_0000, AddressWidth::BITS_48, 4096);
    /// # let _ = LAYOUT;
    /// ```
    #[track_caller]
    pub const fn fixed(base: u64, width: AddressWidth, pages: u32) -> Self {
        let first = PageIndex::masked(1);
        let layout = match PageCount::new(pages) {
            Some(count) => Self::new(KernelAddr::new(base), width, first, count),
            None => Err(LayoutError::ExtentOutsideWindow),
        };
        match layout {
            Ok(layout) => layout,
            Err(error) => panic!("{}", error.reason()),
        }
    }

    /// The same arena for a machine with `cpus` CPUs, each of which has two words of its own in the metadata.
    #[must_use]
    pub const fn with_cpus(self, cpus: CpuCount) -> Self {
        Self { cpus, ..self }
    }

    /// The same arena with room for `views` program views at once, each of which has a word in the metadata, and is flushed
    /// with the kernel's whenever a page is taken away.
    #[must_use]
    pub const fn with_views(self, views: u8) -> Self {
        Self { views, ..self }
    }

    /// How many program views can be attached at once.
    pub const fn views(&self) -> u8 {
        self.views
    }

    /// The same arena, for the kernel alone: no program will ever see it.
    #[must_use]
    pub const fn private(self) -> Self {
        Self { sharing: Sharing::Private, ..self }
    }

    /// Whether programs may see the arena.
    pub const fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Whether a machine that translates `width` bits reaches all of the window and its guards.
    pub(crate) const fn fits(&self, width: AddressWidth) -> bool {
        width.is_canonical(self.base) && guards_fit(self.base, width)
    }

    /// The start of the window in the kernel view.
    pub const fn base(&self) -> KernelAddr {
        KernelAddr::new(self.base)
    }

    /// The address width that the layout was checked against.
    pub const fn width(&self) -> AddressWidth {
        self.width
    }

    /// How many CPUs have a word of their own.
    pub const fn cpus(&self) -> CpuCount {
        self.cpus
    }

    /// The pages that may be allocated.
    pub const fn extent(&self) -> PageRange {
        self.extent
    }

    /// The window: 4 GiB from the base on.
    pub const fn window(&self) -> AddressRange {
        Self::window_at(self.base())
    }

    pub(crate) const fn window_at(base: KernelAddr) -> AddressRange {
        AddressRange::new(VirtAddr::new(base.value()), WINDOW_SIZE)
    }

    pub(crate) const fn guard_at(base: KernelAddr) -> AddressRange {
        AddressRange::new(VirtAddr::new(base.value().wrapping_add(WINDOW_SIZE)), GUARD_SIZE)
    }

    /// The 32 KiB after the window: an access there is recovered.
    pub const fn upper_guard(&self) -> AddressRange {
        Self::guard_at(self.base())
    }

    /// The 32 KiB before the window: an access there is never recovered, and the kernel must map nothing there.
    pub const fn lower_guard(&self) -> AddressRange {
        AddressRange::new(VirtAddr::new(self.base.wrapping_sub(GUARD_SIZE)), GUARD_SIZE)
    }

    /// Window and upper guard: where a fault is the arena's.
    pub const fn recoverable(&self) -> AddressRange {
        AddressRange::new(VirtAddr::new(self.base), WINDOW_SIZE + GUARD_SIZE)
    }

    /// The address of the byte `ptr` names, in the kernel view.
    pub const fn to_kernel<T>(&self, ptr: ArenaPtr<T>) -> KernelAddr {
        KernelAddr::new(self.base | ptr.offset() as u64)
    }

    /// The pointer that names the byte at `address`.
    ///
    /// # Errors
    /// [`OutsideWindow`] if `address` is not in the window: nothing is cut off silently. The very first byte, which is no
    /// page's, has no pointer: it would be null.
    pub const fn to_ptr<T>(&self, address: KernelAddr) -> Result<ArenaPtr<T>, OutsideWindow> {
        window_offset(self.base, address.value())
    }

    /// Words of metadata to be lent to [`Arena::new`](crate::Arena::new).
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use kernel_arena::{AddressWidth, ArenaLayout, MetadataWord};
    /// const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 4096);
    /// static mut METADATA: [MaybeUninit<MetadataWord>; LAYOUT.metadata_words()] =
    ///     [const { MaybeUninit::uninit() }; LAYOUT.metadata_words()];
    /// # let _ = &raw mut METADATA;
    /// ```
    pub const fn metadata_words(&self) -> usize {
        self.metadata_layout().total_words()
    }

    /// The base as a number that pointers are made of.
    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
    pub(crate) const fn base_address(&self) -> usize {
        self.base as usize
    }

    pub(crate) const fn metadata_layout(&self) -> MetadataLayout {
        MetadataLayout::of(self.extent, self.cpus, self.views)
    }

    /// Bytes of metadata to be lent to [`Arena::new`](crate::Arena::new): some three bits a page and a few KiB.
    pub const fn metadata_size(&self) -> usize {
        self.metadata_words() * size_of::<MetadataWord>()
    }

    /// Frames that [`Arena::new`](crate::Arena::new) takes for page tables and the scratch page: four directories, a
    /// leaf table for each 2 MiB that the extent touches, the guard's leaf table, the scratch table, the scratch page.
    pub const fn table_frames(&self) -> PageCount {
        let first = self.extent.first().number() >> 9;
        let last = (self.extent.first().number() + self.extent.count().get() - 1) >> 9;
        PageCount::saturating(4 + (last - first + 1) + 3)
    }
}

impl fmt::Debug for ArenaLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaLayout")
            .field("base", &format_args!("{:#x}", self.base))
            .field("width", &self.width)
            .field("pages", &self.extent.numbers())
            .field("cpus", &self.cpus.get())
            .field("sharing", &self.sharing)
            .field("views", &self.views)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ArenaLayout {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (pages, cpus) = (self.extent.numbers(), self.cpus.get());
        defmt::write!(
            f,
            "ArenaLayout {{ base: {=u64:#x}, width: {}, pages: {=u32}..{=u32}, cpus: {=u32}, sharing: {}, views: {=u8} }}",
            self.base,
            self.width,
            pages.start,
            pages.end,
            cpus,
            self.sharing,
            self.views
        );
    }
}

const _: () = assert!(WINDOW_PAGES as u64 == WINDOW_SIZE >> PAGE_SHIFT);

/// Whether both guards of a window at `base` stay in its half: their outermost bytes are canonical and have its top
/// bit.
const fn guards_fit(base: u64, width: AddressWidth) -> bool {
    let below = base.wrapping_sub(GUARD_SIZE);
    let above = base.wrapping_add(WINDOW_SIZE + (GUARD_SIZE - 1));
    width.is_canonical(below) && width.is_canonical(above) && (below ^ base) >> 63 == 0 && (above ^ base) >> 63 == 0
}
