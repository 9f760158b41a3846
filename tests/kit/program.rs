//! The entries of a program view link themselves, give back what they made, and say why they cannot.

use std::sync::atomic::Ordering;

use kernel_arena::arch::{Arch, Root, aarch64::AArch64, x86_64::X86_64};
use kernel_arena::kit::{LinkError, ProgramWindow, UnlinkError};
use kernel_arena::platform::{Frame, ViewEntries};
use kernel_arena::views::ViewBaseError;
use kernel_arena::{AddressWidth, ArenaLayout, ProgramAddr, VirtAddr};

use super::memory::{Flushes, Memory, entries, map};
use super::window::walked;

const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 16);
const BASE: u64 = 0x0000_0010_0000_0000;

fn link<A: Arch>(root: Root, base: u64, memory: &Memory) -> Result<ProgramWindow<A>, LinkError> {
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    unsafe { ProgramWindow::link_below(root, ProgramAddr::new(base), &LAYOUT, memory, &map()) }
}

fn words(table: Frame) -> Vec<u64> {
    entries(table).iter().map(|entry| entry.load(Ordering::Relaxed)).collect()
}

/// What the tables above a view must let through, by the manuals: user mode, and stores.
type Opens = fn(u64) -> bool;

fn links_and_gives_back<A: Arch>(bits: u32, base: u64, tables: usize, opens: Opens) {
    let memory = Memory::of(8);
    let (table, root) = memory.root(bits);
    let before = memory.left();
    let window = link::<A>(root, base, &memory).unwrap();
    assert_eq!((window.tables_made(), before - memory.left()), (tables, tables));
    assert_eq!(window.view_base(), ProgramAddr::new(base));
    // SAFETY: read, not written.
    for (gib, entry) in unsafe { window.view_entries() }.into_iter().enumerate() {
        assert!(std::ptr::eq(entry, walked(table, bits, base + ((gib as u64) << 30), 30)), "GiB {gib}");
        assert_eq!(entry.load(Ordering::Relaxed), window.vacant_word());
    }
    let mut at = table;
    for _ in 0..tables {
        let used: Vec<u64> = words(at).into_iter().filter(|word| *word != 0).collect();
        assert_eq!(used.len(), 1);
        assert!(opens(used[0]), "{:#x}", used[0]);
        at = Frame::new(used[0] & 0x0000_ffff_ffff_f000).unwrap();
    }
    let flushes = Flushes::default();
    // SAFETY: no view was attached.
    unsafe { window.unlink(&memory, &map(), &flushes) }.unwrap();
    assert_eq!(memory.left(), before, "all frames are back");
    assert_eq!(flushes.0.into_inner(), u64::from(tables > 0));
    assert!(words(table).iter().all(|word| *word == 0));
}

#[test]
fn all_tables_of_a_view_are_made_once_and_given_back() {
    // P, W, U (SDM vol. 3, 5.6.1: all levels must agree).
    let x86: Opens = |word| word & 0b111 == 0b111;
    // A table, no APTable bit set (Arm ARM D8.4.4).
    let arm: Opens = |word| word & 0b11 == 0b11 && word >> 61 & 0b11 == 0;
    for base in [BASE, 0x0000_007f_0000_0000, 0x0000_7fff_0000_0000, 1 << 32] {
        links_and_gives_back::<X86_64>(48, base, 1, x86);
        links_and_gives_back::<X86_64>(57, base, 2, x86);
        links_and_gives_back::<AArch64>(48, base, 1, arm);
    }
    links_and_gives_back::<X86_64>(57, 0x00ff_ffff_0000_0000, 2, x86);
    // Where each half has a root of its own, all of its bits are the address's.
    links_and_gives_back::<AArch64>(48, 0x0000_ffff_0000_0000, 1, arm);
    for base in [1 << 32, BASE, 0x0000_007f_0000_0000] {
        links_and_gives_back::<AArch64>(39, base, 0, arm);
    }
    for base in [1 << 32, 0x0000_000f_0000_0000] {
        links_and_gives_back::<AArch64>(36, base, 0, arm);
    }
}

#[test]
fn tables_of_a_programs_are_used_and_stay() {
    let memory = Memory::of(8);
    for (open, of_the_programs) in [(0b111u64, 0x8000_0083u64), (1 << 63 | 0b1_0000_0111, 1)] {
        let (table, root) = memory.root(48);
        let upper = memory.table();
        let index = |shift: u32| (BASE >> shift & 511) as usize;
        entries(table)[index(39)].store(upper.address() | open, Ordering::Relaxed);
        // What is beside the view.
        entries(upper)[index(30) + 4].store(of_the_programs, Ordering::Relaxed);
        entries(upper)[index(30) - 1].store(of_the_programs, Ordering::Relaxed);
        let before = memory.left();
        let window = link::<X86_64>(root, BASE, &memory).unwrap();
        assert_eq!((window.tables_made(), memory.left()), (0, before));
        let flushes = Flushes::default();
        // SAFETY: no view was attached.
        unsafe { window.unlink(&memory, &map(), &flushes) }.unwrap();
        assert_eq!(flushes.0.into_inner(), 0, "nothing was taken away");
        assert_eq!(words(table)[index(39)], upper.address() | open);
    }
}

#[test]
fn a_table_in_which_the_program_has_something_else_by_now_stays() {
    let memory = Memory::of(8);
    let (table, root) = memory.root(57);
    let window = link::<X86_64>(root, BASE, &memory).unwrap();
    let upper = Frame::new(words(table)[0] & 0x0000_ffff_ffff_f000).unwrap();
    entries(upper)[7].store(0x8000_0083, Ordering::Relaxed);
    let (left, there) = (memory.left(), words(upper));
    // SAFETY: no view was attached.
    let refused = unsafe { window.unlink(&memory, &map(), &Flushes::default()) }.unwrap_err();
    let address = VirtAddr::new(7 << 39);
    assert_eq!((refused.error, memory.left()), (UnlinkError::TableInUse { address }, left));
    assert_eq!(words(upper), there);
    entries(upper)[7].store(0, Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { refused.window.unlink(&memory, &map(), &Flushes::default()) }.unwrap();
    assert_eq!((memory.left(), words(table)[0]), (left + 2, 0));
}

#[test]
fn two_views_of_one_program_share_tables() {
    let memory = Memory::of(8);
    let (_, root) = memory.root(48);
    let one = link::<X86_64>(root, BASE, &memory).unwrap();
    let two = link::<X86_64>(root, BASE + (1 << 32), &memory).unwrap();
    assert_eq!((one.tables_made(), two.tables_made()), (1, 0));
    // SAFETY: looked at, not written.
    let first = unsafe { one.view_entries() };
    // SAFETY: as above.
    let second = unsafe { two.view_entries() };
    assert!(first.iter().all(|entry| second.iter().all(|other| !std::ptr::eq(*entry, *other))));
}

#[test]
fn a_view_that_is_refused_changes_nothing() {
    let memory = Memory::of(4);
    let (table, root) = memory.root(48);
    let upper = memory.table();
    let index = |shift: u32| (BASE >> shift & 511) as usize;
    let root_entry = &entries(table)[index(39)];
    let at = |gib: u64| VirtAddr::new(BASE + (gib << 30));
    let refused = |error: LinkError, word: u64, both: bool| {
        root_entry.store(word, Ordering::Relaxed);
        let (before, below) = (words(table), words(upper));
        assert_eq!(link::<X86_64>(root, BASE, &memory).err(), Some(error), "{word:#x}");
        if both {
            assert_eq!(link::<AArch64>(root, BASE, &memory).err(), Some(error), "{word:#x}");
        }
        assert_eq!((words(table), words(upper), memory.left()), (before, below, 2));
        root_entry.store(0, Ordering::Relaxed);
    };

    // A word that is not present, and not zero.
    refused(LinkError::InUse { address: at(0) }, 2, true);
    // A large page (PS), which 512 GiB cannot have on x86_64, or a block, which level 0 cannot have.
    refused(LinkError::LargePage { address: at(0) }, 0x87, false);
    root_entry.store(0x701, Ordering::Relaxed);
    assert_eq!(link::<AArch64>(root, BASE, &memory).err(), Some(LinkError::LargePage { address: at(0) }));
    // What is mapped in one of the four gigabytes.
    for (used, gib) in (0..4).zip(0u64..) {
        for word in [0x87, 0x701, upper.address() | 7, 2] {
            entries(upper)[index(30) + used].store(word, Ordering::Relaxed);
            refused(LinkError::InUse { address: at(gib) }, upper.address() | 7, true);
            entries(upper)[index(30) + used].store(0, Ordering::Relaxed);
        }
    }
    // Closed to user mode, or to stores: without U, or without W.
    let closed = LinkError::ClosedToPrograms { address: at(0) };
    refused(closed, upper.address() | 0b011, false);
    refused(closed, upper.address() | 0b101, false);
    // APTable[0], APTable[1].
    for closing in [1 << 61, 1 << 62, 0b11 << 61] {
        root_entry.store(upper.address() | 3 | closing, Ordering::Relaxed);
        assert_eq!(link::<AArch64>(root, BASE, &memory).err(), Some(closed));
    }
    root_entry.store(0, Ordering::Relaxed);

    for (base, error) in [
        (0, ViewBaseError::AtZero),
        (BASE + 0x1000, ViewBaseError::Misaligned),
        (0xffff_9000_0000_0000, ViewBaseError::KernelHalf),
        (0x0100_0000_0000_0000, ViewBaseError::NotCanonical),
    ] {
        assert_eq!(link::<X86_64>(root, base, &memory).err(), Some(LinkError::ViewBase(error)), "{base:#x}");
    }
    // What these tables do not translate.
    fn beyond<A: Arch>(base: u64, bits: u32, table: Frame, memory: &Memory) {
        let root = Root::new(table.address(), bits).unwrap();
        let error = LinkError::OutOfReach { address: VirtAddr::new(base) };
        assert_eq!(link::<A>(root, base, memory).err(), Some(error), "{bits} bits");
    }
    beyond::<AArch64>(0x0001_0000_0000_0000, 48, table, &memory);
    beyond::<AArch64>(0x0000_0080_0000_0000, 39, table, &memory);
    beyond::<AArch64>(0x0000_0010_0000_0000, 36, table, &memory);
    beyond::<AArch64>(1 << 32, 30, table, &memory);
    // Not canonical: with four levels it would be the entry of the kernel's half.
    beyond::<X86_64>(0x0000_8000_0000_0000, 48, table, &memory);
    beyond::<X86_64>(0x0000_ffff_0000_0000, 48, table, &memory);
    beyond::<X86_64>(0x00ff_0000_0000_0000, 48, table, &memory);
    assert_eq!(memory.left(), 2);

    // The frames run out: two tables are missing, and there is one.
    let wide = Root::new(table.address(), 57).unwrap();
    let _other = memory.table();
    assert_eq!(link::<X86_64>(wide, BASE, &memory).err(), Some(LinkError::OutOfFrames));
    assert_eq!(memory.left(), 1);
    assert!(words(table).iter().all(|word| *word == 0));
    assert_eq!(link::<X86_64>(root, BASE, &memory).unwrap().tables_made(), 1, "one is enough for 48 bits");
}
