//! What the machine knows of a page-table format: what a word means to a walker, and what an arena may write.
//!
//! Written from the manuals, not from the library: the bits are spelt out here again on purpose. The formats themselves are in
//! `formats`.

use std::rc::Rc;

use kernel_arena::arch::Arch;
use kernel_arena::platform::{EntryAttributes, Shootdown};
use kernel_arena::views::ProgramFault;
use kernel_arena::{Fault, KernelAddr};

use super::hardware::Hardware;

/// A format that the machine can walk.
pub(crate) trait Format: Arch {
    /// What words mean.
    const RULES: Rules;
    /// The flush that a shootdown ends in.
    type Flush: Shootdown;

    /// The flush of this machine.
    fn flush(hardware: Rc<Hardware>) -> Self::Flush;

    /// What the library makes of the exception that this access raises.
    fn decode(exception: Exception) -> Option<Fault>;

    /// The same, for an access of a program.
    fn decode_program(exception: Exception) -> Option<ProgramFault>;
}

/// A format's words.
pub(crate) struct Rules {
    /// The attribute bits of this machine's physical map.
    pub(super) attributes: EntryAttributes,
    /// Whether a translation may be replaced only after it was flushed everywhere.
    pub(super) break_before_make: bool,
    /// Where the first window is put.
    pub(super) base: KernelAddr,
    /// What an entry that points to a table means, and whether an arena may write it; `None` if it is not present.
    pub(super) table: fn(u64) -> Option<Entry>,
    /// The same for a leaf.
    pub(super) leaf: fn(u64) -> Option<Entry>,
    /// What an entry of a program view means, and whether an arena may write it.
    pub(super) view_entry: fn(u64) -> Option<Entry>,
    /// An entry that links a directory into a program view, open to user mode.
    pub(super) open_entry: fn(u64) -> u64,
}

/// An entry that is present, or what a TLB remembers of a walk down to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it points: the physical address of a page or a table.
    pub(super) frame: u64,
    pub(super) rights: Rights,
}

/// What an entry allows; the entries of a walk allow what each of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(super) user: bool,
    pub(super) write: bool,
    pub(super) kernel_fetch: bool,
    pub(super) user_fetch: bool,
}

impl Rights {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            user: self.user && other.user,
            write: self.write && other.write,
            kernel_fetch: self.kernel_fetch && other.kernel_fetch,
            user_fetch: self.user_fetch && other.user_fetch,
        }
    }

    pub(super) fn allow(self, intent: Intent) -> bool {
        let fetch = match intent.mode {
            Mode::Kernel => self.kernel_fetch,
            Mode::User => self.user_fetch,
        };
        let kind = match intent.kind {
            Kind::Read => true,
            Kind::Write => self.write,
            Kind::Fetch => fetch,
        };
        kind && (intent.mode == Mode::Kernel || self.user)
    }
}

/// Who accesses memory, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(super) mode: Mode,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Kernel,
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Fetch,
}

/// Why an access was not translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An entry was not present, at this level: 0 is the root, 3 a leaf table.
    Missing { level: u8 },
    /// The entries forbid it.
    Forbidden,
}

/// An access that was not translated, before the processor puts it into its registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    pub(super) address: u64,
    pub(super) intent: Intent,
    pub(super) cause: Cause,
    pub(super) instruction: u64,
}
