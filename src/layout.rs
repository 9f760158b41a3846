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
use crate::metadata::{MapGeometry, MetadataWord};
use crate::platform::CpuCount;

/// How many bits of a virtual address the machine translates.
///
/// It is shown as it was given: `48 bits`, or `halves of 39 bits` where it was made by [`of_halves`](Self::of_halves). The
/// two ways are compared by what they mean: halves of 39 bits are 40 bits.
#[derive(Clone, Copy)]
pub struct AddressWidth {
    bits: u32,
    given: Given,
}

/// How a width was said.
#[derive(Clone, Copy)]
enum Given {
    Whole,
    Halves,
}

impl AddressWidth {
    /// 48 bits: x86_64 with 4-level paging.
    pub const BITS_48: Self = Self::whole(48);
    /// 57 bits: x86_64 with 5-level paging (CR4.LA57).
    pub const BITS_57: Self = Self::whole(57);

    /// The least that has room for a window and its guards: halves of 16 GiB. In halves of 8 GiB each of the two places
    /// for a window touches an end, and a guard would leave the half.
    const NARROWEST: Self = Self::whole(35);

    const fn whole(bits: u32) -> Self {
        Self { bits, given: Given::Whole }
    }

    /// A width between 35 (room for a window and its guards) and 57 bits.
    pub const fn new(bits: u32) -> Option<Self> {
        if bits >= Self::NARROWEST.bits && bits <= Self::BITS_57.bits { Some(Self::whole(bits)) } else { None }
    }

    /// The width of addresses each of whose halves has `bits` bits: on aarch64 64 - `TxSZ`, so 39 for `T1SZ` = 25. The
    /// bit that selects the half (`TTBR0_EL1` or `TTBR1_EL1`) comes on top. `None` outside 34 to 56.
    ///
    /// ```
    /// use kernel_arena::AddressWidth;
    /// let width = AddressWidth::of_halves(39).unwrap();
    /// assert!(width.is_canonical(0xffff_ff80_0000_0000));
    /// assert!(!width.is_canonical(0xffff_ff7f_ffff_ffff));
    /// ```
    pub const fn of_halves(bits: u32) -> Option<Self> {
        match Self::new(bits.saturating_add(1)) {
            Some(Self { bits, .. }) => Some(Self { bits, given: Given::Halves }),
            None => None,
        }
    }

    /// The number of bits, the one that selects the half included.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// Whether all bits above the width repeat the top bit that is translated (Intel SDM vol. 1, 3.3.7.1; on aarch64
    /// the upper half is `TTBR1_EL1`'s, the lower `TTBR0_EL1`'s, Arm ARM D8.2).
    pub const fn is_canonical(self, address: u64) -> bool {
        let half = 1u64 << (self.bits - 1);
        address < half || address >= half.wrapping_neg()
    }
}

impl PartialEq for AddressWidth {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl Eq for AddressWidth {}

impl fmt::Display for AddressWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.given {
            Given::Whole => write!(f, "{} bits", self.bits),
            Given::Halves => write!(f, "halves of {} bits", self.bits - 1),
        }
    }
}

impl fmt::Debug for AddressWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for AddressWidth {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.given {
            Given::Whole => defmt::write!(f, "{=u32} bits", self.bits),
            Given::Halves => defmt::write!(f, "halves of {=u32} bits", self.bits - 1),
        }
    }
}

/// Why a layout was refused.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The base is not a multiple of 4 GiB: choose one that is.
    BaseNotAligned,
    /// The base or the end of the window is not a canonical address of this width: choose a lower or upper half base.
    BaseNotCanonical,
    /// A guard beside the window would leave the window's half of the address space: leave 4 GiB to the half's edge.
    GuardLeavesHalf,
    /// The extent has no page: give it at least one.
    ExtentEmpty,
    /// The extent contains page 0, which stays free so that null is never a page: start at page 1 or above.
    ExtentHasPageZero,
    /// The extent reaches beyond the window: shorten it, or start it lower.
    ExtentOutsideWindow,
}

impl LayoutError {
    /// What is wrong: a text that a constant's panic can show, too.
    const fn reason(self) -> &'static str {
        match self {
            Self::BaseNotAligned => "the window's base is not a multiple of 4 GiB",
            Self::BaseNotCanonical => "the window does not lie in canonical addresses of this width",
            Self::GuardLeavesHalf => "a guard beside the window would leave its half of the address space",
            Self::ExtentEmpty => "the extent has no page",
            Self::ExtentHasPageZero => "the extent contains page 0, which must stay free",
            Self::ExtentOutsideWindow => "the extent reaches beyond the window",
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for LayoutError {}

/// Where an arena's window lies in the kernel view, and which of its pages may be allocated.
///
/// ```
/// use kernel_arena::{AddressWidth, ArenaLayout, ArenaPtr, KernelAddr};
/// const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 4096); // 16 MiB
/// let ptr: ArenaPtr = ArenaPtr::new(0x1234);
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
            Some(extent) => Ok(Self { base, width, extent, cpus: CpuCount::ONE, sharing: Sharing::Shared }),
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
    /// [`OutsideWindow`] if `address` is not in the window: nothing is cut off silently.
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
        self.geometry().total_words()
    }

    /// The base as a number that pointers are made of.
    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
    pub(crate) const fn base_address(&self) -> usize {
        self.base as usize
    }

    pub(crate) const fn geometry(&self) -> MapGeometry {
        MapGeometry::of(self.extent, self.cpus)
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
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ArenaLayout {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (pages, cpus) = (self.extent.numbers(), self.cpus.get());
        defmt::write!(
            f,
            "ArenaLayout {{ base: {=u64:#x}, width: {}, pages: {=u32}..{=u32}, cpus: {=u32}, sharing: {} }}",
            self.base,
            self.width,
            pages.start,
            pages.end,
            cpus,
            self.sharing
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArenaPtr, ProgramAddr, ProgramBase};

    const BASE: u64 = 0xffff_9000_0000_0000;

    fn layout(base: u64, first: u32, count: u32) -> Result<ArenaLayout, LayoutError> {
        let (first, count) = (PageIndex::new(first).unwrap(), PageCount::new(count).unwrap());
        ArenaLayout::new(KernelAddr::new(base), AddressWidth::BITS_48, first, count)
    }

    #[test]
    fn each_bad_layout_is_refused_by_name() {
        use LayoutError::*;
        assert_eq!(layout(BASE + 0x8000_0000, 1, 1), Err(BaseNotAligned));
        assert_eq!(layout(0x0001_0000_0000_0000, 1, 1), Err(BaseNotCanonical));
        assert_eq!(layout(0xffff_7fff_0000_0000, 1, 1), Err(BaseNotCanonical));
        assert_eq!(layout(0x0000_7fff_0000_0000, 1, 1), Err(GuardLeavesHalf), "upper guard, lower half");
        assert_eq!(layout(0xffff_ffff_0000_0000, 1, 1), Err(GuardLeavesHalf), "upper guard, end of the space");
        assert_eq!(layout(0xffff_8000_0000_0000, 1, 1), Err(GuardLeavesHalf), "lower guard, upper half");
        assert_eq!(layout(0, 1, 1), Err(GuardLeavesHalf), "lower guard, start of the space");
        assert_eq!(layout(BASE, 1, 0), Err(ExtentEmpty));
        assert_eq!(layout(BASE, 0, 1), Err(ExtentHasPageZero));
        assert_eq!(layout(BASE, 1, WINDOW_PAGES), Err(ExtentOutsideWindow));
        assert_eq!(layout(BASE, WINDOW_PAGES - 1, 2), Err(ExtentOutsideWindow));
        assert!(layout(BASE, 1, WINDOW_PAGES - 1).is_ok());
        assert!(layout(0x0000_7ffe_0000_0000, 1, 1).is_ok());
        assert!(layout(1 << 32, 1, 1).is_ok());
    }

    #[test]
    fn a_fixed_layout_is_the_one_from_page_one_on() {
        const LAYOUT: ArenaLayout = ArenaLayout::fixed(BASE, AddressWidth::BITS_48, 4096);
        assert_eq!(Ok(LAYOUT), layout(BASE, 1, 4096));
        assert_eq!(ArenaLayout::fixed(BASE, AddressWidth::BITS_48, WINDOW_PAGES - 1).extent().numbers().end, 1 << 20);
    }

    #[test]
    fn a_fixed_layout_that_is_none_panics_with_the_reason() {
        use LayoutError::*;
        let refused = [
            (BASE + 0x8000_0000, 1, BaseNotAligned),
            (0x0001_0000_0000_0000, 1, BaseNotCanonical),
            (0, 1, GuardLeavesHalf),
            (BASE, 0, ExtentEmpty),
            (BASE, WINDOW_PAGES, ExtentOutsideWindow),
            (BASE, u32::MAX, ExtentOutsideWindow),
        ];
        for (base, pages, reason) in refused {
            let panic = std::panic::catch_unwind(|| ArenaLayout::fixed(base, AddressWidth::BITS_48, pages));
            let text = panic.expect_err("no layout").downcast::<String>().expect("a text");
            assert_eq!(*text, reason.to_string());
        }
    }

    #[test]
    fn a_layout_is_shown_as_it_was_given() {
        let width = AddressWidth::of_halves(39).unwrap();
        assert_eq!(width, AddressWidth::new(40).unwrap(), "they mean the same");
        assert_eq!(format!("{width:?}, {}", AddressWidth::new(40).unwrap()), "halves of 39 bits, 40 bits");
        let layout = ArenaLayout::fixed(0xffff_ff90_0000_0000, width, 4096).private();
        assert_eq!(
            format!("{layout:?}"),
            "ArenaLayout { base: 0xffffff9000000000, width: halves of 39 bits, pages: 1..4097, cpus: 1, sharing: Private }"
        );
    }

    #[test]
    fn canonical_is_relative_to_the_width() {
        let base = KernelAddr::new(0xff10_0000_0000_0000);
        let new = |width| ArenaLayout::new(base, width, PageIndex::new(1).unwrap(), PageCount::ONE);
        assert_eq!(new(AddressWidth::BITS_48), Err(LayoutError::BaseNotCanonical));
        assert!(new(AddressWidth::BITS_57).is_ok());
    }

    #[test]
    fn window_and_guards_are_where_the_fields_say() {
        let layout = layout(BASE, 1, 16).unwrap();
        assert_eq!(layout.lower_guard().start().value(), BASE - 0x8000);
        assert_eq!(layout.lower_guard().size_bytes(), 0x8000);
        assert_eq!(layout.upper_guard().start().value(), BASE + (1 << 32));
        assert_eq!(layout.upper_guard().size_bytes(), 0x8000);
        assert_eq!(layout.recoverable().size_bytes(), (1 << 32) + 0x8000);
    }

    #[test]
    fn translation_never_cuts_off_bits() {
        let layout = layout(BASE, 1, 16).unwrap();
        let program = ProgramBase::new(ProgramAddr::new(0x0000_1000_0000_0000)).unwrap();
        for offset in [0, 1, 0xfff, 0x8000_0000, u32::MAX] {
            let ptr: ArenaPtr<u8> = ArenaPtr::new(offset);
            assert_eq!(layout.to_kernel(ptr).value(), BASE | u64::from(offset));
            assert_eq!(layout.to_ptr(layout.to_kernel(ptr)), Ok(ptr));
            assert_eq!(program.to_ptr(ptr.to_program(program)), Ok(ptr));
        }
        for outside in [0, BASE - 1, BASE + (1 << 32), BASE ^ 1 << 63, u64::MAX] {
            assert!(layout.to_ptr::<u8>(KernelAddr::new(outside)).is_err(), "{outside:#x}");
            assert!(program.to_ptr::<u8>(ProgramAddr::new(outside)).is_err(), "{outside:#x}");
        }
        assert_eq!(ProgramBase::new(ProgramAddr::new(0x1000)), None);
    }

    /// The figures that README quotes.
    #[test]
    fn bookkeeping_costs_what_the_documents_say() {
        let cost = |pages| {
            let layout = layout(BASE, 1, pages).unwrap();
            (layout.table_frames().bytes(), layout.metadata_size())
        };
        assert_eq!(cost(16), (32 << 10, 3192), "64 KiB");
        assert_eq!(cost(4096), (64 << 10, 4856), "16 MiB");
        assert_eq!(cost(WINDOW_PAGES - 1), (2055 << 12, 410_744), "4 GiB less a page");
    }
}
