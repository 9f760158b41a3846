//! Typed access and masks, at whatever numbers: an access that stops says where the first hole is, and leaves none behind.

use kernel_arena::access::{ArenaSlice, Hole, TryCopyError};
use kernel_arena::masks::{ChangeError, MaskIds, SharedMask, words};
use kernel_arena::platform::CpuId;
use kernel_arena::sync::Ordering;
use kernel_arena::{ArenaPtr, GUARD_SIZE, Owner, PageIndex, SlotState, WINDOW_SIZE};

use super::world::World;
use crate::machine::Format;

impl<F: Format> World<'_, F> {
    fn state(&self, offset: u64) -> Option<SlotState> {
        let page = PageIndex::new(u32::try_from(offset >> 12).ok()?)?;
        self.m.quietly(|| self.m.arena().page_state(page))
    }

    /// Where the first hole is in so many bytes.
    fn first_hole(&self, offset: u32, bytes: usize) -> Option<u64> {
        let (start, end) = (u64::from(offset), u64::from(offset) + bytes as u64);
        let is_hole = |at: &u64| !matches!(self.state(*at), Some(SlotState::Mapped(..) | SlotState::Deferred(..)));
        std::iter::successors(Some(start), |at| Some((at | 0xfff) + 1)).take_while(|at| *at < end).find(is_hole)
    }

    /// Whether a program may write there: the kernel's pages are no program's.
    fn is_kernels(&self, offset: u32, bytes: usize) -> bool {
        let last = u64::from(offset) + bytes.max(1) as u64 - 1;
        (u64::from(offset) >> 12..=last >> 12)
            .any(|page| matches!(self.state(page << 12), Some(SlotState::Mapped(_, Owner::Kernel))))
    }

    fn hole(&self, at: u64) -> Hole {
        Hole { address: kernel_arena::KernelAddr::new(self.m.arena().layout().base().value() + at) }
    }

    pub(super) fn load(&self, at: u64) {
        let Some(at) = ArenaPtr::<u64>::from_low_bits(at) else { return };
        let (holes, violations) = (self.first_hole(at.offset(), 8), self.m.arena().stats().violations);
        self.m.memory(0).load(at);
        assert!(holes.is_some() || self.m.arena().stats().violations == violations);
        assert_eq!(self.first_hole(at.offset(), 8), holes, "scratch is a hole all the same");
    }

    pub(super) fn try_load(&self, at: u64) {
        let Some(at) = ArenaPtr::<u64>::from_low_bits(at) else { return };
        let expected = self.first_hole(at.offset(), 8);
        let loaded = self.leaves_no_scratch(|| self.m.memory(0).try_load(at));
        assert_eq!(loaded.err(), expected.map(|at| self.hole(at)), "{at:?}");
    }

    pub(super) fn try_store(&self, at: u64, value: u64) {
        let Some(at) = ArenaPtr::<u64>::from_low_bits(at).filter(|at| !self.is_kernels(at.offset(), 8)) else { return };
        let expected = self.first_hole(at.offset(), 8);
        let stored = self.leaves_no_scratch(|| self.m.memory(0).try_store(at, &value));
        assert_eq!(stored.err(), expected.map(|at| self.hole(at)), "{at:?}");
        assert!(stored.is_err() || self.m.memory(1).try_load(at) == Ok(value));
    }

    pub(super) fn copy(&self, at: u64, bytes: usize, out: bool) {
        let Some(at) = ArenaPtr::<u8>::from_low_bits(at) else { return };
        let mut buffer = vec![0x3c; bytes];
        let memory = self.m.memory(0);
        let copied = if !out {
            self.leaves_no_scratch(|| memory.try_copy_in(at, &mut buffer))
        } else if self.is_kernels(at.offset(), bytes) {
            return;
        } else {
            self.leaves_no_scratch(|| memory.try_copy_out(at, &buffer))
        };
        let end = u64::from(at.offset()) + bytes as u64;
        match copied {
            Err(TryCopyError::LeavesWindow(_)) => assert!(end > WINDOW_SIZE + GUARD_SIZE),
            Err(TryCopyError::Hole { hole, copied }) => {
                let first = self.first_hole(at.offset(), bytes).expect("there is one");
                assert_eq!((hole, at.offset() as usize + copied), (self.hole(first), usize::try_from(first).unwrap()));
            }
            Err(other) => panic!("{other}"),
            Ok(()) => assert_eq!(self.first_hole(at.offset(), bytes), None),
        }
    }

    pub(super) fn add(&self, at: u64, value: u64) {
        let Some(at) = ArenaPtr::<u64>::from_low_bits(at).filter(|at| !self.is_kernels(at.offset(), 8)) else { return };
        let memory = self.m.memory(0);
        let Ok(word) = memory.atomic(at) else { return assert!(at.offset() % 8 != 0) };
        let expected = self.first_hole(at.offset(), 8);
        let added = self.leaves_no_scratch(|| word.try_fetch_add(value, Ordering::SeqCst));
        assert_eq!(added.err(), expected.map(|at| self.hole(at)), "{at:?}");
        let now = word.try_load(Ordering::SeqCst);
        assert_eq!(added.map(|was| was.wrapping_add(value)), now);
    }

    pub(super) fn slice(&self, at: u64, len: u32, index: u32) {
        let Some(first) = ArenaPtr::<u64>::from_low_bits(at) else { return };
        let end = u64::from(first.offset()) + 8 * u64::from(len);
        let Ok(slice) = ArenaSlice::new(first, len) else { return assert!(end > WINDOW_SIZE) };
        assert!(end <= WINDOW_SIZE && slice.len() == len);
        let offset = |at: ArenaPtr<u64>| u64::from(at.offset());
        let expected = (index < len).then(|| offset(first) + 8 * u64::from(index));
        assert_eq!(slice.get(index).map(offset), expected);
        if let Some(rest) = slice.slice(index..len) {
            assert_eq!(rest.len(), len - index);
        }
        let memory = self.m.memory(0);
        for (value, at) in memory.try_iter(slice).zip(slice.pointers()).take(4) {
            assert_eq!(value.err(), self.first_hole(at.offset(), 8).map(|at| self.hole(at)));
        }
    }

    pub(super) fn masks(&self, at: [u64; 2], headers: [[u32; 3]; 2], ids: u32, id: u16, change: u8) {
        let memory = self.m.memory(0);
        let ids = MaskIds::new(ids).unwrap();
        for (at, header) in at.into_iter().zip(headers) {
            let place = ArenaPtr::<u32>::from_low_bits(at).filter(|at| !self.is_kernels(at.offset(), 12));
            let _there_or_not = place.map(|place| memory.try_copy_out(place, &header));
        }
        let [mask, other] = at.map(|at| SharedMask::snapshot(&memory, at, ids));
        let Ok(mask) = mask else { return };
        let (base, nr) = (mask.span().base(), mask.span().nr());
        assert!(u64::from(base) + u64::from(nr) <= u64::from(ids.get()), "{base} and {nr} of {ids:?}");
        // Nobody has changed the header since.
        let mut header = [0; 3];
        memory.try_copy_in(ArenaPtr::new(mask_start(at[0])).unwrap(), &mut header).unwrap();
        assert!(header[..2] == [base, nr] && words(nr) <= u64::from(header[2]), "{header:?}");
        let inside = (base..base + nr).contains(&u32::from(id));
        let cpu = CpuId::new(id);
        assert!(inside || mask.test(cpu) == Ok(false), "{id} is none of {base} and {nr}");
        for one in mask.iter().map_while(Result::ok) {
            assert!((base..base + nr).contains(&u32::from(one.number())), "{one:?} is none of {base} and {nr}");
        }
        assert!(!mask.weight().is_ok_and(|weight| weight > nr));
        if self.is_kernels(mask_start(at[0]), 16 + nr as usize / 8 + 16) {
            return;
        }
        let changed = match (change, &other) {
            (0, _) => mask.set(cpu).map(|_| assert_eq!(mask.test(cpu), Ok(inside))),
            (1, _) => mask.clear(cpu).map(|_| assert_eq!(mask.test(cpu), Ok(false))),
            (2, Ok(other)) => mask.or(other),
            (3, Ok(other)) => mask.and_not(other),
            (4, Ok(other)) => mask.copy(other),
            (_, Ok(other)) => mask.and(other),
            (_, Err(_)) => Ok(()),
        };
        assert!(!matches!(changed, Err(ChangeError::Contended)), "nobody else is there");
    }

    /// Does what may find a hole, and nothing is scratched or recorded for it.
    fn leaves_no_scratch<R>(&self, access: impl FnOnce() -> R) -> R {
        let before = self.m.arena().stats();
        let result = access();
        let after = self.m.arena().stats();
        assert_eq!((after.violations, after.tainted_pages), (before.violations, before.tainted_pages));
        result
    }
}

fn mask_start(at: u64) -> u32 {
    ArenaPtr::<u32>::from_low_bits(at).map_or(0, |at| at.offset())
}
