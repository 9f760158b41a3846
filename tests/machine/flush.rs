//! Shootdowns, and the ways in which a test may spoil them.

use std::rc::Rc;

use kernel_arena::platform::{FlushScope, Shootdown};
use kernel_arena::{AddressRange, VirtAddr};

use super::format::Format;
use super::hardware::{CpuState, Hardware};
use super::hooks::Point;
use super::rule;
use super::tlb::{AsTag, Levels};
use super::views::Entries;

/// What a shootdown leaves out: each breaks the platform's contract, to show that the machine notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// One CPU.
    Cpu(usize),
    /// The address spaces that are not loaded: what `invlpg` alone does where PCIDs are on.
    OtherTags,
    /// The program views.
    Views,
    /// Walk caches.
    WalkCaches,
}

impl Sabotage {
    /// How much of a flush is left for a CPU and a tag.
    pub(super) fn leaves(self, number: usize, cpu: &CpuState, tag: AsTag, levels: Levels) -> Option<Levels> {
        match self {
            Self::All => None,
            Self::Cpu(skipped) if skipped == number => None,
            Self::OtherTags if tag != cpu.tag.get() => None,
            Self::WalkCaches => Some(Levels::Leaves),
            _ => Some(levels),
        }
    }
}

/// A shootdown that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flush {
    pub(crate) ranges: Vec<AddressRange>,
    pub(crate) scope: FlushScope,
}

/// The machine's shootdown: what the library asks for, in the kernel view and in each program view by name, handed to the
/// format's own flush.
pub(crate) struct MachineShootdown<F: Format> {
    hardware: Rc<Hardware>,
    flush: F::Flush,
}

impl<F: Format> MachineShootdown<F> {
    pub(super) fn new(hardware: Rc<Hardware>) -> Self {
        Self { flush: F::flush(Rc::clone(&hardware)), hardware }
    }
}

impl<F: Format> Shootdown for MachineShootdown<F> {
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope) {
        let hardware = &self.hardware;
        rule(!hardware.in_handler.get() || hardware.rules.break_before_make, || {
            "I4: the fault path waits for a shootdown".into()
        });
        hardware.control(Point::BeforeFlush);
        hardware.flushes.borrow_mut().push(Flush { ranges: ranges.to_vec(), scope });
        self.flush.shootdown(&hardware.checked(ranges), scope);
        hardware.control(Point::AfterFlush);
    }
}

impl Hardware {
    /// The ranges, each of a window or of a view, as far as the sabotage leaves them; and what they are in the views that the
    /// arena does not know of.
    fn checked(&self, ranges: &[AddressRange]) -> Vec<AddressRange> {
        let mut all = Vec::new();
        let (windows, views) = (self.windows.borrow(), self.views.borrow());
        for range in ranges {
            let (start, bytes) = (range.start().value(), range.size_bytes());
            let named = |view: &&Rc<Entries>| covers(view.base, 1 << 32, *range) && !view.by_hand.get();
            if views.iter().any(|view| named(&view)) {
                if self.sabotage.get() != Sabotage::Views {
                    all.push(*range);
                }
                continue;
            }
            let window = windows.iter().position(|window| covers(window.base, (1 << 32) + (1 << 15), *range));
            rule(window.is_some(), || format!("a shootdown of what is no arena's: {range:x?}"));
            all.push(*range);
            let offset = window.map_or(0, |window| start - windows[window].base);
            let bytes = bytes.min((1u64 << 32).saturating_sub(offset));
            let by_hand = views.iter().filter(|view| Some(view.window) == window && view.by_hand.get() && bytes != 0);
            all.extend(by_hand.map(|view| AddressRange::new(VirtAddr::new(view.base + offset), bytes)));
        }
        all
    }
}

/// Whether a range is whole pages of what begins at `base`.
fn covers(base: u64, size: u64, range: AddressRange) -> bool {
    let (start, bytes) = (range.start().value(), range.size_bytes());
    let end = start.wrapping_sub(base).wrapping_add(bytes);
    start % 4096 == 0 && bytes % 4096 == 0 && bytes != 0 && start.wrapping_sub(base) < size && end <= size
}

/// The least that the contract of [`Shootdown`] asks for: every CPU, every tag, and walk caches only if tables changed.
pub(crate) struct EveryCpu(pub(super) Rc<Hardware>);

impl Shootdown for EveryCpu {
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope) {
        let levels = match scope {
            FlushScope::Leaves => Levels::Leaves,
            FlushScope::Tables => Levels::All,
        };
        for range in ranges {
            let first = range.start().value();
            self.0.forget(first, first + (range.size_bytes() - 1), levels);
        }
    }
}
