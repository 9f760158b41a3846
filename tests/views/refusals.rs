//! Every reason for which no view is attached, and that it leaves no trace.

use kernel_arena::platform::ViewEntries;
use kernel_arena::views::{AttachError, FaultPolicy, ViewBaseError, ViewRights};

use crate::machine::{Format, Lent, Machine};

/// A view that is refused: nothing is linked, flushed or listed, and the entries come back.
fn refused<F: Format>(m: &Machine<F>, lent: Lent) -> AttachError {
    let (frames, base) = (m.frames_in_use(), lent.view_base());
    m.take_flushes();
    let refused = m.attach(0, lent, ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap_err();
    assert_eq!(refused.entries.view_base(), base);
    assert!(refused.entries.is_zero());
    assert_eq!((m.frames_in_use(), m.take_flushes()), (frames, vec![]));
    m.validate();
    refused.error
}

/// U4, U6: at 0, between two places, where no processor translates, in the kernel's half, at its end.
fn a_base_where_no_view_can_be_is_refused_by_name<F: Format>() {
    let m = Machine::<F>::builder().views(1).build();
    let window = m.arena().layout().base().value();
    let bases = [
        (0, ViewBaseError::AtZero),
        (1, ViewBaseError::Misaligned),
        (0x70_0000_1000, ViewBaseError::Misaligned),
        (0x70_8000_0000, ViewBaseError::Misaligned),
        (u64::MAX, ViewBaseError::Misaligned),
        (0x0100_0000_0000_0000, ViewBaseError::NotCanonical),
        (0xfeff_ffff_0000_0000, ViewBaseError::NotCanonical),
        (window, ViewBaseError::KernelHalf),
        (window - (1 << 32), ViewBaseError::KernelHalf),
        (window + (1 << 32), ViewBaseError::KernelHalf),
        (0xffff_8000_0000_0000, ViewBaseError::KernelHalf),
        (0xffff_ffff_0000_0000, ViewBaseError::KernelHalf),
    ];
    for (base, error) in bases {
        assert_eq!(refused(&m, m.lend_at(0, 1, base)), AttachError::Base(error), "{base:#x}");
    }
    for base in [1 << 32, 0x7fff_0000_0000] {
        let view = m.attach(0, m.lend_at(0, 1, base), ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();
        m.detach(0, view).unwrap();
    }
    m.finish();
}

/// A kernel whose window is below shares that half with programs, but for the window and its guards.
fn a_view_over_a_window_below_is_refused<F: Format>() {
    const BASE: u64 = 0x40_0000_0000;
    let m = Machine::<F>::builder().base(BASE).build();
    for base in [BASE - (1 << 32), BASE, BASE + (1 << 32)] {
        // Under a tag of its own, for the walker would find the window there.
        assert_eq!(refused(&m, m.lend_at(0, 1, base)), AttachError::Base(ViewBaseError::OverKernelView), "{base:#x}");
    }
    let view = m.attach(0, m.lend_at(0, 1, BASE - (2 << 32)), ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();
    m.detach(0, view).unwrap();
    m.finish();
}

fn a_private_arena_shows_itself_to_nobody<F: Format>() {
    let m = Machine::<F>::builder().private().build();
    assert_eq!(refused(&m, m.lend(0, 1)), AttachError::Private);
    // Whatever else is wrong.
    assert_eq!(refused(&m, m.lend_at(0, 1, 0)), AttachError::Private);
    m.finish();
}

fn there_are_no_more_views_than_room_was_lent_for<F: Format>() {
    for room in [0, 1, 3] {
        let m = Machine::<F>::builder().views(room).build();
        for tag in 0..room {
            m.attach_view(0, u16::from(tag) % 2);
        }
        assert_eq!(refused(&m, m.lend(0, 1)), AttachError::NoRoom);
        m.finish();
    }
}

each_format!(
    a_base_where_no_view_can_be_is_refused_by_name,
    a_view_over_a_window_below_is_refused,
    a_private_arena_shows_itself_to_nobody,
    there_are_no_more_views_than_room_was_lent_for,
);
