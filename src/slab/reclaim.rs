//! Giving back what is kept for speed.

use super::Slab;
use super::classes::SizeClass;
use crate::platform::{CpuId, CpuIdentity};
use crate::source::{MetadataSource, PageSource};
use crate::sync::Ordering;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Empties the depots, the magazines of the (CPU, level) that this runs on and those of CPUs that nobody is now
    /// ([`CpuIdentity::lend_idle`]) into the slabs, and gives the pages of every empty slab back to the source. What
    /// other CPUs have in their magazines stays there. Returns how many slabs went.
    ///
    /// Context: *any*. An allocation that finds no pages does it, too.
    pub fn drain(&self) -> u32 {
        let before = self.totals.0.retired.load(Ordering::Relaxed);
        self.end_quarantine();
        for class in SizeClass::all() {
            self.drain_class(class);
        }
        if let Some(rack) = self.here().map(|here| self.rack_at(here)) {
            for class in SizeClass::all() {
                self.flush(class, rack.loaded(class));
                self.flush(class, rack.previous(class));
            }
        }
        self.source.cpus().lend_idle(&mut |cpu| self.clear_racks(cpu));
        self.retire_empty();
        for class in SizeClass::all().filter_map(|class| self.class(class)) {
            self.sort_out(class);
        }
        let meanwhile = self.totals.0.retired.load(Ordering::Relaxed).wrapping_sub(before);
        u32::try_from(meanwhile).unwrap_or(u32::MAX)
    }

    /// Empties the magazines that a CPU left behind which nobody is now, and keeps them for others.
    fn clear_racks(&self, cpu: CpuId) {
        let racks = (u32::from(cpu.number()) < super::CPUS).then(|| self.racks.of_cpu(cpu.number().into()));
        for rack in racks.into_iter().flatten().filter(|rack| rack.bound() > 0) {
            for (class, state) in SizeClass::all().filter_map(|class| Some((class, self.class(class)?))) {
                if rack.loaded(class).is_dummy() {
                    continue;
                }
                for magazine in rack.unbind(class) {
                    self.flush(class, magazine);
                    self.store_empty(state, magazine);
                }
            }
        }
    }

    /// [`drain`](Self::drain), and then the source's own housekeeping ([`PageSource::reclaim`]): an arena's pages are
    /// free only after it.
    ///
    /// Context: *may wait for a shootdown*, as the source's does.
    pub fn reclaim(&self) -> u32 {
        let retired = self.drain();
        self.source.reclaim();
        retired
    }
}
