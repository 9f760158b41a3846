//! What an allocation asks for.

use crate::addr::{ArenaPtr, PageCount};
use crate::platform::NodeId;
use crate::slot::Owner;

/// Where pages are to be.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// At the lowest numbers where they fit, the first a multiple of `align`. Pages that may hold the scratch page are passed
    /// over as long as there are others. A CPU that has met another at the same pages looks from a place of its own upwards
    /// from then on, and below it when there is no room above: so they do not meet again at each page.
    Anywhere {
        /// In pages, a power of two.
        align: PageCount,
    },
    /// At exactly this page and those after it; the pointer names the first one's first byte.
    Exactly(ArenaPtr),
    /// The same, where the pages are reserved for the same owner: their reservation gives way, without a moment in which
    /// anybody else could have them.
    Reserved(ArenaPtr),
}

/// What the caller's context allows.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The caller may wait for a shootdown: pages that hold scratch are healed where they are needed.
    MayWait,
    /// Any context, a fault or an NMI included: pages that hold scratch are left alone.
    Any,
}

/// A request for pages, built step by step from [`new`](Self::new).
///
/// Pages of one request follow one another in the window, not in physical memory: each has a frame of its own, in the order
/// in which the [frame source](crate::platform::FrameSource) gives them, and nothing promises that the source gives them one
/// behind the other. A driver that passes physical addresses to a device asks for each page's
/// ([`SlotState::Mapped`](crate::SlotState::Mapped)), and has no transfer cross the end of a page.
///
/// ```
/// use kernel_arena::{AllocRequest, Context, Owner, PageCount};
/// let request = AllocRequest::new(PageCount::new(16).unwrap(), Owner::Kernel)
///     .aligned(PageCount::new(4).unwrap())
///     .in_context(Context::Any);
/// # let _ = request;
/// ```
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct AllocRequest {
    pub(in crate::arena) count: PageCount,
    pub(in crate::arena) owner: Owner,
    pub(in crate::arena) placement: Placement,
    pub(in crate::arena) node: Option<NodeId>,
    pub(in crate::arena) context: Context,
}

impl AllocRequest {
    /// `count` pages for `owner`, anywhere, from any memory node, in a context that may wait.
    pub const fn new(count: PageCount, owner: Owner) -> Self {
        let placement = Placement::Anywhere { align: PageCount::ONE };
        Self { count, owner, placement, node: None, context: Context::MayWait }
    }

    /// Whether it asks for one page, wherever it may be.
    #[inline]
    pub(in crate::arena) const fn is_for_one_page(&self) -> bool {
        matches!(self.placement, Placement::Anywhere { align } if align.get() == 1) && self.count.get() == 1
    }

    /// At the page that starts at this pointer, and those after it, or not at all. It takes the place of an alignment that was
    /// asked for, and the other way round.
    pub const fn exactly_at(self, page: ArenaPtr) -> Self {
        Self { placement: Placement::Exactly(page), ..self }
    }

    /// At the page that starts at this pointer, and those after it, all of which are reserved for the same owner
    /// ([`Arena::reserve_pages`](crate::Arena::reserve_pages)): they are allocated in place of their reservation, and nobody
    /// else can have them in between. In vain, they are reserved as before; but in [`Context::Any`], where nothing can be
    /// flushed, a fault on one of them in the very middle leaves those before it queued to be freed: whoever cannot afford that
    /// asks for one page at a time there.
    ///
    /// Like the other two placements it takes the place of what was said before.
    pub const fn in_reservation(self, page: ArenaPtr) -> Self {
        Self { placement: Placement::Reserved(page), ..self }
    }

    /// Anywhere, with a first page number that is a multiple of `align` pages, a power of two.
    pub const fn aligned(self, align: PageCount) -> Self {
        Self { placement: Placement::Anywhere { align }, ..self }
    }

    /// With frames from this memory node, if the frame source can.
    pub const fn on_node(self, node: NodeId) -> Self {
        Self { node: Some(node), ..self }
    }

    /// In this context.
    pub const fn in_context(self, context: Context) -> Self {
        Self { context, ..self }
    }
}
