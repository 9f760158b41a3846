//! How a 64-bit word says what state a slot is in.
//!
//! A word with bit 0 set is a leaf that hardware walks, and its four software bits say whose page it is; a word with bit 0 clear is
//! ours, except that bits 51:12 stay zero, because the word stands in a program's page table and a CPU with the L1 terminal
//! fault may speculate through the address bits of an entry that is not present (Intel "L1 Terminal Fault", CVE-2018-3620).
//!
//! | word | bits |
//! |---|---|
//! | vacant | 0 |
//! | vacated(tag) | 2:1 = 1, tag in 11:3 and 62:52, which are 0 without break-before-make |
//! | reserved(owner) | 2:1 = 2, owner in 4:3 |
//! | leaf | software bits 1:0 owner, bit 2 deferred, bit 3 scratch |

use core::marker::PhantomData;

use super::{Owner, SlotState, Tag};
use crate::arch::{Arch, Leaf, Reach};
use crate::layout::Sharing;
use crate::platform::{EntryAttributes, Frame};

/// Whether hardware walks a word.
pub(super) const fn is_present(word: u64) -> bool {
    word & 1 != 0
}

const KIND_VACATED: u64 = 0b01 << 1;
const KIND_RESERVED: u64 = 0b10 << 1;
const KIND_MASK: u64 = 0b11 << 1;
const OWNER_SHIFT: u32 = 3;
const TAG_LOW_SHIFT: u32 = 3;
const TAG_LOW_BITS: u32 = 9;
const TAG_HIGH_SHIFT: u32 = 52;
/// The bits of a tag.
const TAG_BITS: u64 = ((1 << TAG_LOW_BITS) - 1) << TAG_LOW_SHIFT | (Tag::MASK >> TAG_LOW_BITS) << TAG_HIGH_SHIFT;
/// The bits that a reserved word may have.
const RESERVED_BITS: u64 = KIND_RESERVED | (SOFTWARE_OWNER as u64) << OWNER_SHIFT;

const SOFTWARE_OWNER: u8 = 0b0011;
const SOFTWARE_DEFERRED: u8 = 0b0100;
const SOFTWARE_SCRATCH: u8 = 0b1000;

/// Encodes and decodes the words of one arena, whose attribute bits and scratch page it knows.
///
/// Of a page with a frame all but the frame's address is made beforehand, so that a word is looked at in two steps.
#[derive(Debug)]
pub(crate) struct SlotCodec<A> {
    attributes: EntryAttributes,
    /// The words of a slot that holds scratch: where nothing is underneath, and where the page is reserved, by owner.
    scratch: [u64; 4],
    /// The words of a slot that holds a page, without its frame: by owner, first those that are mapped, then those that are
    /// deferred.
    pages: [u64; 8],
    /// The bits of these words where the frame is, and all others.
    frame: u64,
    rest: u64,
    format: PhantomData<fn() -> A>,
}

impl<A: Arch> SlotCodec<A> {
    /// The bits that a vacated word may have: without break-before-make all tags are one.
    const VACATED_BITS: u64 = if A::BREAK_BEFORE_MAKE { KIND_VACATED | TAG_BITS } else { KIND_VACATED };

    #[inline(never)]
    pub(crate) fn new(attributes: EntryAttributes, scratch: Frame, sharing: Sharing) -> Self {
        let scratch = [0, 1, 2, 3].map(|owner| {
            let software = SOFTWARE_SCRATCH | owner;
            A::leaf(Leaf { frame: scratch, reach: Reach::KernelOnly, software }, attributes)
        });
        let leaf = |frame, software| {
            let reach = Owner::from_bits(software).map_or(Reach::KernelOnly, |owner| reach(owner, sharing));
            A::leaf(Leaf { frame, reach, software }, attributes)
        };
        let (zeros, ones) = (Frame::from_entry(0), Frame::from_entry(!0));
        let frame = leaf(ones, 0) & !leaf(zeros, 0);
        let pages = [0, 1, 2, 3, 4, 5, 6, 7].map(|software| leaf(zeros, software));
        Self { attributes, scratch, pages, frame, rest: !frame, format: PhantomData }
    }

    #[inline]
    pub(crate) fn encode(&self, state: SlotState) -> u64 {
        match state {
            SlotState::Vacant => 0,
            SlotState::Vacated(Tag(tag)) => {
                let low = u64::from(tag) & ((1 << TAG_LOW_BITS) - 1);
                let high = u64::from(tag) >> TAG_LOW_BITS;
                (KIND_VACATED | low << TAG_LOW_SHIFT | high << TAG_HIGH_SHIFT) & Self::VACATED_BITS
            }
            SlotState::Reserved(owner) => KIND_RESERVED | u64::from(owner.bits()) << OWNER_SHIFT,
            SlotState::Scratch => self.scratch[0],
            SlotState::ScratchOverReserved(owner) => self.scratch[owner as usize],
            SlotState::Mapped(frame, owner) => self.encode_mapped(frame, owner),
            SlotState::Deferred(frame, owner) => self.encode_deferred(frame, owner),
            SlotState::Foreign(word) => word,
        }
    }

    /// The word of [`SlotState::Mapped`].
    #[inline]
    pub(crate) fn encode_mapped(&self, frame: Frame, owner: Owner) -> u64 {
        self.page(frame, owner.bits())
    }

    /// The word of [`SlotState::Deferred`].
    #[inline]
    pub(crate) fn encode_deferred(&self, frame: Frame, owner: Owner) -> u64 {
        self.page(frame, SOFTWARE_DEFERRED | owner.bits())
    }

    #[inline]
    const fn page(&self, frame: Frame, software: u8) -> u64 {
        self.pages[software as usize] | frame.address() & self.frame
    }

    /// What a word says. Whatever does not encode to the same word again was not written by this codec.
    #[inline]
    pub(crate) fn decode(&self, word: u64) -> SlotState {
        let state = match A::decode_leaf(word, self.attributes) {
            Some(leaf) => Self::decode_present(leaf).filter(|state| self.encode(*state) == word),
            None => Self::decode_absent(word),
        };
        state.unwrap_or(SlotState::Foreign(word))
    }

    /// The word of [`SlotState::Scratch`].
    #[inline]
    pub(crate) const fn scratch(&self) -> u64 {
        self.scratch[0]
    }

    /// The word, if scratch may take its place as it is: nothing is here, and nothing need be flushed before. Of the words of
    /// which that is so these are nearly all; what the others say, [`decode`](Self::decode) finds out.
    #[inline]
    pub(crate) const fn scratched_at_once(word: u64) -> Option<u64> {
        match word {
            0 => Some(0),
            // Where something is flushed before, it has to be found out whether that was done.
            KIND_VACATED if !A::BREAK_BEFORE_MAKE => Some(KIND_VACATED),
            _ => None,
        }
    }

    /// Whether a word says that nothing is here, as [`SlotState::is_vacant`] of what it decodes to.
    #[inline]
    pub(crate) const fn is_vacant(word: u64) -> bool {
        word == 0 || word & !(Self::VACATED_BITS & !KIND_MASK) == KIND_VACATED
    }

    /// The frame of a page that is mapped for this owner, and not for another, nor deferred.
    #[inline]
    pub(crate) fn frame_of(&self, word: u64, owner: Owner) -> Option<Frame> {
        // Where all else is the same, what is left is the frame.
        let frame = word ^ self.pages[owner as usize];
        (frame & self.rest == 0).then(|| Frame::again(frame))
    }

    /// The frame and the owner of a page that is queued to be freed.
    #[inline]
    pub(crate) fn queued(&self, word: u64) -> Option<(Frame, Owner)> {
        [Owner::Kernel, Owner::Program, Owner::Allocator].into_iter().find_map(|owner| {
            // As in `frame_of`.
            let frame = word ^ self.pages[(SOFTWARE_DEFERRED | owner.bits()) as usize];
            (frame & self.rest == 0).then(|| (Frame::again(frame), owner))
        })
    }

    #[inline]
    fn decode_present(leaf: Leaf) -> Option<SlotState> {
        let owner = Owner::from_bits(leaf.software & SOFTWARE_OWNER);
        Some(match (leaf.software & !SOFTWARE_OWNER, owner) {
            (0, Some(owner)) => SlotState::Mapped(leaf.frame, owner),
            (SOFTWARE_DEFERRED, Some(owner)) => SlotState::Deferred(leaf.frame, owner),
            (SOFTWARE_SCRATCH, None) => SlotState::Scratch,
            (SOFTWARE_SCRATCH, Some(owner)) => SlotState::ScratchOverReserved(owner),
            _ => return None,
        })
    }

    #[inline]
    fn decode_absent(word: u64) -> Option<SlotState> {
        match word & KIND_MASK {
            0 if word == 0 => Some(SlotState::Vacant),
            KIND_VACATED if word & !Self::VACATED_BITS == 0 => {
                let low = word >> TAG_LOW_SHIFT & ((1 << TAG_LOW_BITS) - 1);
                let high = word >> TAG_HIGH_SHIFT;
                Some(SlotState::Vacated(Tag::of_batch(low | high << TAG_LOW_BITS)))
            }
            KIND_RESERVED if word & !RESERVED_BITS == 0 => {
                Owner::from_bits((word >> OWNER_SHIFT & 0b11) as u8).map(SlotState::Reserved)
            }
            _ => None,
        }
    }
}

/// Who may reach a page. The kernel's own are not for programs, whatever the arena.
const fn reach(owner: Owner, sharing: Sharing) -> Reach {
    match (owner, sharing) {
        (Owner::Kernel, _) | (_, Sharing::Private) => Reach::KernelOnly,
        (Owner::Program | Owner::Allocator, Sharing::Shared) => Reach::User,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::aarch64::AArch64;
    use crate::arch::portable::Portable;
    use crate::arch::x86_64::X86_64;

    const OWNERS: [Owner; 3] = [Owner::Program, Owner::Kernel, Owner::Allocator];

    fn every_state<A: Arch>(scratch: Frame) -> Vec<SlotState> {
        let frames = [0x1234_5000, 0xaaaa_5555_a000].map(|address| Frame::new(address).unwrap());
        let tags: &[u64] = if A::BREAK_BEFORE_MAKE { &[0, 1, 511, 512, 0xf_ffff] } else { &[0] };
        let mut states = vec![SlotState::Vacant, SlotState::Scratch];
        states.extend(tags.iter().map(|number| SlotState::Vacated(Tag::of_batch(*number))));
        for owner in OWNERS {
            states.extend([SlotState::Reserved(owner), SlotState::ScratchOverReserved(owner)]);
            for frame in frames.into_iter().chain([scratch]) {
                states.extend([SlotState::Mapped(frame, owner), SlotState::Deferred(frame, owner)]);
            }
        }
        states
    }

    fn check<A: Arch>(attributes: EntryAttributes) {
        let scratch = Frame::new(0x7000).unwrap();
        let codec = SlotCodec::<A>::new(attributes, scratch, Sharing::Shared);
        let words: Vec<u64> = every_state::<A>(scratch).into_iter().map(|state| codec.encode(state)).collect();
        for (state, word) in every_state::<A>(scratch).into_iter().zip(&words) {
            assert_eq!(codec.decode(*word), state, "{} {word:#x}", A::NAME);
            assert_eq!(SlotCodec::<A>::is_vacant(*word), state.is_vacant());
            for owner in OWNERS {
                let mapped = |frame: &Frame| SlotState::Mapped(*frame, owner) == state;
                assert_eq!(codec.frame_of(*word, owner), state.frame().filter(mapped));
            }
            let queued = codec.queued(*word).map(|(frame, owner)| SlotState::Deferred(frame, owner));
            assert_eq!(queued, Some(state).filter(|state| matches!(state, SlotState::Deferred(..))));
            let page = match state {
                SlotState::Mapped(frame, owner) => Some((frame, owner, 0)),
                SlotState::Deferred(frame, owner) => Some((frame, owner, SOFTWARE_DEFERRED)),
                _ => None,
            };
            if let Some((frame, owner, flags)) = page {
                let reach = if owner == Owner::Kernel { Reach::KernelOnly } else { Reach::User };
                let leaf = Leaf { frame, reach, software: flags | owner.bits() };
                assert_eq!(A::decode_leaf(*word, attributes), Some(leaf), "{} {word:#x}", A::NAME);
                assert_eq!(*word, A::leaf(leaf, attributes), "{} {state:?}", A::NAME);
            }
            assert_eq!(state.is_present(), word & 1 != 0);
            if !state.is_present() {
                assert_eq!(word & 0x000f_ffff_ffff_f000, 0, "address bits of an absent word: {state:?}");
                assert_eq!(word >> 63, 0);
            }
        }
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(distinct.len(), words.len(), "two states share a word");
        let vacated = codec.encode(SlotState::Vacated(Tag::of_batch(!0)));
        assert!(matches!(codec.decode(vacated), SlotState::Vacated(_)));
        // A frame that the format has no room for is cut off, and sets no other bit.
        let beyond = Frame::new(0x000f_ffff_ffff_f000).unwrap();
        let leaf = Leaf { frame: beyond, reach: Reach::KernelOnly, software: Owner::Kernel.bits() };
        assert_eq!(codec.encode_mapped(beyond, Owner::Kernel), A::leaf(leaf, attributes), "{}", A::NAME);
        let reserved = codec.encode(SlotState::Reserved(Owner::Allocator));
        let of_another = SlotCodec::<A>::new(attributes, Frame::new(0x8000).unwrap(), Sharing::Private);
        let scratch_of_another = of_another.encode(SlotState::Scratch);
        let out_of_reach = of_another.encode(SlotState::Mapped(scratch, Owner::Program));
        for foreign in [
            0b110,
            1 << 12,
            words[1] ^ 1 << 11,
            vacated | 1 << 12,
            vacated | 1 << 63,
            reserved | 1 << 5,
            KIND_RESERVED,
            1 << 63,
            scratch_of_another,
            out_of_reach,
            if A::BREAK_BEFORE_MAKE { vacated | 1 << 12 } else { vacated | 1 << TAG_LOW_SHIFT },
        ] {
            assert_eq!(codec.decode(foreign), SlotState::Foreign(foreign));
            assert!(!SlotCodec::<A>::is_vacant(foreign) && codec.frame_of(foreign, Owner::Program).is_none());
            assert!(codec.queued(foreign).is_none());
        }
    }

    #[test]
    fn states_are_shown_as_they_are_written_and_foreign_words_in_hexadecimal() {
        let frame = Frame::new(0x1234_5000).unwrap();
        assert_eq!(format!("{:?}", SlotState::Mapped(frame, Owner::Kernel)), "Mapped(Frame(0x12345000), Kernel)");
        assert_eq!(format!("{:?}", SlotState::Scratch), "Scratch");
        assert_eq!(format!("{:?}", SlotState::Foreign(0x8000_0000_0000_1067)), "Foreign(0x8000000000001067)");
    }

    #[test]
    fn every_state_has_a_word_of_its_own_in_every_format() {
        check::<X86_64>(EntryAttributes { leaf: 1 << 51 | 1 << 3, table: 1 << 51 });
        check::<X86_64>(EntryAttributes::default());
        check::<AArch64>(EntryAttributes { leaf: 1 << 2 | 3 << 8, table: 0 });
        check::<Portable>(EntryAttributes::default());
    }
}
