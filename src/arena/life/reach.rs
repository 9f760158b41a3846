//! Whether the tables that a CPU has loaded lead to the window.
//!
//! The lent entries are five words of memory: nothing about them says that a processor ever comes by. Where they hang below
//! another root than the one that is loaded, where a table above is missing, or where the half of the window is not walked at
//! all, the first access would be a fault that no arena can recover. So creation asks the walker twice: before the entries
//! are linked, its walk must end *at* them, for each GiB of the window and for the guard; afterwards it must go on. That the
//! same five stores changed the answer shows that the walker reads these words, and no others.
//!
//! A memory that is walked by nobody (a process, a model) has nothing to ask.

use core::ptr::NonNull;

use crate::addr::{KernelAddr, PAGE_SHIFT, VirtAddr, WINDOW_SIZE};
use crate::arch::{Arch, UnsupportedCpu, WalkEnd, is_missing_above};
use crate::arena::Arena;
use crate::layout::ArenaLayout;
use crate::platform::{Frame, PhysMap, Platform};

/// log2 of what a lent entry of the window covers, and of what the guard's covers.
const WINDOW_ENTRY_SHIFT: u32 = 30;
const GUARD_ENTRY_SHIFT: u32 = 21;

/// The lent entries are empty, and the walk ends at them.
pub(in crate::arena) fn ends_at_lent_entries<A: Arch>(
    layout: &ArenaLayout,
    platform: &impl Platform,
) -> Result<(), UnsupportedCpu> {
    ask::<A>(layout, platform, |end, lent| end == WalkEnd::Missing { shift: lent })
}

/// The lent entries lead to the arena's tables: the walk comes further.
pub(in crate::arena) fn goes_beyond_lent_entries<A: Arch>(
    layout: &ArenaLayout,
    platform: &impl Platform,
) -> Result<(), UnsupportedCpu> {
    ask::<A>(layout, platform, |end, lent| match end {
        WalkEnd::Missing { shift } => shift < lent,
        end => end == WalkEnd::Mapped,
    })
}

/// Whether the root that is loaded does not lead to the lent entry for an address at this offset from the base, so that an
/// access to it is a fault whatever the arena's tables hold. A few loads: for the fault path.
pub(in crate::arena) fn is_cut_off<A: Arch>(address: KernelAddr, offset: u64, platform: &impl Platform) -> bool {
    let lent = if offset < WINDOW_SIZE { WINDOW_ENTRY_SHIFT } else { GUARD_ENTRY_SHIFT };
    let address = VirtAddr::new(address.value());
    // SAFETY: whoever implements `Platform` vouches for its physical map.
    A::loaded_root(address)
        .is_some_and(|root| unsafe { is_missing_above::<A>(root, address, lent, platform.phys_map()) })
}

fn probe<A: Arch>(address: VirtAddr, platform: &impl Platform) -> Option<WalkEnd> {
    // SAFETY: whoever implements `Platform` vouches for its physical map.
    unsafe { A::probe(address, platform.phys_map()) }
}

/// Asks for the last page of each GiB of the window, where a walk goes through each entry that it shares with no other, and
/// for the guard.
fn ask<A: Arch>(
    layout: &ArenaLayout,
    platform: &impl Platform,
    good: fn(WalkEnd, u32) -> bool,
) -> Result<(), UnsupportedCpu> {
    let window = (1..=4).map(|gib| ((gib << WINDOW_ENTRY_SHIFT) - (1 << PAGE_SHIFT), WINDOW_ENTRY_SHIFT));
    for (offset, shift) in window.chain([(1 << 32, GUARD_ENTRY_SHIFT)]) {
        let address = VirtAddr::new(layout.base().value() + offset);
        match probe::<A>(address, platform) {
            Some(end) if !good(end, shift) => return Err(UnsupportedCpu::Unreachable { address, end }),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a frame of the arena's, where the physical map has it, is memory of the kind that its pages will be.
pub(in crate::arena) fn check_memory<A: Arch>(
    layout: &ArenaLayout,
    map: &impl PhysMap,
    frame: Frame,
) -> Result<(), UnsupportedCpu> {
    let mapped: NonNull<u8> = map.frame_to_ptr(frame);
    A::check_memory_type(layout, map.attributes(), mapped).map_err(UnsupportedCpu::MemoryType)
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Checks that the CPU this runs on translates the way the arena relies on, and that the tables it has loaded lead to the
    /// window. [`new`](Self::new) does it for the CPU that it runs on; every other CPU that will use the window calls this
    /// once, and a kernel that is ported may call it under each new kind of root. Context: *any*.
    ///
    /// # Errors
    /// [`UnsupportedCpu`] names the setting to change.
    pub fn check_cpu(&self) -> Result<(), UnsupportedCpu> {
        A::check_cpu(&self.layout)?;
        check_memory::<A>(&self.layout, self.platform.phys_map(), self.tables.scratch_page())?;
        goes_beyond_lent_entries::<A>(&self.layout, &self.platform)
    }
}
