//! Creating an arena, and what it costs.

use alloc::boxed::Box;
use alloc::format;

use kernel_arena::platform::CpuIdentity;
use kernel_arena::{Arena, ArenaLayout, MetadataWord, Platform};
use support::{ADDRESS_WIDTH, Machine};

use super::{count, last, page};
use crate::KernelArena;
use crate::report::{Report, Stop};

/// Creates the arena of the tour.
pub(crate) fn create(report: &Report, machine: &'static Machine) -> Result<KernelArena, Stop> {
    report.section(
        "An arena of 16 MiB",
        "Its window is 4 GiB of addresses: the lower 32 bits of an address are the offset that programs store. Pages \
         may be put into the extent, 16 MiB of it. Page 0 never holds anything.",
    );
    let platform = machine.platform().ok_or_else(|| Stop::because("all windows are lent"))?;
    let layout = ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, page(16), count(4096))?;
    let layout = layout.with_cpus(platform.cpus().count()).with_views(2);
    let metadata = Box::leak(Box::<[MetadataWord]>::new_uninit_slice(layout.metadata_words()));

    let before = machine.frames().free_count();
    let arena = Arena::new(platform, layout, metadata)?;
    let taken = before - machine.frames().free_count();

    let extent = layout.extent();
    report.figure("window", format!("{:#018x} + 4 GiB", layout.base().value()));
    report.figure("extent", format!("pages {} to {}", extent.first().number(), last(extent)));
    report.figure("lower guard", format!("{:#018x} + 32 KiB", layout.lower_guard().start().value()));
    report.figure("upper guard", format!("{:#018x} + 32 KiB", layout.upper_guard().start().value()));
    report.figure("tables, scratch", format!("{taken} frames = {} KiB", taken * 4));
    report.figure("metadata", format!("{} bytes", layout.metadata_size()));
    report.check(taken == layout.table_frames().get() as usize, "it took the frames that the layout announced");
    report.check(taken * 4 <= 64, "that is 64 KiB at most");
    report.check(arena.validate().is_ok(), "every page-table entry is as it should be");
    Ok(arena)
}
