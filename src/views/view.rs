//! A view, as its holder has it.

use core::fmt;

use crate::addr::{ProgramAddr, ProgramBase};

/// What a program may do with the pages that it reaches through a view.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewRights {
    /// Load and store.
    ReadWrite,
    /// Load. The view's own entries forbid stores to everything below; the same pages may be writable in another view, and
    /// are for the kernel.
    ReadOnly,
}

/// What becomes of a program's access to a page that nobody has allocated.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultPolicy {
    /// The program gets a zeroed page there, its own to free.
    Lazy,
    /// The access is refused.
    Segv,
}

/// A view that is attached, and what the kernel lent for it.
///
/// Holding one proves that the window is linked into these entries, and that nobody else can detach it: there is no other of
/// the same place in the same arena. [`Arena::detach_view`](crate::Arena::detach_view) takes it, so a view that is gone cannot be used:
///
/// ```compile_fail,E0382
/// use kernel_arena::{Arena, Platform, platform::ViewEntries, views::View};
///
/// fn twice<P: Platform, V: ViewEntries>(arena: &Arena<P>, view: View<V>) {
///     let _entries = arena.detach_view(view);
///     let _base = view.base();
/// }
/// ```
///
/// Dropping one detaches nothing: the window stays linked in that address space, and the arena cannot be destroyed.
#[must_use = "without it the view can never be detached"]
pub struct View<V> {
    pub(crate) entries: V,
    pub(crate) id: ViewId,
    pub(crate) base: ProgramBase,
    /// Which list it is in: an arena with a view is not destroyed, so no other has that meanwhile.
    pub(crate) list: usize,
}

/// The number of a view, for whoever handles a program's faults.
///
/// It can be copied, and outlives the view: then no arena knows it any more. Numbers are used once a place until 2^28 views
/// have come and gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewId {
    pub(crate) place: u8,
    /// The word of the list.
    pub(crate) word: u64,
}

impl ViewId {
    /// Where the view starts: the word of the list is made of a base.
    pub(crate) const fn base(self) -> ProgramBase {
        ProgramBase::containing(ProgramAddr::new(self.word))
    }
}

impl<V> View<V> {
    /// Its number, by which faults name it.
    pub const fn id(&self) -> ViewId {
        self.id
    }

    /// Where the window starts in the program's address space.
    pub const fn base(&self) -> ProgramBase {
        self.base
    }

    /// What the kernel lent.
    pub const fn entries(&self) -> &V {
        &self.entries
    }
}

impl<V> fmt::Debug for View<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("id", &self.id).field("base", &self.base).finish_non_exhaustive()
    }
}

impl fmt::Debug for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewId({}, {:#x})", self.place, self.word)
    }
}
