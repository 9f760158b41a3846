//! Allocation of one page that may be anywhere: the same steps as for many, where nothing comes between.

use super::frames::Fresh;
use crate::addr::PageRange;
use crate::arch::Arch;
use crate::arena::slots::claimed::Claimed;
use crate::arena::{AllocError, AllocRequest, Arena};
use crate::platform::Platform;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// The lowest page, if it can be had at once. Otherwise nothing was changed, and what stands in the way is found again by
    /// who looks closer.
    #[inline]
    pub(super) fn alloc_page(&self, request: &AllocRequest) -> Result<Option<PageRange>, AllocError> {
        let from = self.start();
        let Some(found) = self.maps.find_one(from) else { return Ok(None) };
        self.leave_if_below(found, from);
        // In case of doubt it goes back, after its number.
        let fresh = Fresh::take::<A>(&self.platform, request.node).ok_or(AllocError::OutOfFrames)?;
        let page = found.first().number();
        if !self.maps.claim_page(page) {
            self.moved.lost(self.cpu());
            return Ok(None);
        }
        let claimed = Claimed::new(&self.maps, found);
        let Some(slot) = self.slot(page) else { return Ok(None) };
        if !self.put_mapped(slot, fresh.frame(), request.owner) {
            return Ok(None);
        }
        fresh.installed();
        claimed.hand_out();
        A::publish_and_sync();
        Ok(Some(found))
    }
}
