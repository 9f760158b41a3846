//! How slots change: the table of `docs/MODEL.md`, a function a row.
//!
//! A rule looks at the state that a slot is in and says which comes next, or `None` where that is not its caller's to change.
//! [`Arena::transition`] applies a rule: it looks, asks, and exchanges; whoever loses to another change looks again and asks
//! again. That ends, for what comes between is bounded: a fault puts scratch on a slot without a translation, and every other
//! change takes the slot away from the rule, which then says `None`.

use crate::arch::Arch;
use crate::arena::Arena;
use crate::platform::{Frame, Platform};
use crate::slot::{Owner, SlotCodec, SlotState, Tag};
use crate::sync::AtomicU64;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Changes a slot by a rule, in one compare-exchange. Returns the state that gave way.
    ///
    /// The error is a state that the rule does not change.
    ///
    /// It is there once, for all rules: what is hot is tried before.
    #[inline(never)]
    pub(in crate::arena) fn transition(
        &self,
        slot: &AtomicU64,
        rule: &mut dyn FnMut(SlotState) -> Option<SlotState>,
    ) -> Result<SlotState, SlotState> {
        let mut word = A::load(slot);
        loop {
            let seen = self.state_of(word);
            let next = rule(seen).ok_or(seen)?;
            match A::compare_exchange(slot, word, self.word_of(next)) {
                Ok(()) => return Ok(seen),
                Err(now) => word = now,
            }
        }
    }

    /// S2 where there is what most often is, nothing. Whether the page is there now; else nothing was changed.
    #[inline(always)]
    pub(in crate::arena) fn put_mapped(&self, slot: &AtomicU64, frame: Frame, owner: Owner) -> bool {
        let entry = || self.codec.encode_mapped(frame, owner);
        // Where what was vacated becomes vacant, there is no need to look.
        let word = match A::BREAK_BEFORE_MAKE.then(|| A::try_install(slot, 0, entry())) {
            Some(Ok(())) => return true,
            Some(Err(word)) => word,
            None => A::load(slot),
        };
        SlotCodec::<A>::is_vacant(word) && A::try_install(slot, word, entry()).is_ok()
    }

    /// S4 or S5 where there is what most often is, a page that is mapped for `owner`: exchanged for `next` of its frame. Looked at
    /// and tried once; `None` if it is anything else, and nothing was changed.
    #[inline(always)]
    pub(in crate::arena) fn take_mapped(
        &self,
        slot: &AtomicU64,
        owner: Owner,
        next: impl FnOnce(Frame) -> u64,
    ) -> Option<Frame> {
        let word = A::load(slot);
        let frame = self.codec.frame_of(word, owner)?;
        A::compare_exchange(slot, word, next(frame)).ok()?;
        Some(frame)
    }
}

/// S7: what was vacated, and is flushed since, becomes vacant, by who vacated it and has its number still; so a fault need not
/// flush it first. Where one has been faster, its scratch stays.
#[inline(always)]
pub(in crate::arena) fn settle<A: Arch>(slot: &AtomicU64, vacated: u64) {
    let _scratched = A::compare_exchange(slot, vacated, 0);
}

/// S1: the scratch page, where nothing is translated. The fault path tries it once, from the word that it read.
pub(in crate::arena) const fn scratched(seen: SlotState) -> Option<SlotState> {
    match seen {
        SlotState::Vacant | SlotState::Vacated(_) => Some(SlotState::Scratch),
        SlotState::Reserved(owner) => Some(SlotState::ScratchOverReserved(owner)),
        _ => None,
    }
}

/// S2: a page, where the number is claimed.
pub(in crate::arena) fn installed(seen: SlotState, frame: Frame, owner: Owner) -> Option<SlotState> {
    seen.is_vacant().then_some(SlotState::Mapped(frame, owner))
}

/// S3: the scratch page taken away, where the number is claimed or is nobody's to claim. A shootdown must follow.
pub(in crate::arena) fn healed(seen: SlotState) -> Option<SlotState> {
    (seen == SlotState::Scratch).then_some(SlotState::Vacant)
}

/// S4: what belongs to `owner`, taken away. Its success is the right to free, and the number is the caller's again. Not where
/// there is scratch: that page is given up (S6) and healed (S3).
pub(in crate::arena) fn taken_away(seen: SlotState, owner: Owner, tag: impl FnOnce() -> Tag) -> Option<SlotState> {
    match seen {
        SlotState::Mapped(_, theirs) if theirs == owner => Some(SlotState::Vacated(tag())),
        SlotState::Reserved(theirs) if theirs == owner => Some(SlotState::Vacant),
        _ => None,
    }
}

/// S4: what a deferred free left, by whoever took its queue bit.
pub(in crate::arena) fn finished(seen: SlotState, tag: impl FnOnce() -> Tag) -> Option<SlotState> {
    matches!(seen, SlotState::Deferred(..)).then(|| SlotState::Vacated(tag()))
}

/// S6: what is reserved for `owner`, given up. The number is the caller's again; scratch that is there stays.
pub(in crate::arena) fn unreserved(seen: SlotState, owner: Owner) -> Option<SlotState> {
    match seen {
        SlotState::Reserved(theirs) if theirs == owner => Some(SlotState::Vacant),
        SlotState::ScratchOverReserved(theirs) if theirs == owner => Some(SlotState::Scratch),
        _ => None,
    }
}

/// S5: a page of `owner`'s, queued. The queue's bit is set after it.
pub(in crate::arena) fn queued(seen: SlotState, owner: Owner) -> Option<SlotState> {
    match seen {
        SlotState::Mapped(frame, theirs) if theirs == owner => Some(SlotState::Deferred(frame, owner)),
        _ => None,
    }
}

/// S5 or S6: whatever belongs to `owner`, freed without a shootdown. Where it was only reserved, the number is the caller's
/// again, and where scratch stays, the page is marked before it is un-claimed.
pub(in crate::arena) fn deferred(seen: SlotState, owner: Owner) -> Option<SlotState> {
    unreserved(seen, owner).or_else(|| queued(seen, owner))
}

/// Reserve: a claimed page, set aside. Scratch that is there stays.
pub(in crate::arena) const fn set_aside(seen: SlotState, owner: Owner) -> Option<SlotState> {
    match seen {
        SlotState::Vacant | SlotState::Vacated(_) => Some(SlotState::Reserved(owner)),
        SlotState::Scratch => Some(SlotState::ScratchOverReserved(owner)),
        _ => None,
    }
}
