//! The search for the lowest run, block by block.

use core::ops::ControlFlow;

use super::bound::{self, Known, Measure, PairTest};
use super::recent::Recent;
use super::scan::{Scan, head, tail};
use super::wanted::Wanted;
use super::{BLOCK_BITS, BLOCK_WORDS, Blocks, Bound, FreeMap, Words};
use crate::sync::{AtomicU64, Ordering};

/// Blocks that a search looks at in vain before it measures those that follow: one that is over soon writes nothing.
const PATIENCE: u32 = if cfg!(kernel_arena_loom) { 0 } else { 4 };

/// What a search leaves alone of the words of a block, taken or not; most often nothing.
pub(crate) type Left = Option<Words>;

/// Who says that of each block, if there is anybody. Not a type of its own for each, or there were as many searches.
pub(crate) type LeftBy<'a> = Option<&'a dyn Fn(u32) -> Left>;

/// Whether a search passes over blocks that are noted as full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notes {
    Trusted,
    Ignored,
}

/// Why a search found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// There is no run.
    Nothing,
    /// Not where it looked; some blocks were noted as full.
    Noted,
}

impl<B: Blocks> FreeMap<B> {
    /// The lowest run from bit `from` on. Of each block, what `avoid` gives is left alone, too.
    ///
    /// `None` only if, for each moment of the search, some bit of each place was taken or left alone then, or in the
    /// middle of being given back.
    #[inline]
    pub(crate) fn lowest(&self, from: u32, wanted: Wanted, avoid: LeftBy<'_>) -> Option<u32> {
        if wanted.count == 1 && wanted.align == 1 {
            if let Some(found) = self.lowest_one(from, avoid) {
                return Some(found);
            }
        }
        self.search(from, wanted, avoid)
    }

    /// The lowest bit, by the notes alone.
    #[inline(never)]
    pub(crate) fn lowest_one(&self, from: u32, avoid: LeftBy<'_>) -> Option<u32> {
        let is_left_alone = |bit: u32| {
            avoid
                .and_then(|avoid| avoid(bit / BLOCK_BITS))
                .is_some_and(|left| left[bit as usize % BLOCK_BITS as usize / 64] & 1 << (bit % 64) != 0)
        };
        let hidden = self.hidden().filter(|bit| *bit >= from && !is_left_alone(*bit)).unwrap_or(Recent::NONE);
        let mut block = self.0.next_open(from / BLOCK_BITS);
        while block < self.0.end() {
            if hidden < block * BLOCK_BITS {
                break;
            }
            let (first, mut all_taken) = (block * BLOCK_BITS, !0);
            let left_alone = avoid.and_then(|avoid| avoid(block));
            for (index, word) in (0..BLOCK_WORDS).zip(self.0.words(block).unwrap_or_default()) {
                let (taken, bit) = (word.load(Ordering::Relaxed), first + index * 64);
                let mut free = !taken;
                if let Some(left_alone) = &left_alone {
                    free &= !left_alone[index as usize];
                }
                if first < from {
                    free &= !bits_before(from, bit);
                }
                if free != 0 {
                    return Some(bit + free.trailing_zeros());
                }
                all_taken &= taken;
            }
            if all_taken == !0 {
                self.note_if_full(block);
            }
            block = self.0.next_open(block + 1);
        }
        (hidden != Recent::NONE).then_some(hidden)
    }

    fn search(&self, from: u32, wanted: Wanted, avoid: LeftBy<'_>) -> Option<u32> {
        if let Some(hidden) = self.hidden() {
            self.0.note_open(hidden / BLOCK_BITS);
        }
        match self.pass(from, wanted, Notes::Trusted, avoid) {
            Ok(first) => Some(first),
            Err(Missed::Nothing) => None,
            Err(Missed::Noted) => {
                let found = self.pass(from, wanted, Notes::Ignored, avoid).ok();
                found.inspect(|first| self.0.note_open(first / BLOCK_BITS))
            }
        }
    }

    /// One way through the map.
    fn pass(&self, from: u32, wanted: Wanted, notes: Notes, avoid: LeftBy<'_>) -> Result<u32, Missed> {
        let (count, test) = (wanted.count, PairTest::new(wanted.count));
        let mut look = Look { map: self, from, count, avoid, scan: Scan::new(wanted), patience: PATIENCE };
        let mut missed = Missed::Nothing;
        // Free bits that reach the block, as bounds say; where words say so, they are in `scan.run`.
        let mut hinted = 0;
        let (mut block, end) = (from / BLOCK_BITS, self.0.end());
        while block < end {
            let mut bound = if block * BLOCK_BITS < from { None } else { self.0.bound(block) };
            if bound.is_some_and(|bound| bound.half == 0) && look.scan.run + hinted < test.end {
                let next = self.0.next_unpassed(block, test);
                if next != block {
                    (look.scan.run, hinted) = (0, self.0.bound(next - 1).map_or(0, Bound::tail));
                    (block, bound) = (next, self.0.bound(next));
                }
            }
            if let Some(bound) = bound {
                let (pair, run) = (bound.load(), look.scan.run + hinted);
                if pair == Known::BOTH_ALL && bound.half == 0 && look.scan.run == 0 && run + 2 * BLOCK_BITS < count {
                    (block, hinted) = (block + 2, run + 2 * BLOCK_BITS);
                    continue;
                }
                match Known::of(pair, bound.half) {
                    // Where words were looked at, they are looked at on: a run is read once.
                    Some(known) if known.is_whole() && look.scan.run == 0 && run + BLOCK_BITS < count => {
                        (block, hinted) = (block + 1, run + BLOCK_BITS);
                        continue;
                    }
                    Some(known) if !known.is_whole() && known.inner < count && run + known.head < count => {
                        (look.scan.run, hinted) = (0, known.tail);
                        block += 1;
                        continue;
                    }
                    _ => {}
                }
            }
            if notes == Notes::Trusted && hinted == 0 && look.scan.run == 0 {
                let open = self.0.next_open(block);
                if open != block {
                    (block, missed) = (open, Missed::Noted);
                    continue;
                }
            }
            if notes == Notes::Ignored && hinted == 0 && look.scan.run == 0 {
                let next = self.skip_full(block);
                if next != block {
                    block = next;
                    continue;
                }
            }
            let present = self.0.next_present(block);
            if present != block {
                (block, look.scan.run, hinted) = (present, 0, 0);
                continue;
            }
            // From where the run begins that bounds speak of.
            let first = (block * BLOCK_BITS - hinted) / BLOCK_BITS;
            match look.blocks(first, block) {
                ControlFlow::Break(found) => return Ok(found),
                ControlFlow::Continue(next) => (block, hinted) = (next, 0),
            }
        }
        Err(missed)
    }

    /// The first block from this one on that is not seen to be full, pair by pair, of those that are noted as full and of which
    /// nothing else is known. What was seen is left to the next search. Where all is taken, this is all that there is to look
    /// at: so it is no more than that.
    #[cold]
    fn skip_full(&self, mut block: u32) -> u32 {
        let open = self.0.next_open(block);
        // SeqCst: as in `Look::read`.
        let is_full = |block| {
            let words = self.0.words(block).unwrap_or_default();
            words.iter().all(|word| word.load(Ordering::SeqCst) == !0)
        };
        while block + 2 <= open {
            let Some(Bound { pair, half: 0 }) = self.0.bound(block) else { break };
            if !bound::are_full(pair, || is_full(block) && is_full(block + 1)) {
                break;
            }
            block += 2;
        }
        block
    }
}

/// The lowest run within words of which the first begins with bit `first`, as they are when each is looked at.
#[inline]
pub(crate) fn lowest_within(words: &[AtomicU64], first: u32, wanted: Wanted) -> Option<u32> {
    let mut scan = Scan::new(wanted);
    (first..).step_by(64).zip(words).find_map(|(bit, word)| match word.load(Ordering::Relaxed) {
        u64::MAX => {
            scan.run = 0;
            None
        }
        taken => scan.word(bit, !taken),
    })
}

/// A search that looks at words.
struct Look<'a, B> {
    map: &'a FreeMap<B>,
    from: u32,
    count: u32,
    avoid: LeftBy<'a>,
    scan: Scan,
    patience: u32,
}

impl<B: Blocks> Look<'_, B> {
    /// Looks at blocks, at least at these: the run, or the block after.
    fn blocks(&mut self, first: u32, last: u32) -> ControlFlow<u32, u32> {
        let mut block = first;
        while block <= last {
            block = self.pair(block, last)?;
        }
        ControlFlow::Continue(block)
    }

    /// Looks at a block, and at the other that shares its word of bounds if it is wanted, too, or unknown.
    fn pair(&mut self, block: u32, last: u32) -> ControlFlow<u32, u32> {
        let bound_of = |block: u32| if block * BLOCK_BITS < self.from { None } else { self.map.0.bound(block) };
        let bound = bound_of(block);
        let follows = |bound: &Bound<'_>| bound.half == 1 && (block < last || bound.is_unknown());
        let second = bound.filter(|bound| bound.half == 0).and_then(|_| bound_of(block + 1)).filter(follows);
        let measure = match bound {
            Some(bound) if self.patience == 0 => {
                Some(Measure::begin(bound.pair, [bound.half == 0, bound.half == 1 || second.is_some()]))
            }
            _ => None,
        };
        self.patience = self.patience.saturating_sub(1);
        let mut known = [None; 2];
        let end = block + 1 + u32::from(second.is_some());
        for (block, half) in (block..end).zip(bound.map_or(0, |bound| bound.half as usize)..) {
            match self.block(block) {
                ControlFlow::Continue(seen) => known[half] = seen,
                ControlFlow::Break(found) => {
                    measure.into_iter().for_each(|measure| measure.end(known));
                    return ControlFlow::Break(found);
                }
            }
        }
        measure.into_iter().for_each(|measure| measure.end(known));
        ControlFlow::Continue(end)
    }

    /// Looks at a block's words: the run, or what is known of the block now.
    #[inline(never)]
    fn block(&mut self, block: u32) -> ControlFlow<u32, Option<Known>> {
        let free = self.read(block);
        let Some(left_alone) = self.left_alone(block) else {
            let run = self.scan.run + head(&free);
            if run >= self.count || self.scan.may_have(&free) {
                let suits = self.scan.words(block * BLOCK_BITS, &free)?;
                return ControlFlow::Continue(suits.then(|| self.known(&free)));
            }
            let known = self.known(&free);
            self.scan.run = known.tail;
            return ControlFlow::Continue(Some(known));
        };
        self.block_in_part(block, &free, &left_alone)
    }

    /// The same where some bits are left alone: of these nothing is known.
    #[cold]
    #[inline(never)]
    fn block_in_part(&mut self, block: u32, free: &Words, left_alone: &Words) -> ControlFlow<u32, Option<Known>> {
        let rest: Words = core::array::from_fn(|index| free[index] & !left_alone[index]);
        let suits = self.scan.words(block * BLOCK_BITS, &rest)?;
        ControlFlow::Continue((suits && rest == *free).then(|| self.known(free)))
    }

    /// The bits of a block that are free.
    #[inline]
    fn read(&self, block: u32) -> Words {
        // SeqCst: not before the mark (`bound`). It costs a plain load, or an `ldar`.
        let free = |word: &AtomicU64| !word.load(Ordering::SeqCst);
        let words = self.map.0.words(block).unwrap_or_default();
        match <&[AtomicU64; BLOCK_WORDS as usize]>::try_from(words) {
            Ok(words) => words.each_ref().map(free),
            Err(_) => core::array::from_fn(|index| words.get(index).map_or(0, free)),
        }
    }

    /// What is left alone of a block, for whatever reason; most often nothing.
    #[inline]
    fn left_alone(&self, block: u32) -> Left {
        let (first, avoided) = (block * BLOCK_BITS, self.avoid.and_then(|avoid| avoid(block)));
        if first >= self.from {
            return avoided;
        }
        let mut left_alone = avoided.unwrap_or([0; BLOCK_WORDS as usize]);
        for (left_alone, bit) in left_alone.iter_mut().zip((first..).step_by(64)) {
            *left_alone |= bits_before(self.from, bit);
        }
        Some(left_alone)
    }

    /// What is known of a block in which nothing is found.
    #[inline(never)]
    fn known(&self, free: &[u64]) -> Known {
        Known { inner: self.count - 1, head: head(free), tail: tail(free) }
    }
}

/// The bits of the word starting with `bit` that lie before `from`.
const fn bits_before(from: u32, bit: u32) -> u64 {
    match from.saturating_sub(bit) {
        0 => 0,
        before if before < 64 => !(!0 << before),
        _ => !0,
    }
}
