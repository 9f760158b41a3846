//! A look at all pages: by the machine's own walker (is there a translation, to which frame), and by `page_state` (whose is
//! it), which must agree. Each difference from the map is put down to the operation that ran since the last look.

use kernel_arena::{PageIndex, SlotState, ViolationKind, VirtAddr};

use super::model::{Model, Recorded, Seen, State, WORDS};
use super::run::Action;
use super::tasks::Kind;
use super::world::Oracle;
use crate::machine::{Format, INSTRUCTION, Machine};

impl Oracle {
    /// Looks at all pages. Who ran last, changed what has changed.
    pub(super) fn observe<F: Format>(&mut self, m: &Machine<F>) {
        for number in 0..self.models.len() {
            let pages: Vec<u32> = self.models[number].pages.keys().copied().collect();
            for page in pages {
                let now = m.quietly(|| see(m, number, &mut self.models[number], page));
                if now != self.models[number].pages[&page].seen {
                    self.attribute(number, page, now);
                }
            }
        }
    }

    fn attribute(&mut self, number: usize, page: u32, now: Seen) {
        let model = &mut self.models[number];
        let class = model.class(page);
        let was = model.pages[&page];
        let (run, outer) = match &mut self.runs[..] {
            [run] => (run, None),
            [outer, run] => (run, Some(outer)),
            _ => panic!("page {page} of arena {number} has changed, and nobody ran: {now:?}"),
        };
        assert_eq!(run.arena, number, "{:?} changed page {page} of arena {number}: {now:?}", run.action);
        run.changes(page, class, &was, now);
        if let Some(outer) = outer.filter(|outer| outer.arena == number) {
            outer.other_changed(page, was.seen, now);
        }
        let scratched = !was.seen.scratch && now.scratch;
        let at = model.pages.get_mut(&page).expect("it is in the map");
        at.seen = now;
        at.may_be_marked |= now.scratch;
        if !now.has_page() || !was.seen.has_page() {
            at.words = Default::default();
        }
        if let Action::Access { word, kind, .. } = run.action {
            if scratched {
                let kind = if kind == Kind::Read { ViolationKind::Read } else { ViolationKind::Write };
                let address = model.base + (u64::from(page) << 12) + u64::from(WORDS[word]);
                let (cpu, program) = (run.cpu, run.program);
                model.violation(Recorded { address, kind, instruction: INSTRUCTION, cpu, program, sequence: 0 });
            }
        }
    }
}

/// What a page looks like from outside.
fn see<F: Format>(m: &Machine<F>, number: usize, model: &mut Model, page: u32) -> Seen {
    let frame = m.frame_of(VirtAddr::new(model.base + (u64::from(page) << 12)));
    let (state, scratch) = if model.in_extent(page) {
        let slot = m.arena_at(number).page_state(PageIndex::new(page).unwrap()).expect("it is in the extent");
        match slot {
            SlotState::Vacant | SlotState::Vacated(_) => (State::Free, false),
            SlotState::Reserved(owner) => (State::Reserved(owner), false),
            SlotState::Scratch => (State::Free, true),
            SlotState::ScratchOverReserved(owner) => (State::Reserved(owner), true),
            SlotState::Mapped(at, owner) | SlotState::Deferred(at, owner) => {
                assert_eq!(frame, Some(at.address()), "page {page} is translated to another frame than {slot:?}");
                let deferred = matches!(slot, SlotState::Deferred(..));
                let state = if deferred { State::Deferred(owner) } else { State::Mapped(owner) };
                return Seen { state, scratch: false, frame };
            }
            SlotState::Foreign(word) => panic!("page {page} holds the foreign word {word:#x}"),
        }
    } else {
        (State::Elsewhere, frame.is_some())
    };
    assert_eq!(frame.is_some(), scratch, "page {page} is translated to {frame:x?}, and is {state:?}");
    if scratch {
        let known = *model.scratch_frame.get_or_insert(frame.expect("just compared"));
        assert_eq!(frame, Some(known), "page {page} leads to another page than the scratch page");
    }
    Seen::without_page(state, scratch)
}
