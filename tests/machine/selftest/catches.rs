//! What the machine is for: a platform or an arena that breaks a rule is found out.

use std::rc::Rc;

use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::aarch64::tlb::{TlbInstructions, tlbi_operand};
use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::platform::{FlushScope, Frame, FrameSource, PhysMap, Shootdown};
use kernel_arena::{AddressRange, ArenaPtr, Platform, VirtAddr};

use super::super::formats::MachineInstructions;
use super::super::{Format, Machine, Point, Sabotage, TlbMode};
use super::failure;

/// A page that CPU 1 has used, freed by CPU 0 with a shootdown that leaves something out.
fn free_under<F: Format>(sabotage: Sabotage, tlb: TlbMode, tag: u16) -> String {
    failure(|| {
        let m = Machine::<F>::builder().tlb(tlb).build();
        let view = m.attach_view(0, 1);
        let page = m.alloc(1);
        m.cpu(1).switch_to(tag);
        m.write(1, page, 1).unwrap();
        if sabotage == Sabotage::Views {
            m.cpu(1).user().read_u8(page.to_program(view)).unwrap();
        }
        m.cpu(1).switch_to(0);
        m.sabotage(sabotage);
        m.free(page, 1);
    })
}

fn a_flush_that_leaves_something_out_is_caught<F: Format>() {
    for sabotage in [Sabotage::All, Sabotage::Cpu(1), Sabotage::OtherTags, Sabotage::Views] {
        for tlb in [TlbMode::Lazy, TlbMode::Eager] {
            let said = free_under::<F>(sabotage, tlb, 1);
            assert!(said.starts_with("I5: CPU"), "{sabotage:?} {tlb:?}: {said}");
        }
    }
}

fn a_stale_translation_is_used<F: Format>() {
    let m = Machine::<F>::builder().tlb(TlbMode::Lazy).build();
    let page = m.alloc(1);
    m.write(1, page, 5).unwrap();
    m.hook(Point::BeforeFlush, move |m| {
        assert_eq!(m.frame_of(m.at(page)), None);
        assert_eq!(m.read(1, page), Ok(5), "until it is flushed");
    });
    m.free(page, 1);
    m.clear_hooks();
    assert_eq!(m.exceptions(), 0);
    assert_eq!(m.read(1, page), Ok(0), "a violation");
    m.finish();
}

fn a_page_mapped_where_scratch_is_remembered_is_caught<F: Format>() {
    let said = failure(|| {
        let m = Machine::<F>::builder().extent(1, 1).build();
        m.write(1, ArenaPtr::new(0x1000).unwrap(), 1).unwrap();
        m.sabotage(Sabotage::All);
        m.alloc(1);
    });
    assert!(said.starts_with("I2"), "{said}");
}

fn walk_caches_must_be_flushed_before_tables_go_back<F: Format>() {
    let said = failure(|| {
        let m = Machine::<F>::builder().tlb(TlbMode::Lazy).build();
        m.write(1, ArenaPtr::new(0x1000).unwrap(), 1).unwrap();
        m.sabotage(Sabotage::WalkCaches);
        // aarch64's flushes of pages reach walk caches by themselves; this is for all formats the whole window's.
        m.finish();
    });
    assert!(said.starts_with("I5: CPU 1"), "{said}");
}

fn frames_are_watched<F: Format>() {
    let twice = failure(|| {
        let m = Machine::<F>::builder().build();
        let frames = m.arena().platform().frames();
        let frame = frames.alloc(None).unwrap();
        // SAFETY: it came from this source.
        unsafe { frames.free(frame) };
        // SAFETY: it did not come from this source again: what is tested.
        unsafe { frames.free(frame) };
    });
    assert!(twice.contains("double free"), "{twice}");
    let written = failure(|| {
        let m = Machine::<F>::builder().build();
        let platform = m.arena().platform();
        let frame = platform.frames().alloc(None).unwrap();
        let memory = platform.phys_map().frame_to_ptr(frame);
        // SAFETY: it came from this source.
        unsafe { platform.frames().free(frame) };
        // SAFETY: the memory is the machine's; that nobody may use it is what is tested.
        unsafe { memory.write(1) };
        platform.frames().alloc(None);
    });
    assert!(written.contains("while it was free"), "{written}");
    let mapped = failure(|| {
        let m = Machine::<F>::builder().tlb(TlbMode::Lazy).build();
        let page = m.alloc(1);
        let frame = Frame::new(m.frame_of(m.at(page)).unwrap());
        // SAFETY: a slot holds it still: what is tested.
        unsafe { m.arena().platform().frames().free(frame.unwrap()) };
    });
    assert!(mapped.contains("still in the tables"), "{mapped}");
}

fn a_shootdown_of_foreign_addresses_is_caught<F: Format>() {
    let said = failure(|| {
        let m = Machine::<F>::builder().build();
        let range = AddressRange::new(VirtAddr::new(0x1000), 0x1000);
        let shootdown = m.arena().platform().shootdown();
        shootdown.shootdown(&[range], FlushScope::Leaves);
    });
    assert!(said.contains("no arena's"), "{said}");
}

each_format!(
    a_flush_that_leaves_something_out_is_caught,
    a_stale_translation_is_used,
    a_page_mapped_where_scratch_is_remembered_is_caught,
    walk_caches_must_be_flushed_before_tables_go_back,
    frames_are_watched,
    a_shootdown_of_foreign_addresses_is_caught,
);

#[test]
fn a_tlbi_operand_with_a_level_hint_is_rejected() {
    let m = Machine::<AArch64>::builder().build();
    let page = VirtAddr::from(m.at(ArenaPtr::new(0x1000).unwrap()));
    let instructions = || MachineInstructions::new(Rc::clone(m.hardware()));
    let said = failure(|| instructions().invalidate_page(page.value() >> 12));
    assert!(said.contains("bits above 43"), "{said}");
    let said = failure(|| instructions().invalidate_page(tlbi_operand(page)));
    assert!(said.contains("before DSB"), "{said}");
    m.finish();
}

/// Each of these bits, flipped in a good leaf, makes one that no arena may write.
fn reject_leaves<F: Format>(good: u64, bits: &[u32]) {
    assert!((F::RULES.leaf)(good).is_some());
    for bit in bits {
        failure(|| _ = (F::RULES.leaf)(good ^ 1 << bit));
    }
}

/// The same for an entry above.
fn reject_tables<F: Format>(good: u64, bits: &[u32]) {
    assert!((F::RULES.table)(good).is_some());
    for bit in bits {
        failure(|| _ = (F::RULES.table)(good ^ 1 << bit));
    }
}

/// The same for an entry of a program view.
fn reject_view_entries<F: Format>(good: u64, bits: &[u32]) {
    assert!((F::RULES.view_entry)(good).is_some());
    for bit in bits {
        failure(|| _ = (F::RULES.view_entry)(good ^ 1 << bit));
    }
}

#[test]
fn malformed_x86_64_entries_are_rejected() {
    // W, PWT, A, D, PAT, global, bit 11, reserved address bits, the encryption bit, protection keys, XD.
    let leaf = [1, 3, 5, 6, 7, 8, 11, 46, 50, 51, 59, 62, 63];
    reject_leaves::<X86_64>(1 << 63 | 1 << 51 | 0x1234_5000 | 0x6f, &leaf);
    // W, PWT, A, PS, bit 11, reserved address bits, the encryption bit.
    reject_tables::<X86_64>(1 << 51 | 0x1234_5000 | 0x27, &[1, 3, 5, 7, 11, 46, 51]);
    // PWT, U, A, PS, bit 11, reserved address bits, the encryption bit, XD; W is its own to say.
    for writable in [0, 2] {
        let view = 1 << 63 | 1 << 51 | 0x1234_5000 | 0x25 | writable;
        reject_view_entries::<X86_64>(view, &[2, 3, 5, 7, 11, 46, 51, 63]);
        let entry = (X86_64::RULES.view_entry)(view).unwrap();
        assert_eq!((entry.rights.user, entry.rights.write), (true, writable != 0));
    }
}

#[test]
fn malformed_aarch64_descriptors_are_rejected() {
    // Page, memory type, NS, read-only, shareability, AF, nG, reserved, DBM, contiguous, PXN, UXN, above the software bits.
    let leaf = [1, 2, 5, 7, 8, 10, 11, 48, 51, 52, 53, 54, 59, 63];
    reject_leaves::<AArch64>(0b11 << 53 | 0x1234_5000 | 0xf47, &leaf);
    // Table, AF, reserved, APTable[1], NSTable.
    reject_tables::<AArch64>(0x1234_5403, &[1, 10, 48, 62, 63]);
    // Table, AF, reserved, PXNTable, UXNTable, APTable[0], NSTable; APTable[1] is its own to say.
    for read_only in [0, 1 << 62] {
        let view = 0b11 << 59 | 0x1234_5403 | read_only;
        reject_view_entries::<AArch64>(view, &[1, 10, 48, 59, 60, 61, 63]);
        let entry = (AArch64::RULES.view_entry)(view).unwrap();
        assert_eq!((entry.rights.user, entry.rights.write), (true, read_only == 0));
    }
}
