//! Initialisation, once, without waiting: whoever comes while another is at it is refused, not kept.

use super::{Heap, InitError, InitRefused};
use crate::layout::Sharing;
use crate::slab::{Mode, Slab};
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// Gives the heap its sources. In [`Mode::Debug`] mistakes of those who use it are recorded.
    ///
    /// Context: *any* in which both sources may be called. Who comes while another is at it is refused, not kept waiting.
    ///
    /// # Errors
    /// [`InitRefused`] says why and gives the sources back; the heap is as it was.
    pub fn init(&self, source: S, metadata: M, mode: Mode) -> Result<(), InitRefused<S, M>> {
        if source.sharing() == Sharing::Shared {
            return Err(InitRefused { error: InitError::SharedMemory, source, metadata });
        }
        if !self.slab.begin() {
            return Err(InitRefused { error: InitError::AlreadyInitialised, source, metadata });
        }
        match Slab::new(source, metadata, mode) {
            Ok(slab) => {
                self.slab.set(slab);
                Ok(())
            }
            Err(refused) => {
                self.slab.give_up();
                let error = InitError::Slab(refused.error);
                Err(InitRefused { error, source: refused.source, metadata: refused.metadata })
            }
        }
    }
}
