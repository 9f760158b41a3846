//! The states of a slot.
//!
//! The page table is the state: there is no second book. How a word says one of them is in [`codec`].

mod codec;

use core::fmt;

use crate::platform::Frame;

pub(crate) use codec::SlotCodec;

/// Whose a page is: who allocated or reserved it, and who alone may free it.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A program, or the kernel on its behalf.
    Program = 1,
    /// The kernel, for itself: no program reaches the page. It stands in the page tables of programs that have a view, closed to
    /// them: on processors that read ahead of that check (Meltdown, CVE-2017-5754) keep secrets in a private arena.
    /// Bytecode that the kernel runs makes the kernel's accesses, and reaches every page: the same holds there.
    Kernel = 2,
    /// An allocator that stands on the arena; where that is shared, programs reach the page.
    Allocator = 3,
}

impl Owner {
    const fn bits(self) -> u8 {
        self as u8
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            1 => Some(Self::Program),
            2 => Some(Self::Kernel),
            3 => Some(Self::Allocator),
            _ => None,
        }
    }
}

/// What tells one vacated word of a slot from the next, 20 bits.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    const MASK: u64 = (1 << 20) - 1;

    /// The tag of the batch with this number: the same again only 2^20 batches later.
    pub(crate) const fn of_batch(number: u64) -> Self {
        Self((number & Self::MASK) as u32)
    }
}

/// What a slot says about its page.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing is here.
    Vacant,
    /// Nothing is here, and some TLB may still remember what was.
    Vacated(Tag),
    /// Set aside, without a frame.
    Reserved(Owner),
    /// The scratch page stands in for a missing one.
    Scratch,
    /// The scratch page stands in, and the page is set aside.
    ScratchOverReserved(Owner),
    /// A page.
    Mapped(Frame, Owner),
    /// A page that is queued to be freed; its translation still works.
    Deferred(Frame, Owner),
    /// No word of this crate's: somebody else wrote to the table.
    Foreign(u64),
}

impl SlotState {
    /// Whether a walker finds a translation here.
    pub const fn is_present(self) -> bool {
        match self {
            Self::Scratch | Self::ScratchOverReserved(_) | Self::Mapped(..) | Self::Deferred(..) => true,
            Self::Vacant | Self::Vacated(_) | Self::Reserved(_) => false,
            Self::Foreign(word) => codec::is_present(word),
        }
    }

    /// Whether the scratch page stands in.
    pub(crate) const fn is_scratch(self) -> bool {
        matches!(self, Self::Scratch | Self::ScratchOverReserved(_))
    }

    /// The frame that is the page's own.
    pub(crate) const fn frame(self) -> Option<Frame> {
        match self {
            Self::Mapped(frame, _) | Self::Deferred(frame, _) => Some(frame),
            _ => None,
        }
    }

    /// Whether an allocation that has claimed the page will install something here. (A fault may, too; and on reserved pages.)
    pub const fn is_vacant(self) -> bool {
        matches!(self, Self::Vacant | Self::Vacated(_))
    }
}

impl fmt::Debug for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = |name: &str, fields: &[&dyn fmt::Debug]| {
            let mut tuple = f.debug_tuple(name);
            fields.iter().for_each(|field| _ = tuple.field(field));
            tuple.finish()
        };
        match self {
            Self::Vacant => tuple("Vacant", &[]),
            Self::Vacated(tag) => tuple("Vacated", &[tag]),
            Self::Reserved(owner) => tuple("Reserved", &[owner]),
            Self::Scratch => tuple("Scratch", &[]),
            Self::ScratchOverReserved(owner) => tuple("ScratchOverReserved", &[owner]),
            Self::Mapped(frame, owner) => tuple("Mapped", &[frame, owner]),
            Self::Deferred(frame, owner) => tuple("Deferred", &[frame, owner]),
            // A page-table entry is read in hexadecimal.
            Self::Foreign(word) => tuple("Foreign", &[&format_args!("{word:#x}")]),
        }
    }
}
