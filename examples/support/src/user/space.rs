//! Address spaces: a root of a program's own, which has the kernel's parts too.
//!
//! The tables of both machines are alike from the one whose entries cover 1 GiB downwards. Its first entries are the kernel's own
//! image, with the rights they have everywhere; behind them is the program's. Everything that is not shared is taken down with the
//! space: the entries of an arena's view are zero by then, or its tables would be freed here.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::arch::Root;
use kernel_arena::platform::Frame;

use crate::arch::user::{FIRST_OWN_GIB, ROOT_BITS, Tag, leaf, new_root, table, table_frame};
use crate::arch::{PHYSICAL_MAP, user};
use crate::frames::FrameStack;

const PAGE_BYTES: u64 = 4096;
/// log2 of what an entry of each level covers, from the table that the kernel and the program share on.
const GIB_SHIFT: u32 = 30;
const LEAF_SHIFT: u32 = 12;

/// What a program may do with a page of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Execute and load.
    Text,
    /// Load.
    Constants,
    /// Load and store.
    Data,
}

/// An address space, and the frames of its own that are in it.
#[derive(Debug)]
pub struct AddressSpace {
    frames: &'static FrameStack,
    root: Frame,
    /// The table of 1 GiB entries.
    gibs: Frame,
    tag: Tag,
}

/// The words of a table.
pub(crate) fn entries(table: Frame) -> &'static [AtomicU64; 512] {
    let address = usize::try_from(PHYSICAL_MAP + table.address()).expect("a usize has 64 bits");
    let table = core::ptr::with_exposed_provenance::<[AtomicU64; 512]>(address);
    // SAFETY: all RAM is mapped there; frames are not unmapped, and their words are only ever accessed so.
    unsafe { &*table }
}

/// A frame of zeros.
pub(crate) fn zeroed(frames: &FrameStack) -> Option<Frame> {
    let frame = frames.alloc()?;
    entries(frame).iter().for_each(|word| word.store(0, Ordering::Relaxed));
    Some(frame)
}

impl AddressSpace {
    /// One with nothing but the kernel in it; none if there are no frames for its tables.
    #[must_use]
    pub fn new(frames: &'static FrameStack) -> Option<Self> {
        let tag = Tag::take()?;
        let (root, gibs) = new_root(frames)?;
        Some(Self { frames, root, gibs, tag })
    }

    /// Its root table, for whoever links something below it.
    ///
    /// # Panics
    ///
    /// Never: the root is a frame.
    #[must_use]
    pub fn root(&self) -> Root {
        Root::new(self.root.address(), ROOT_BITS).expect("a frame is aligned")
    }

    /// Puts pages there, with `bytes` at their beginning, and zeros after that: as many as `size` takes, from a page's start on. What
    /// was made before it failed stays. Tells whether there were frames enough.
    ///
    /// # Panics
    ///
    /// If something is there already.
    #[must_use]
    pub fn map(&self, address: u64, bytes: &[u8], size: u64, rights: Rights) -> bool {
        let mut bytes = bytes.chunks(4096);
        (0..size.div_ceil(PAGE_BYTES)).all(|page| {
            let content = bytes.next().unwrap_or_default();
            self.map_page(address + page * PAGE_BYTES, content, rights).is_some()
        })
    }

    fn map_page(&self, address: u64, content: &[u8], rights: Rights) -> Option<()> {
        let mut at = self.gibs;
        for shift in (LEAF_SHIFT + 9..=GIB_SHIFT).rev().step_by(9) {
            let entry = &entries(at)[index(address, shift)];
            if entry.load(Ordering::Relaxed) == 0 {
                entry.store(table(zeroed(self.frames)?), Ordering::Release);
            }
            at = table_frame(entry.load(Ordering::Relaxed));
        }
        let entry = &entries(at)[index(address, LEAF_SHIFT)];
        assert!(entry.load(Ordering::Relaxed) == 0, "{address:#x} is mapped already");
        let frame = zeroed(self.frames)?;
        let words = entries(frame);
        for (word, bytes) in words.iter().zip(content.chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
        }
        if rights == Rights::Text {
            user::sync_text(PHYSICAL_MAP + frame.address());
        }
        entry.store(leaf(frame, rights), Ordering::Release);
        user::publish();
        Some(())
    }

    /// What the *kernel* reads at an address with this space loaded: nothing, where the processor keeps it from the pages of programs.
    #[must_use]
    pub fn probe_read(&self, address: u64) -> Option<u64> {
        // SAFETY: at a program's address lies what the program has, and the kernel nothing.
        user::with_space(self, || unsafe { crate::probe::probe_read_u64(address) })
    }

    /// Puts a small function there, on a page of its own: one that returns. Tells whether there was a frame.
    #[must_use]
    pub fn map_function(&self, address: u64) -> bool {
        self.map(address, crate::arch::probe::SAYS_DONE, PAGE_BYTES, Rights::Text)
    }

    /// Whether the *kernel* can execute the [small function](Self::map_function) at an address with this space loaded: it cannot,
    /// where the processor keeps it from the pages of programs.
    #[must_use]
    pub fn probe_execute(&self, address: u64) -> bool {
        // SAFETY: at a program's address lies the function, or nothing.
        user::with_space(self, || unsafe { crate::probe::execute(address) })
    }

    pub(crate) fn tables(&self) -> (Frame, Tag) {
        (self.root, self.tag)
    }

    /// Gives back what hangs below an entry of a table whose entries cover `1 << shift`.
    fn free_below(&self, word: u64, shift: u32) {
        // A word that is not present may be a note that a window was linked there.
        if word & 1 == 0 {
            return;
        }
        let frame = table_frame(word);
        if shift > LEAF_SHIFT {
            entries(frame).iter().for_each(|entry| self.free_below(entry.load(Ordering::Relaxed), shift - 9));
        }
        self.frames.free(frame);
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        // No thread runs in it, so no CPU has it loaded; what is remembered under its name is forgotten first.
        self.tag.forget();
        for entry in &entries(self.gibs)[FIRST_OWN_GIB..] {
            self.free_below(entry.load(Ordering::Relaxed), GIB_SHIFT);
        }
        if self.gibs != self.root {
            self.frames.free(self.gibs);
        }
        self.frames.free(self.root);
        self.tag.give_back();
    }
}

fn index(address: u64, shift: u32) -> usize {
    usize::try_from(address >> shift & 511).expect("below 512")
}
