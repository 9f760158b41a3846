//! Program views: entries that the machine lends, and the accesses of a program that faults.
//!
//! A view's four entries are words that the walker reads, each address space (tag) its own; what they hold is the arena's to
//! write. Only for an arena that has no views may a test write them itself, as a kernel would that links the tables by hand:
//! then the machine's shootdowns reach that view, too, for the arena does not know of it.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::platform::ViewEntries;
use kernel_arena::sync::{AtomicU64, Ordering};
use kernel_arena::views::{
    AttachError, AttachRefused, DetachRefused, FaultPolicy, ProgramFaultOutcome, View, ViewId, ViewRights,
};
use kernel_arena::{ProgramAddr, ProgramBase};

use super::fixture::Machine;
use super::format::{Cause, Exception, Format, Intent, Kind, Mode};
use super::hardware::Hardware;
use super::rule;
use super::tlb::{AsTag, Levels};

/// The first of the bases that the machine chooses, and from one to the next.
const FIRST_BASE: u64 = 0x0000_0070_0000_0000;
const BETWEEN_BASES: u64 = 2 << 32;

/// Entries that the machine has lent for a view. A clone is the same entries.
#[derive(Clone)]
pub(crate) struct Lent(Rc<Entries>);

pub(super) struct Entries {
    /// The arena's number.
    pub(super) window: usize,
    pub(super) tag: AsTag,
    pub(super) base: u64,
    pub(super) words: [AtomicU64; 4],
    pub(super) read_only: Cell<bool>,
    pub(super) by_hand: Cell<bool>,
    id: Cell<Option<ViewId>>,
}

impl Entries {
    /// Whether there is anything to walk, or anybody who may link it.
    fn is_in_use(self: &Rc<Self>) -> bool {
        Rc::strong_count(self) > 1 || self.words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// The entry for an address, if it is one of the view's.
    pub(super) fn entry_for(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.base);
        (offset < 1 << 32).then(|| self.words[super::memory::index(offset >> 30)].load(Ordering::Relaxed))
    }
}

// SAFETY: the walker reads these words for the addresses from the base on, under the tag, and nobody else writes them while
// they are lent, unless to show what comes of it; the machine's shootdowns reach every tag.
unsafe impl ViewEntries for Lent {
    fn view_base(&self) -> ProgramAddr {
        ProgramAddr::new(self.0.base)
    }

    unsafe fn view_entries(&self) -> [&AtomicU64; 4] {
        self.words()
    }
}

impl Lent {
    pub(crate) fn words(&self) -> [&AtomicU64; 4] {
        self.0.words.each_ref()
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.words().iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }
}

impl Hardware {
    /// Lends four entries of the address space with this tag, for an arena.
    pub(super) fn lend(&self, window: usize, tag: AsTag, base: u64) -> Lent {
        assert!(tag < self.tags, "there is no tag {tag}");
        let entries = Rc::new(Entries {
            window,
            tag,
            base,
            words: Default::default(),
            read_only: Cell::new(false),
            by_hand: Cell::new(false),
            id: Cell::new(None),
        });
        let mut views = self.views.borrow_mut();
        views.retain(Entries::is_in_use);
        let over = |other: &Rc<Entries>| other.tag == tag && other.base == base;
        assert!(!views.iter().any(over), "{base:#x} is lent already under tag {tag}");
        views.push(Rc::clone(&entries));
        Lent(entries)
    }
}

impl<F: Format> Machine<F> {
    /// Lends four entries of the address space with this tag, for the view of an arena at a base that the machine chooses.
    pub(crate) fn lend(&self, arena: usize, tag: AsTag) -> Lent {
        let number = self.hardware().next_view.replace(self.hardware().next_view.get() + 1);
        self.lend_at(arena, tag, FIRST_BASE + number * BETWEEN_BASES)
    }

    pub(crate) fn lend_at(&self, arena: usize, tag: AsTag, base: u64) -> Lent {
        self.hardware().lend(arena, tag, base)
    }

    /// Attaches a view of an arena; its program's accesses fault into that arena from now on.
    pub(crate) fn attach(
        &self,
        arena: usize,
        lent: Lent,
        rights: ViewRights,
        policy: FaultPolicy,
    ) -> Result<View<Lent>, AttachRefused<Lent>> {
        let entries = Rc::clone(&lent.0);
        let was_read_only = entries.read_only.replace(rights == ViewRights::ReadOnly);
        let attached = self.arena_at(arena).attach_view(lent, rights, policy);
        self.hardware().observe();
        match &attached {
            Ok(view) => entries.id.set(Some(view.id())),
            Err(_) => entries.read_only.set(was_read_only),
        }
        attached
    }

    /// Detaches a view of an arena. Nobody may remember anything of it then.
    pub(crate) fn detach(&self, arena: usize, view: View<Lent>) -> Result<Lent, DetachRefused<Lent>> {
        let lent = self.arena_at(arena).detach_view(view)?;
        self.hardware().observe();
        self.check_forgotten(&lent);
        lent.0.id.set(None);
        Ok(lent)
    }

    /// No CPU remembers anything of these entries, or of what is below.
    pub(crate) fn check_forgotten(&self, lent: &Lent) {
        let (tag, base) = (lent.0.tag, lent.0.base);
        for (number, cpu) in self.hardware().cpus.iter().enumerate() {
            let knows = cpu.tlb.borrow().knows(tag, base, base + ((1 << 32) - 1));
            rule(!knows, || format!("CPU {number} remembers a view at {base:#x} that was detached"));
        }
    }

    /// Attaches a view that can be written and gives no pages, to be detached by its base or with the machine.
    pub(crate) fn attach_view(&self, arena: usize, tag: AsTag) -> ProgramBase {
        self.try_attach_view(arena, tag, ViewRights::ReadWrite, FaultPolicy::Segv).expect("there is room for a view")
    }

    pub(crate) fn try_attach_view(
        &self,
        arena: usize,
        tag: AsTag,
        rights: ViewRights,
        policy: FaultPolicy,
    ) -> Result<ProgramBase, AttachError> {
        let view = self.attach(arena, self.lend(arena, tag), rights, policy)?;
        let base = view.base();
        self.kept_views().borrow_mut().push((arena, view));
        Ok(base)
    }

    /// Detaches a view that [`attach_view`](Self::attach_view) has attached, or unlinks one that was linked by hand.
    pub(crate) fn detach_view(&self, base: ProgramBase) {
        let kept = {
            let mut views = self.kept_views().borrow_mut();
            let place = views.iter().position(|(_, view)| view.base() == base);
            place.map(|place| views.remove(place))
        };
        match kept {
            Some((arena, view)) => drop(self.detach(arena, view).expect("its own arena's")),
            None => self.unlink_by_hand(base.address().value()),
        }
    }

    /// Links an arena's tables into an address space without asking it, open to user mode: what no kernel should do.
    pub(crate) fn link_by_hand(&self, arena: usize, tag: AsTag) -> ProgramBase {
        let lent = self.lend(arena, tag);
        lent.0.by_hand.set(true);
        let rules = &self.hardware().rules;
        for (n, word) in lent.words().into_iter().enumerate() {
            let directory = (rules.table)(self.upper_word(arena, n)).expect("it is linked").frame;
            word.store((rules.open_entry)(directory), Ordering::Relaxed);
        }
        self.hardware().observe();
        ProgramBase::new(lent.view_base()).expect("the machine's bases are aligned")
    }

    fn unlink_by_hand(&self, base: u64) {
        let hardware = self.hardware();
        for view in hardware.views.borrow().iter().filter(|view| view.base == base) {
            assert!(view.by_hand.get(), "a view is detached by its token");
            view.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        hardware.observe();
        hardware.forget(base, base + ((1 << 32) - 1), Levels::All);
    }

    /// What the arena makes of an access of a program that was not translated; `None` where no view is, or it is none.
    pub(super) fn program_fault(&self, tag: AsTag, exception: Exception) -> Option<ProgramFaultOutcome> {
        let (arena, id) = {
            let views = self.hardware().views.borrow();
            let view = views.iter().find(|view| view.tag == tag && view.entry_for(exception.address).is_some())?;
            (view.window, view.id.get()?)
        };
        let fault = F::decode_program(exception)?;
        let outcome = self.hardware().raised(|| self.arena_at(arena).handle_program_fault(id, &fault));
        self.hardware().observe();
        Some(outcome)
    }

    /// What becomes of a fault that a program raises at an address of a view, whatever is there.
    pub(crate) fn fault(&self, arena: usize, view: ViewId, address: u64, kind: Kind) -> ProgramFaultOutcome {
        let intent = Intent { mode: Mode::User, kind };
        let cause = Cause::Missing { level: 3 };
        let exception = Exception { address, intent, cause, instruction: super::INSTRUCTION };
        let fault = F::decode_program(exception).expect("a program's fault");
        let outcome = self.arena_at(arena).handle_program_fault(view, &fault);
        self.hardware().observe();
        outcome
    }
}
