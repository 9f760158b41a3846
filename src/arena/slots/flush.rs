//! Flushing, in every view.
//!
//! Pages are named by their addresses in the kernel view. Where programs may have views, the same pages are flushed at each
//! listed view's addresses, in the same shootdown as far as there is room for the ranges. The list is read after the change
//! that is to be flushed, with a full barrier between them (`views::list`): a view that is not found was linked later, and no
//! walk through it finds what was there.

use super::few::Few;
use crate::addr::{AddressRange, PAGE_SHIFT, VirtAddr, WINDOW_SIZE};
use crate::arch::Arch;
use crate::arena::Arena;
use crate::pages::Shootdowns;
use crate::platform::{FlushScope, Platform, Shootdown};
use crate::views::Listed;

/// Ranges of a shootdown, where there are views.
const RANGES: usize = 32;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// The addresses of pages, numbered from the window's start on into the guard, in the kernel view.
    pub(in crate::arena) const fn page_addresses(&self, first: u32, count: u32) -> AddressRange {
        let offset = (first as u64) << PAGE_SHIFT;
        let start = VirtAddr::new(self.layout.base().value() + offset);
        AddressRange::new(start, (count as u64) << PAGE_SHIFT)
    }

    /// Has every CPU forget these addresses of the kernel view, and what they are in the others.
    pub(in crate::arena) fn flush(&self, ranges: &[AddressRange], scope: FlushScope) {
        self.flush_by(self.maps.passing.other_shootdowns(), ranges, scope);
    }

    /// The same, for an operation that counts its shootdowns itself.
    #[inline(never)]
    pub(in crate::arena) fn flush_by(&self, by: Shootdowns<'_>, ranges: &[AddressRange], scope: FlushScope) {
        self.flush_for(by, ranges, scope);
    }

    /// The same, where what is to be flushed is known where this is compiled.
    #[inline]
    pub(in crate::arena) fn flush_for(&self, by: Shootdowns<'_>, ranges: &[AddressRange], scope: FlushScope) {
        if ranges.is_empty() {
            return;
        }
        if self.views.has_room_for_any() {
            A::full_barrier();
            if self.views.views().next().is_some() {
                return self.flush_every_view(by, ranges, scope);
            }
        }
        self.shootdown(by, ranges, scope);
    }

    #[inline]
    fn shootdown(&self, by: Shootdowns<'_>, ranges: &[AddressRange], scope: FlushScope) {
        by.count();
        self.platform.shootdown().shootdown(ranges, scope);
    }

    /// The same, where it is not alone: there once.
    #[inline(never)]
    fn shootdown_of_some(&self, by: Shootdowns<'_>, ranges: &[AddressRange], scope: FlushScope) {
        self.shootdown(by, ranges, scope);
    }

    #[inline(never)] // Its array is on the stack only where there are views.
    fn flush_every_view(&self, by: Shootdowns<'_>, ranges: &[AddressRange], scope: FlushScope) {
        let mut together = Few::<AddressRange, RANGES>::new();
        let add: &mut dyn FnMut(AddressRange) = &mut |range| {
            if together.is_full() {
                self.shootdown_of_some(by, together.take(), scope);
            }
            together.push(range);
        };
        for range in ranges {
            add(*range);
        }
        for view in self.views.views() {
            for range in ranges.iter().filter_map(|range| self.in_view(*range, view)) {
                add(range);
            }
        }
        self.shootdown_of_some(by, together.take(), scope);
    }

    /// The same pages in a program view, which has all of the window and none of the guard.
    fn in_view(&self, range: AddressRange, view: Listed) -> Option<AddressRange> {
        let offset = range.start().value().wrapping_sub(self.layout.base().value());
        let bytes = range.size_bytes().min(WINDOW_SIZE.checked_sub(offset)?);
        (bytes != 0).then(|| AddressRange::new(VirtAddr::new(view.base().wrapping_add(offset)), bytes))
    }

    /// Has every CPU forget a view, and how to get there.
    pub(in crate::arena) fn flush_view(&self, base: u64) {
        self.shootdown_of_some(
            self.maps.passing.other_shootdowns(),
            &[AddressRange::new(VirtAddr::new(base), WINDOW_SIZE)],
            FlushScope::Tables,
        );
    }
}
