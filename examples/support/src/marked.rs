//! Objects of a slab that somebody has, each with a mark of its own in its first word: so it shows when two have one.
//!
//! For code of which several pieces use one allocator in the midst of each other. Whatever an allocator in disorder gives,
//! nothing outside its source's memory is written to.

use alloc::vec::Vec;
use core::alloc::Layout;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::slab::Slab;
use kernel_arena::source::{MetadataSource, PageSource};
use kernel_arena::{ArenaPtr, PageIndex};

/// Somebody who has objects.
#[derive(Debug)]
pub struct Marked<'a, S, M> {
    slab: &'a Slab<S, M>,
    layout: Layout,
    objects: RefCell<Vec<(ArenaPtr, u64)>>,
}

/// What was wrong.
pub type Damage = &'static str;

impl<'a, S: PageSource, M: MetadataSource> Marked<'a, S, M> {
    /// One that has at most so many objects of this size, a power of two of 8 to 4096 bytes: no memory is taken from the
    /// kernel's heap later.
    pub fn new(slab: &'a Slab<S, M>, layout: Layout, most: usize) -> Self {
        Self { slab, layout, objects: RefCell::new(Vec::with_capacity(most)) }
    }

    /// Whoever comes again and again: takes up to three, gives some back, now and then all, and empties the magazines.
    ///
    /// # Errors
    /// What is damaged.
    pub fn visit(&self, visit: u64) -> Result<(), Damage> {
        for _ in 0..visit % 4 {
            self.take()?;
        }
        if visit % 64 == 63 {
            self.give_all()?;
        } else if visit % 3 == 1 || self.is_almost_full() {
            self.give()?;
            self.give()?;
        }
        if visit % 32 == 31 {
            self.slab.drain();
        }
        Ok(())
    }

    /// Takes one, if there is room for it.
    ///
    /// # Errors
    /// There is none, or it is no object.
    pub fn take(&self) -> Result<(), Damage> {
        static MARKS: AtomicU64 = AtomicU64::new(1);
        let mut objects = self.objects.borrow_mut();
        if objects.len() == objects.capacity() {
            return Ok(());
        }
        let object = self.slab.alloc(self.layout).map_err(|_| "there is memory, but no object")?;
        let is_within = self.slab.source().extent().contains(PageIndex::containing(object));
        if !is_within || object.offset() as usize & (self.layout.size() - 1) != 0 {
            return Err("what was given is no object");
        }
        let mark = MARKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: it lies in the slab's memory, and is ours unless this is the damage that is looked for.
        unsafe { self.word(object).write_volatile(mark) };
        objects.push((object, mark));
        Ok(())
    }

    /// Gives the last one back.
    ///
    /// # Errors
    /// Somebody else has written to it.
    pub fn give(&self) -> Result<(), Damage> {
        let Some((object, mark)) = self.objects.borrow_mut().pop() else { return Ok(()) };
        // SAFETY: as above.
        if unsafe { self.word(object).read_volatile() } != mark {
            return Err("an object does not hold what was written: two have it");
        }
        // SAFETY: it came from there, with this layout, and is given once.
        unsafe { self.slab.free(object, self.layout) };
        Ok(())
    }

    /// Gives all back.
    ///
    /// # Errors
    /// As for [`give`](Self::give).
    pub fn give_all(&self) -> Result<(), Damage> {
        while !self.objects.borrow().is_empty() {
            self.give()?;
        }
        Ok(())
    }

    fn is_almost_full(&self) -> bool {
        let objects = self.objects.borrow();
        objects.len() + 4 > objects.capacity()
    }

    fn word(&self, object: ArenaPtr) -> *mut u64 {
        self.slab.to_kernel(object).cast()
    }
}
