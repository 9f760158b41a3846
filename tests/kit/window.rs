//! A window links itself, gives back what it made, and says why it cannot.

use std::sync::atomic::Ordering;

use kernel_arena::arch::{Arch, Root, TableReach, aarch64::AArch64, portable::Portable, x86_64::X86_64};
use kernel_arena::kit::{LinkError, UnlinkError, Window};
use kernel_arena::platform::{EntryAttributes, Frame, PhysMap, UpperSlots};
use kernel_arena::{AddressWidth, ArenaLayout, KernelAddr, PageCount, PageIndex, VirtAddr};

use super::memory::{Flushes, Memory, entries, map};

/// The last 4 GiB of 512 GiB: the guard is below another entry of the tables above.
const AT_THE_END: u64 = 0xffff_907f_0000_0000;
const IN_THE_MIDDLE: u64 = 0xffff_9010_0000_0000;

fn layout(base: u64, width: AddressWidth) -> ArenaLayout {
    let sixteen = PageCount::new(16).unwrap();
    ArenaLayout::new(KernelAddr::new(base), width, PageIndex::new(1).unwrap(), sixteen).unwrap()
}

fn link<A: Arch>(root: Root, layout: &ArenaLayout, memory: &Memory) -> Result<Window<A>, LinkError> {
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    unsafe { Window::link_below(root, layout, memory, &map()) }
}

/// The word that a processor's walk finds for `address`, `shift` bytes of which it covers.
pub(super) fn walked(root: Frame, bits: u32, address: u64, shift: u32) -> *const std::sync::atomic::AtomicU64 {
    let mut at = (bits - 13) / 9 * 9 + 12;
    let mut table = root;
    loop {
        let entry = &entries(table)[(address >> at & 511) as usize & ((1usize << (bits - at)) - 1)];
        if at == shift {
            return entry;
        }
        let word = entry.load(Ordering::Relaxed);
        assert!(word & 1 != 0, "no table at 2^{at}");
        table = Frame::new(word & 0x0000_ffff_ffff_f000).unwrap();
        at -= 9;
    }
}

fn links_and_gives_back<A: Arch>(bits: u32, base: u64, width: AddressWidth, tables: usize) {
    let memory = Memory::of(16);
    let (table, root) = memory.root(bits);
    let before = memory.left();
    let layout = layout(base, width);
    let window = link::<A>(root, &layout, &memory).unwrap();
    assert_eq!((window.tables_made(), before - memory.left()), (tables, tables));
    assert_eq!(window.window_base(), layout.base());
    // SAFETY: read, not written.
    for (gib, entry) in unsafe { window.window_entries() }.into_iter().enumerate() {
        assert!(std::ptr::eq(entry, walked(table, bits, base + ((gib as u64) << 30), 30)), "GiB {gib}");
        assert_eq!(entry.load(Ordering::Relaxed), window.vacant_word());
    }
    // SAFETY: as above.
    let guard = unsafe { window.guard_entry() };
    assert!(std::ptr::eq(guard, walked(table, bits, base + (1 << 32), 21)));
    assert_eq!(guard.load(Ordering::Relaxed), window.vacant_word());
    assert_eq!(window.vacant_word() & 1, 0, "no entry to any processor");

    let flushes = Flushes::default();
    // SAFETY: no arena was created, and no other root has been given anything.
    unsafe { window.unlink(&memory, &map(), &flushes) }.unwrap();
    assert_eq!(memory.left(), before, "all frames are back");
    assert_eq!(flushes.0.into_inner(), u64::from(tables > 0));
    assert!(entries(table).iter().all(|entry| entry.load(Ordering::Relaxed) == 0));
}

#[test]
fn all_tables_are_made_once_and_given_back() {
    let wide = AddressWidth::BITS_48;
    links_and_gives_back::<X86_64>(48, IN_THE_MIDDLE, wide, 2);
    links_and_gives_back::<X86_64>(48, AT_THE_END, wide, 3);
    links_and_gives_back::<X86_64>(48, 0x0000_0010_0000_0000, wide, 2);
    links_and_gives_back::<X86_64>(57, 0xff90_0010_0000_0000, AddressWidth::BITS_57, 3);
    links_and_gives_back::<X86_64>(57, 0xff90_ffff_0000_0000, AddressWidth::BITS_57, 5);
    links_and_gives_back::<AArch64>(48, IN_THE_MIDDLE, wide, 2);
    links_and_gives_back::<AArch64>(39, 0xffff_ff90_0000_0000, wide, 1);
    links_and_gives_back::<AArch64>(36, 0xffff_fff8_0000_0000, wide, 1);
}

#[test]
fn tables_that_are_there_are_used_and_stay() {
    let memory = Memory::of(16);
    let (table, root) = memory.root(48);
    let (upper, lower) = (memory.table(), memory.table());
    let index = |shift: u32| (IN_THE_MIDDLE >> shift & 511) as usize;
    entries(table)[index(39)].store(upper.address() | 3, Ordering::Relaxed);
    entries(upper)[index(30) + 4].store(lower.address() | 3, Ordering::Relaxed);
    entries(lower)[1].store(0x20_0083, Ordering::Relaxed); // a large page of the kernel's beside the guard
    let before = memory.left();
    let window = link::<X86_64>(root, &layout(IN_THE_MIDDLE, AddressWidth::BITS_48), &memory).unwrap();
    assert_eq!((window.tables_made(), memory.left()), (0, before));
    let flushes = Flushes::default();
    // SAFETY: no arena was created.
    unsafe { window.unlink(&memory, &map(), &flushes) }.unwrap();
    assert_eq!(flushes.0.into_inner(), 0);
    assert_eq!(entries(table)[index(39)].load(Ordering::Relaxed), upper.address() | 3);
}

/// In a model's words a window's directory is like any other table.
#[test]
fn a_models_table_that_is_there_is_used() {
    let memory = Memory::of(16);
    let (table, root) = memory.root(48);
    let (upper, lower) = (memory.table(), memory.table());
    let index = |shift: u32| (IN_THE_MIDDLE >> shift & 511) as usize;
    let word = |table| Portable::<9>::table(table, TableReach::Kernel, map().attributes());
    entries(table)[index(39)].store(word(upper), Ordering::Relaxed);
    entries(upper)[index(30) + 4].store(word(lower), Ordering::Relaxed);
    let window = link::<Portable<9>>(root, &layout(IN_THE_MIDDLE, AddressWidth::BITS_48), &memory).unwrap();
    assert_eq!(window.tables_made(), 0);
}

#[test]
fn a_table_that_somebody_else_uses_by_now_stays() {
    let memory = Memory::of(16);
    let (table, root) = memory.root(48);
    let window = link::<X86_64>(root, &layout(IN_THE_MIDDLE, AddressWidth::BITS_48), &memory).unwrap();
    let index = (IN_THE_MIDDLE >> 39 & 511) as usize;
    let upper = Frame::new(entries(table)[index].load(Ordering::Relaxed) & !0xfff).unwrap();
    entries(upper)[1].store(0x8000_0083, Ordering::Relaxed);
    let left = memory.left();
    // SAFETY: no arena was created.
    let refused = unsafe { window.unlink(&memory, &map(), &Flushes::default()) }.unwrap_err();
    let address = VirtAddr::new(0xffff_9000_4000_0000);
    assert_eq!((refused.error, memory.left()), (UnlinkError::TableInUse { address }, left));
    entries(upper)[1].store(0, Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { refused.window.unlink(&memory, &map(), &Flushes::default()) }.unwrap();
    assert_eq!((memory.left(), entries(table)[index].load(Ordering::Relaxed)), (left + 2, 0));
}

#[test]
fn refusals_change_nothing() {
    let wide = AddressWidth::BITS_48;
    let memory = Memory::of(4);
    let (table, root) = memory.root(48);
    let all_layout = layout(IN_THE_MIDDLE, wide);
    let index = |shift: u32| (IN_THE_MIDDLE >> shift & 511) as usize;
    let untouched = |left: usize| {
        assert_eq!(memory.left(), left);
    };
    let at = |gib: u64| VirtAddr::new(IN_THE_MIDDLE + (gib << 30));

    // A page of 512 GiB does not exist on x86_64; a level-0 block does not on aarch64; but a word may be there.
    let root_entry = &entries(table)[index(39)];
    root_entry.store(2, Ordering::Relaxed);
    assert_eq!(link::<X86_64>(root, &all_layout, &memory).err(), Some(LinkError::InUse { address: at(0) }));
    untouched(3);

    let upper = memory.table();
    root_entry.store(upper.address() | 3, Ordering::Relaxed);
    let gib = |gib: u64| &entries(upper)[index(30) + (gib & 7) as usize];
    for used in 0..4 {
        gib(used).store(0x83, Ordering::Relaxed);
        let refused = Some(LinkError::InUse { address: at(used) });
        assert_eq!(link::<X86_64>(root, &all_layout, &memory).err(), refused);
        assert_eq!(link::<AArch64>(root, &all_layout, &memory).err(), refused);
        gib(used).store(0, Ordering::Relaxed);
        untouched(2);
    }
    gib(4).store(0x83, Ordering::Relaxed); // a page of 1 GiB over the guard
    assert_eq!(link::<X86_64>(root, &all_layout, &memory).err(), Some(LinkError::LargePage { address: at(4) }));
    gib(4).store(0x8000_0701, Ordering::Relaxed); // a block of 1 GiB
    assert_eq!(link::<AArch64>(root, &all_layout, &memory).err(), Some(LinkError::LargePage { address: at(4) }));
    gib(4).store(0, Ordering::Relaxed);
    untouched(2);

    root_entry.store(0, Ordering::Relaxed);
    let _other = (memory.table(), ());
    assert_eq!(link::<X86_64>(root, &all_layout, &memory).err(), Some(LinkError::OutOfFrames), "two are missing");
    untouched(1);
    assert!(entries(table).iter().all(|entry| entry.load(Ordering::Relaxed) == 0));

    let narrow = Root::new(table.address(), 39).unwrap();
    let out_of_reach = LinkError::OutOfReach { address: at(0) };
    assert_eq!(link::<AArch64>(narrow, &all_layout, &memory).err(), Some(out_of_reach));
    // Canonical with 57 bits alone: with 48 the entry would be another address's.
    let hole = 0x0000_9010_0000_0000;
    let refused = link::<X86_64>(root, &layout(hole, AddressWidth::BITS_57), &memory).err();
    assert_eq!(refused, Some(LinkError::OutOfReach { address: VirtAddr::new(hole) }));
    let tiny = Root::new(table.address(), 30).unwrap();
    assert!(matches!(link::<AArch64>(tiny, &all_layout, &memory), Err(LinkError::OutOfReach { .. })));
    // SAFETY: nothing is loaded that a process knows of, so nothing is touched.
    let not_walked = unsafe { Window::<X86_64>::link(&all_layout, &memory, &map()) };
    assert_eq!(not_walked.err(), Some(LinkError::NotWalked));
    untouched(1);
}

#[test]
fn other_roots_get_the_same_entries_and_lose_them_again() {
    let memory = Memory::of(16);
    let (table, root) = memory.root(48);
    let window = link::<X86_64>(root, &layout(AT_THE_END, AddressWidth::BITS_48), &memory).unwrap();
    let (other_table, other) = memory.root(48);
    // SAFETY: roots of this test's.
    unsafe { window.link_into(other, &map()) }.unwrap();
    // SAFETY: as above; again changes nothing.
    unsafe { window.link_into(other, &map()) }.unwrap();
    let words = |table| entries(table).each_ref().map(|entry| entry.load(Ordering::Relaxed));
    assert_eq!(words(table), words(other_table));
    assert_eq!(words(other_table).iter().filter(|word| **word != 0).count(), 2, "the guard's is another entry");
    // SAFETY: as above.
    unsafe { window.unlink_from(other, &map()) };
    assert!(words(other_table).iter().all(|word| *word == 0));

    // A root that has a table of its own for the guard gets nothing at all.
    let guard = ((AT_THE_END + (1 << 32)) >> 39 & 511) as usize;
    entries(other_table)[guard].store(memory.table().address() | 3, Ordering::Relaxed);
    // SAFETY: as above.
    let refused = unsafe { window.link_into(other, &map()) };
    assert_eq!(refused, Err(LinkError::OtherTable { address: VirtAddr::new(AT_THE_END + (1 << 32)) }));
    assert_eq!(words(other_table).iter().filter(|word| **word != 0).count(), 1);
    let narrow = Root::new(other_table.address(), 57).unwrap();
    // SAFETY: as above.
    assert!(matches!(unsafe { window.link_into(narrow, &map()) }, Err(LinkError::OutOfReach { .. })));
}

#[test]
fn a_root_that_had_the_tables_before_keeps_them() {
    let memory = Memory::of(16);
    let (table, root) = memory.root(48);
    let index = (IN_THE_MIDDLE >> 39 & 511) as usize;
    let upper = memory.table().address() | 3;
    entries(table)[index].store(upper, Ordering::Relaxed);
    let window = link::<X86_64>(root, &layout(IN_THE_MIDDLE, AddressWidth::BITS_48), &memory).unwrap();
    let (other_table, other) = memory.root(48);
    entries(other_table)[index].store(upper, Ordering::Relaxed);
    // SAFETY: roots of this test's.
    unsafe { window.link_into(other, &map()) }.unwrap();
    // SAFETY: as above.
    unsafe { window.unlink_from(other, &map()) };
    assert_eq!(entries(other_table)[index].load(Ordering::Relaxed), upper);
}

#[test]
fn where_the_root_has_the_lent_entries_the_arena_comes_first() {
    let memory = Memory::of(16);
    let (table, root) = memory.root(39);
    let base = 0xffff_ff90_0000_0000;
    let window = link::<AArch64>(root, &layout(base, AddressWidth::BITS_48), &memory).unwrap();
    let (other_table, other) = memory.root(39);
    // SAFETY: roots of this test's.
    let refused = unsafe { window.link_into(other, &map()) };
    assert_eq!(refused, Err(LinkError::NothingToCopy { address: VirtAddr::new(base) }));
    // A kernel that copies all of a root has copied that they are lent.
    let (copy_table, copy) = memory.root(39);
    for (copied, entry) in entries(copy_table).iter().zip(entries(table)) {
        copied.store(entry.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    let (unused_table, unused) = memory.root(39);
    for (copied, entry) in entries(unused_table).iter().zip(entries(table)) {
        copied.store(entry.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    // As an arena's creation does.
    // SAFETY: there is no arena.
    for entry in unsafe { window.window_entries() } {
        entry.store(memory.table().address() | 3, Ordering::Relaxed);
    }
    // SAFETY: as above.
    unsafe { window.link_into(other, &map()) }.unwrap();
    // SAFETY: as above.
    unsafe { window.link_into(copy, &map()) }.unwrap();
    let leading = |table, mask| entries(table).iter().filter(|entry| entry.load(Ordering::Relaxed) & mask != 0).count();
    assert_eq!((leading(other_table, 1), leading(copy_table, 1), leading(unused_table, !0)), (5, 5, 5));
    for (root, table) in [(other, other_table), (copy, copy_table), (unused, unused_table)] {
        // SAFETY: as above.
        unsafe { window.unlink_from(root, &map()) };
        assert_eq!(leading(table, !0), 0);
    }
}

/// The processor and mappers set bits under one root that another does not get.
#[test]
fn roots_whose_entries_differ_in_other_bits_lead_to_the_same_tables() {
    const ACCESSED: u64 = 1 << 5;
    const USER: u64 = 1 << 2;
    let memory = Memory::of(16);
    let (table, root) = memory.root(48);
    let index = (AT_THE_END >> 39 & 511) as usize;
    let upper = memory.table().address() | 3;
    entries(table)[index].store(upper | ACCESSED, Ordering::Relaxed);
    let window = link::<X86_64>(root, &layout(AT_THE_END, AddressWidth::BITS_48), &memory).unwrap();
    let (other_table, other) = memory.root(48);
    entries(other_table)[index].store(upper, Ordering::Relaxed);
    // SAFETY: roots of this test's.
    assert_eq!(unsafe { window.link_into(other, &map()) }, Ok(()));
    assert_eq!(entries(other_table)[index].load(Ordering::Relaxed), upper, "it stays as it is");

    // The guard's entry leads to a table of the window's, whose frame goes back: no root may keep it.
    let guard = &entries(other_table)[((AT_THE_END + (1 << 32)) >> 39 & 511) as usize];
    assert!(guard.fetch_or(USER, Ordering::Relaxed) != 0);
    // SAFETY: as above; again changes nothing.
    assert_eq!(unsafe { window.link_into(other, &map()) }, Ok(()));
    // SAFETY: as above.
    unsafe { window.unlink_from(other, &map()) };
    assert_eq!(guard.load(Ordering::Relaxed), 0);
    assert_eq!(entries(other_table)[index].load(Ordering::Relaxed), upper);
}

/// An encryption bit is part of no address, CR3's included.
#[test]
fn an_encryption_bit_is_put_on_and_taken_off() {
    const ENCRYPTED: EntryAttributes = EntryAttributes { leaf: 1 << 51, table: 1 << 51 };
    let memory = Memory::of(16);
    let (table, _) = memory.root(48);
    let root = Root::new(table.address() | 1 << 51, 48).unwrap();
    // SAFETY: as `map`.
    let map = unsafe { kernel_arena::platform::FixedOffset::new(0, ENCRYPTED) };
    assert_eq!(map.attributes(), ENCRYPTED);
    // SAFETY: as in `link`.
    let window =
        unsafe { Window::<X86_64>::link_below(root, &layout(IN_THE_MIDDLE, AddressWidth::BITS_48), &memory, &map) };
    assert_eq!(window.unwrap().tables_made(), 2);
    let word = entries(table)[(IN_THE_MIDDLE >> 39 & 511) as usize].load(Ordering::Relaxed);
    assert!(word & 1 << 51 != 0 && word & 1 != 0);
}
