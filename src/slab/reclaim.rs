//! Giving back what is kept for speed.

use super::Slab;
use super::classes::SizeClass;
use super::magazine::{Magazine, Rack};
use crate::platform::{CpuId, CpuIdentity};
use crate::source::{Frees, MetadataSource, PageSource};
use crate::sync::Ordering;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Empties the depots, the magazines of the (CPU, level) that this runs on and those of CPUs that nobody is now
    /// ([`CpuIdentity::lend_idle`]) into the slabs, and gives the pages of every empty slab back to the source, and the runs
    /// that are kept at these places. What other CPUs have in their magazines, or keep of runs, stays there. It ends the quarantine of debug mode. Returns how many slabs went.
    ///
    /// Context: *any*. An allocation that finds no pages does it, too, if the source has freed pages
    /// [at once](Frees::AtOnce).
    pub fn drain(&self) -> u32 {
        // Whoever lists late may put a name on a list after a drain has looked: here all lists are looked through.
        self.tables().names_listed.store(1, Ordering::Relaxed);
        self.drain_lists()
    }

    fn drain_lists(&self) -> u32 {
        let before = self.tables().totals.0.retired.load(Ordering::Relaxed);
        self.end_quarantine();
        self.give_kept_runs();
        for class in SizeClass::all() {
            self.drain_class(class);
            self.empty_own(class);
        }
        self.empty_idle_racks(None);
        self.retire_empty();
        // Set before a name is on a list, or a moment after: then the next drain passes it on, or whoever takes it off.
        if self.tables().names_listed.swap(0, Ordering::Relaxed) != 0 {
            for class in SizeClass::all().filter_map(|class| self.class(class)) {
                self.sort_out(class);
            }
        }
        let meanwhile = self.tables().totals.0.retired.load(Ordering::Relaxed).wrapping_sub(before);
        u32::try_from(meanwhile).unwrap_or(u32::MAX)
    }

    /// Makes the allocator give up pages that are kept for speed until `retry` has what it wants: first those of empty
    /// slabs and runs, then what depots and magazines hold. Nothing is given up that does not help: not where freed pages come
    /// back by a reclaim only.
    pub(crate) fn give_way<T>(&self, retry: impl Fn() -> Option<T>) -> Option<T> {
        if self.source.frees() == Frees::Deferred {
            return None;
        }
        let again = |slabs: u32| if slabs > 0 { retry() } else { None };
        again(self.end_quarantine() + self.give_kept_runs() + self.retire_empty()).or_else(|| again(self.drain_lists()))
    }

    /// Empties the magazines that a class has where this runs. They are taken out first, so that the place is held for a few
    /// instructions, however many objects there are; the class gets others when it wants some.
    fn empty_own(&self, class: SizeClass) {
        self.put_both_away(class, self.on_rack(|rack| rack.unbind(class)).flatten());
    }

    /// Empties magazines that CPUs left behind which nobody is now, and keeps these for others: those of one class, or
    /// of all.
    pub(super) fn empty_idle_racks(&self, class: Option<SizeClass>) {
        self.source.cpus().lend_idle(&mut |cpu| self.empty_racks_of(cpu, class));
    }

    /// The caller was lent the CPU.
    fn empty_racks_of(&self, cpu: CpuId, class: Option<SizeClass>) {
        for rack in self.racks_of(cpu).filter(|rack| rack.bound() > 0) {
            match class {
                Some(class) => self.unbind(rack, class),
                None => SizeClass::all().for_each(|class| self.unbind(rack, class)),
            }
        }
    }

    /// The racks that a CPU has.
    pub(super) fn racks_of(&self, cpu: CpuId) -> impl Iterator<Item = &Rack> {
        let racks = (u32::from(cpu.number()) < super::CPUS).then(|| self.racks.of_cpu(cpu.number().into()));
        racks.into_iter().flatten()
    }

    /// Empties a class's magazines in a rack, and keeps them for whoever needs some.
    fn unbind(&self, rack: &Rack, class: SizeClass) {
        self.put_both_away(class, rack.unbind(class));
    }

    /// Empties magazines that were taken out of a rack, and keeps them for others.
    fn put_both_away(&self, class: SizeClass, both: Option<[&Magazine; 2]>) {
        let Some(state) = self.class(class) else { return };
        for magazine in both.into_iter().flatten().filter(|magazine| !magazine.is_dummy()) {
            self.flush(class, magazine);
            self.store_empty(state, magazine);
        }
    }

    /// [`drain`](Self::drain), and then the source's own housekeeping ([`PageSource::reclaim`]): an arena's pages are
    /// free only after it. Returns how many slabs went, while it ran, by whomever.
    ///
    /// Context: *may wait for a shootdown*, as the source's does.
    pub fn reclaim(&self) -> u32 {
        let retired = self.drain();
        self.source.reclaim();
        retired
    }
}
