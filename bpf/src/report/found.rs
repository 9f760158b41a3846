//! What an access found where there was no page: what the arena says of the place now.
//!
//! It is asked after the access, so the answer may be newer than the hole: a page may have come there since, or one that was
//! freed may have been flushed. For somebody who looks for a mistake the place is told apart well enough.

use core::fmt;

use kernel_arena::arch::Arch;
use kernel_arena::{Arena, GUARD_SIZE, Owner, PAGE_SHIFT, PageIndex, Platform, SlotState, WINDOW_SIZE};

/// What is at a place of the window, or beside it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Below the window: an offset that is below 0.
    LowerGuard,
    /// The window's first page, which is never there: null, or a field of a structure at null.
    Null,
    /// In the window, but not in the part of it that the arena uses.
    OutsideExtent,
    /// Behind the window's end.
    UpperGuard,
    /// Neither in the window nor in one of its guards.
    Outside,
    /// A page that is free, and has been for some time or for ever.
    Free,
    /// A page that was freed a moment ago: some processor may still remember it.
    JustFreed,
    /// A page that waits to be freed. Accesses still reach it.
    BeingFreed(Owner),
    /// A page that is set aside, without memory so far.
    Reserved(Owner),
    /// A free page that somebody has touched without asking: the scratch page stands in for it.
    Scratched,
    /// The same of a page that is set aside.
    ScratchedReserved(Owner),
    /// A page. It has come since, or the access was not to this page alone.
    Page(Owner),
    /// Something that is not the arena's.
    Foreign,
}

impl Found {
    /// What is at an offset from the start of an arena's window. Context: *any*.
    pub fn at<P: Platform, A: Arch>(arena: &Arena<P, A>, offset: i64) -> Self {
        let guard = GUARD_SIZE as i64;
        let window = WINDOW_SIZE as i64;
        if offset < 0 {
            return if offset >= -guard { Self::LowerGuard } else { Self::Outside };
        }
        if offset >= window {
            return if offset < window + guard { Self::UpperGuard } else { Self::Outside };
        }
        let page = u32::try_from(offset >> PAGE_SHIFT).ok().filter(|page| *page != 0);
        let Some(page) = page.and_then(PageIndex::new) else { return Self::Null };
        arena.page_state(page).map_or(Self::OutsideExtent, Self::of)
    }

    /// What an access of so many bytes found: in its first page, unless that is there.
    pub(super) fn by<P: Platform, A: Arch>(arena: &Arena<P, A>, offset: i64, bytes: u8) -> Self {
        match Self::at(arena, offset) {
            Self::Page(_) | Self::BeingFreed(_) => Self::at(arena, offset + i64::from(bytes.max(1)) - 1),
            found => found,
        }
    }

    const fn of(state: SlotState) -> Self {
        match state {
            SlotState::Vacant => Self::Free,
            SlotState::Vacated(_) => Self::JustFreed,
            SlotState::Reserved(owner) => Self::Reserved(owner),
            SlotState::Scratch => Self::Scratched,
            SlotState::ScratchOverReserved(owner) => Self::ScratchedReserved(owner),
            SlotState::Mapped(_, owner) => Self::Page(owner),
            SlotState::Deferred(_, owner) => Self::BeingFreed(owner),
            SlotState::Foreign(_) => Self::Foreign,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owned = |f: &mut fmt::Formatter<'_>, what: &str, owner: Owner, rest: &str| {
            let owner = match owner {
                Owner::Program => "a program",
                Owner::Kernel => "the kernel",
                Owner::Allocator => "an allocator",
            };
            write!(f, "{what} {owner}{rest}")
        };
        match *self {
            Self::LowerGuard => f.write_str("the guard below the window"),
            Self::Null => f.write_str("null: the window's first page, which is never there"),
            Self::OutsideExtent => f.write_str("a part of the window that the arena does not use"),
            Self::UpperGuard => f.write_str("the guard behind the window"),
            Self::Outside => f.write_str("neither the window nor a guard of it"),
            Self::Free => f.write_str("a free page"),
            Self::JustFreed => f.write_str("a page that was freed a moment ago"),
            Self::BeingFreed(owner) => owned(f, "a page of", owner, " that is being freed"),
            Self::Reserved(owner) => owned(f, "a page reserved for", owner, ", without memory"),
            Self::Scratched => f.write_str("a free page where scratch stands in since an earlier wild access"),
            Self::ScratchedReserved(owner) => owned(f, "a page reserved for", owner, ", where scratch stands in"),
            Self::Page(owner) => owned(f, "a page of", owner, ", which has come there since"),
            Self::Foreign => f.write_str("something that is not the arena's"),
        }
    }
}
