//! What the kernel lends for a program's view.

use crate::addr::ProgramAddr;
use crate::sync::AtomicU64;

/// Four entries of a program's address space, 1 GiB each, for a view of an arena.
///
/// [`ProgramWindow`](crate::kit::ProgramWindow) is one, below any root table of a format that this crate knows.
///
/// # Safety
/// - The four 64-bit entries translate the 4 GiB from [`view_base`](Self::view_base) on, lowest address first (x86_64: in a
///   page-directory-pointer table; aarch64 with 4 KiB granule: in a level-1 table), and the same references come back each
///   time.
/// - From when they are passed to [`attach_view`](crate::Arena::attach_view) until
///   [`detach_view`](crate::Arena::detach_view) gives them back, the arena alone writes them. Each is vacant when it
///   is passed ([`vacant_word`](Self::vacant_word)), and then no TLB or walk cache remembers anything of it.
/// - The address space, and the tables above the entries, stay as long as the view is attached. Those above allow user
///   mode what the view does: loads and stores.
/// - A [`shootdown`](super::Shootdown::shootdown) of addresses in the view reaches every CPU that could have used them *in that
///   address space*, loaded or not.
pub unsafe trait ViewEntries {
    /// Where the first entry begins: the view's base.
    fn view_base(&self) -> ProgramAddr;

    /// The entries.
    ///
    /// # Safety
    /// The caller does not write them, unless it is the arena that they are lent to.
    unsafe fn view_entries(&self) -> [&AtomicU64; 4];

    /// What the four hold while no view is attached: zero, or a note of the kernel's that they are lent, with bit 0 clear, so
    /// that no processor takes it for an entry. The same each time.
    fn vacant_word(&self) -> u64 {
        0
    }
}
