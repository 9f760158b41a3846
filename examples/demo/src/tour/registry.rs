//! Several arenas, and a fault that finds its own.

use alloc::boxed::Box;
use alloc::format;

use kernel_arena::platform::CpuIdentity;
use kernel_arena::{Arena, ArenaLayout, MetadataWord, Platform};
use support::{ADDRESS_WIDTH, Machine};

use super::{count, page};
use crate::KernelArena;
use crate::fault::REGISTRY;
use crate::memory::{Access, address, load, store};
use crate::report::{Report, Stop};

/// An offset at which neither arena has a page.
const NOWHERE: i64 = 0x12_3450;

/// Creates a second arena, and makes the same mistake in both.
pub(super) fn tell_apart(report: &Report, machine: &'static Machine, first: &KernelArena) -> Result<(), Stop> {
    report.section(
        "Two arenas",
        "The registry finds the arena of a faulting address. Each arena has a scratch page of its own, and its own \
         record.",
    );
    let platform = machine.platform().ok_or_else(|| Stop::because("all windows are lent"))?;
    let layout = ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, page(16), count(512))?;
    let layout = layout.with_cpus(platform.cpus().count());
    let metadata = Box::leak(Box::<[MetadataWord]>::new_uninit_slice(layout.metadata_words()));
    let second = Arena::new(platform, layout, metadata)?;
    report.figure("first window", format!("{:#018x}", first.layout().base().value()));
    report.figure("second window", format!("{:#018x}", layout.base().value()));
    // SAFETY: the arena stays where it is until `remove` below.
    let registration = unsafe { REGISTRY.register(&second) }?;

    while first.take_violation().is_some() {}
    let stored = store(first, NOWHERE, 0xaaaa);
    report.check(stored == Access::Recovered(0xaaaa), "a wild store of 0xaaaa in the first, recovered");
    let loaded = load(&second, NOWHERE);
    report.check(loaded == Access::Recovered(0), "a wild load at the same offset in the second gives 0");
    report.check(recorded(first), "the first has recorded its own violation and no other");
    report.check(recorded(&second), "so has the second");

    REGISTRY.remove(registration)?;
    let removed = load(&second, NOWHERE + 0x10_0000);
    report.check(removed == Access::Declined, "taken out of the registry, the second is not helped any more");
    second.destroy().expect("no view is attached");
    Ok(())
}

/// Whether the arena's record holds the violation at [`NOWHERE`] and nothing else.
fn recorded(arena: &KernelArena) -> bool {
    let found = arena.take_violation().map(|record| record.address.value());
    found == Some(address(arena, NOWHERE)) && arena.take_violation().is_none()
}
