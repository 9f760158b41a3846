//! Attaching and detaching program views.
//!
//! The orders are those of the [module](crate::views): a view is in the list before anything of it is linked, and as long as
//! any TLB may remember anything of it.

use super::Arena;
use crate::arch::{Arch, TableReach};
use crate::layout::Sharing;
use crate::platform::{Platform, ViewEntries};
use crate::views::{
    AttachError, AttachRefused, DetachRefused, FaultPolicy, VIEW_ENTRIES, View, ViewId, ViewRights, check, link, unlink,
};

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Links the window into a program's address space: from now on the program reaches what programs may of the arena, at the
    /// offset that each byte has, from the entries' base on. Pages that are allocated or freed later appear and go there, too.
    ///
    /// The program's faults go to [`handle_program_fault`](Self::handle_program_fault). Any number of views may be attached
    /// to an arena, in as many address spaces, up to [`ArenaLayout::with_views`](crate::ArenaLayout::with_views).
    ///
    /// Context: *may wait* (for a shootdown, if it gives up half-way).
    ///
    /// # Errors
    /// [`AttachRefused`] says what is wrong and gives the entries back. Nothing is linked then, and no TLB remembers anything.
    pub fn attach_view<V: ViewEntries>(
        &self,
        entries: V,
        rights: ViewRights,
        policy: FaultPolicy,
    ) -> Result<View<V>, AttachRefused<V>> {
        match self.attach(&entries, rights, policy) {
            Ok(id) => Ok(View { base: id.base(), entries, id, list: self.views.identity() }),
            Err(error) => Err(AttachRefused { error, entries }),
        }
    }

    fn attach(
        &self,
        entries: &impl ViewEntries,
        rights: ViewRights,
        policy: FaultPolicy,
    ) -> Result<ViewId, AttachError> {
        if self.layout.sharing() == Sharing::Private {
            return Err(AttachError::Private);
        }
        let base = check(&self.layout, entries.view_base()).map_err(AttachError::Base)?;
        let id = self.views.add(base, rights, policy).ok_or(AttachError::NoRoom)?;
        A::full_barrier();
        if let Err(taken) = link::<A>(entries, self.view_words(rights)) {
            if taken.linked > 0 {
                unlink(entries, &self.tables, taken.linked);
                self.flush_view(base.address().value());
            }
            self.views.remove(id);
            return Err(AttachError::EntryInUse);
        }
        Ok(id)
    }

    /// Takes a view away: when it returns, no CPU reaches the arena there, though its program may be running; its next access
    /// is a fault that is nobody's ([`NotOurs`](crate::views::ProgramFaultOutcome::NotOurs)). The entries are vacant again.
    ///
    /// Context: *may wait for a shootdown*, of one range that is the whole view.
    ///
    /// # Errors
    /// [`DetachRefused`], with the view, if it is another arena's.
    pub fn detach_view<V: ViewEntries>(&self, view: View<V>) -> Result<V, DetachRefused<V>> {
        let here = view.list == self.views.identity();
        let Some(listed) = here.then(|| self.views.leave(view.id)).flatten() else {
            return Err(DetachRefused(view));
        };
        unlink(&view.entries, &self.tables, VIEW_ENTRIES);
        // Changes of slots need not know of this flush: until it is over they flush the view themselves.
        self.flush_view(listed.base());
        self.views.remove(view.id);
        Ok(view.entries)
    }

    fn view_words(&self, rights: ViewRights) -> [u64; 4] {
        self.tables.view_words(match rights {
            ViewRights::ReadWrite => TableReach::Program,
            ViewRights::ReadOnly => TableReach::ProgramReadOnly,
        })
    }
}
