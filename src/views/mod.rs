//! Program views: the same pages, in a program's address space.
//!
//! The window is aligned to the entries that cover 1 GiB, so a view *links the arena's own directories* at an address of the
//! program's: four entries, and every page that is installed appears in all views at once, every page that is taken away is
//! gone from all of them. What a program may do there is decided by two entries: the view's own (user mode, never
//! executable, writable or not) and the leaf (the pages of programs and allocators are theirs to reach; the scratch page
//! and the kernel's own pages are not).
//!
//! What makes it more than four stores is the TLBs. Whoever takes a translation away must flush it *in every view*, so the
//! views are in a list, and the orders are these (`docs/model/views_model.py` breaks each):
//!
//! - attach: into the list, full barrier, then link;
//! - detach: unlink, flush the whole view, then out of the list;
//! - whoever changes a slot: change it, full barrier, then read the list.
//!
//! Here are the list and the values; what works on an arena is in `arena::views` and `arena::program_fault`. What is not
//! here: address spaces. They are the kernel's, which lends four entries of each ([`ViewEntries`]).
//!
//! [`ViewEntries`]: crate::platform::ViewEntries

mod base;
mod error;
mod link;
mod list;
mod view;

pub use crate::fault::program::{ProgramAccess, ProgramFault, ProgramFaultOutcome, Refusal};
pub use base::ViewBaseError;
pub(crate) use base::check;
pub use error::{AttachError, AttachRefused, DetachRefused};
pub(crate) use link::{VIEW_ENTRIES, link, unlink};
pub(crate) use list::{Listed, ViewList};
pub use view::{FaultPolicy, View, ViewId, ViewRights};
