//! What operations on named ranges may say, and reclaim.

use std::collections::BTreeSet;

use kernel_arena::{FreeError, PageIndex, Reclaimed, ReserveError};

use super::judge::{Bench, is_free, page_of};
use super::model::{Page, State};
use super::run::{Action, Range};

impl Bench<'_> {
    fn touched_in(&self, range: Range) -> bool {
        range.pages().any(|page| self.run.touched.contains(&page))
    }

    pub(super) fn free(&self, range: Range, result: Result<(), FreeError>) {
        let Action::Free { owner, .. } = self.run.action else { unreachable!() };
        let effects = &self.run.effects;
        let done = effects.freed + u32::try_from(effects.deferred.len()).unwrap();
        let malformed = self.malformed_range(range);
        if malformed.is_empty() && self.touched_in(range) {
            let fits = match result {
                Ok(()) => done == range.count,
                Err(FreeError::Raced { freed }) => freed.get() == done && done < range.count,
                Err(FreeError::NotAllocated { page }) => {
                    let owned = |at: &Page| matches!(at.seen.state, State::Mapped(_) | State::Reserved(_));
                    done == 0 && range.pages().contains(&page_of(page)) && self.was(page, |at| !owned(at))
                }
                Err(FreeError::NotOwner { page, owner: theirs }) => {
                    let owns = |at: &Page| matches!(at.seen.state, State::Mapped(owner) | State::Reserved(owner) if owner == theirs);
                    done == 0 && theirs != owner && range.pages().contains(&page_of(page)) && self.was(page, owns)
                }
                Err(_) => false,
            };
            assert!(fits, "{:?}: {result:?} after {effects:?}", self.run.action);
            return;
        }
        let expected = if malformed.is_empty() { vec![self.free_result(range)] } else { malformed };
        assert!(expected.contains(&result), "{:?}: {result:?}, not {expected:?}", self.run.action);
        assert_eq!(done, if result.is_ok() { range.count } else { 0 }, "what it did is what it says");
    }

    fn free_result(&self, range: Range) -> Result<(), FreeError> {
        let Action::Free { owner, .. } = self.run.action else { unreachable!() };
        for page in range.pages() {
            let index = PageIndex::new(page).unwrap();
            match self.at(page).seen.state {
                State::Mapped(theirs) | State::Reserved(theirs) if theirs == owner => {}
                State::Mapped(owner) | State::Reserved(owner) => {
                    return Err(FreeError::NotOwner { page: index, owner });
                }
                _ => return Err(FreeError::NotAllocated { page: index }),
            }
        }
        Ok(())
    }

    fn malformed_range(&self, range: Range) -> Vec<Result<(), FreeError>> {
        let mut errors = Vec::new();
        if range.count == 0 {
            errors.push(Err(FreeError::ZeroPages));
        }
        if range.offset % 4096 != 0 {
            errors.push(Err(FreeError::Misaligned));
        }
        if !self.in_extent(range) {
            errors.push(Err(FreeError::Outside));
        }
        errors
    }

    pub(super) fn reserve(&self, range: Range, result: Result<(), ReserveError>) {
        let effects = &self.run.effects;
        let malformed: Vec<ReserveError> = self
            .malformed_range(range)
            .into_iter()
            .map(|error| match error {
                Err(FreeError::ZeroPages) => ReserveError::ZeroPages,
                Err(FreeError::Misaligned) => ReserveError::Misaligned,
                _ => ReserveError::Outside,
            })
            .collect();
        let named = |page: PageIndex| malformed.is_empty() && range.pages().contains(&page_of(page));
        let undisturbed = !malformed.is_empty() || !self.touched_in(range);
        let lower =
            |page: PageIndex| undisturbed && (range.pages().start..page_of(page)).any(|page| !is_free(self.at(page)));
        let fits = match result {
            Ok(()) => {
                let all: BTreeSet<u32> = effects.reserved.union(&effects.stolen).copied().collect();
                malformed.is_empty() && all == range.pages().collect()
            }
            Err(ReserveError::Taken { page }) => named(page) && !lower(page) && self.was(page, |at| !is_free(at)),
            Err(ReserveError::Busy { page }) => {
                let held = |at: &Page| is_free(at) && self.hidden.contains(&page_of(page));
                let passing = held(self.at(page_of(page))) || self.unqueued.contains(&page_of(page));
                named(page) && !lower(page) && (passing || !undisturbed)
            }
            Err(error) => malformed.contains(&error),
        };
        assert!(fits, "{:?}: {result:?}", self.run.action);
        assert!(result.is_ok() || effects.reserved.is_empty() && effects.stolen.is_empty());
    }

    pub(super) fn reclaim(&self, done: Reclaimed) {
        let effects = &self.run.effects;
        let did = (effects.freed, effects.healed_pages, effects.healed_regions);
        assert_eq!((done.freed_pages, done.healed_pages, done.healed_regions), did, "what it did is what it says");
        for (page, at) in self.start().iter().filter(|(page, _)| !self.run.touched.contains(page)) {
            let now = self.model.pages[page].seen;
            let deferred = matches!(at.seen.state, State::Deferred(_)) && !self.unqueued.contains(page);
            assert!(!deferred || now.state == State::Free, "page {page} is still queued");
            let nobodys = matches!(at.seen.state, State::Free | State::Elsewhere) && !self.hidden.contains(page);
            assert!(!(nobodys && now.scratch), "page {page} was not healed");
        }
    }
}
