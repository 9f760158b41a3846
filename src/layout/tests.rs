//! Layouts that are refused, and what the good ones say of themselves.

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
        "ArenaLayout { base: 0xffffff9000000000, width: halves of 39 bits, pages: 1..4097, cpus: 1, sharing: Private, \
         views: 0 }"
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
    for offset in [1, 0xfff, 0x8000_0000, u32::MAX] {
        let ptr: ArenaPtr<u8> = ArenaPtr::new(offset).unwrap();
        assert_eq!(layout.to_kernel(ptr).value(), BASE | u64::from(offset));
        assert_eq!(layout.to_ptr(layout.to_kernel(ptr)), Ok(ptr));
        assert_eq!(program.to_ptr(ptr.to_program(program)), Ok(ptr));
    }
    assert_eq!(ArenaPtr::<u8>::new(0), None);
    // The first byte's pointer would be null.
    for outside in [0, BASE, 0x0000_1000_0000_0000, BASE - 1, BASE + (1 << 32), BASE ^ 1 << 63, u64::MAX] {
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
    assert_eq!(cost(16), (32 << 10, 3064), "64 KiB");
    assert_eq!(cost(4096), (64 << 10, 4728), "16 MiB");
    assert_eq!(cost(WINDOW_PAGES - 1), (2055 << 12, 424_824), "4 GiB less a page");
}
