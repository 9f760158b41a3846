//! A platform made of five parts.

use crate::platform::{CpuIdentity, FrameSource, PhysMap, Platform, Shootdown, UpperSlots};

/// A [`Platform`], put together: frames `F`, a physical map `M`, a shootdown `S`, names of CPUs `C`, lent entries `U`.
///
/// Each part may be a reference, where the kernel uses it for other things, too.
#[derive(Debug)]
pub struct Parts<F, M, S, C, U> {
    frames: F,
    map: M,
    shootdown: S,
    cpus: C,
    upper: U,
}

impl<F, M, S, C, U> Parts<F, M, S, C, U> {
    /// These five.
    ///
    /// # Safety
    /// All that an arena relies on, in one place ([`Platform`] and its traits have it in full):
    /// - *Frames* are ordinary memory, below the map's reach, each in one hand at a time: the source's or the arena's.
    /// - *Map*: every such frame is mapped, writable, at the address that the map gives, always, and with the memory type
    ///   that its attributes say. On x86_64 it reaches the page tables above the window, too, those of every root that is
    ///   loaded while kernel code can touch it.
    /// - *Shootdown*: when it returns, no CPU that can use the window remembers a translation from before; with one CPU,
    ///   flushing here is all.
    /// - *CPUs*: while code relies on the name that it read (CPU, level), nothing else runs under that name: no other thread,
    ///   no interrupt handler.
    /// - *Entries*: five words, reachable from every root that is loaded while kernel code can touch the window; only this
    ///   arena writes them. The window's 4 GiB, 2 MiB above and 32 KiB below it hold nothing else.
    /// - Nothing that the arena or a fault handler uses (the platform, metadata, tables, stacks, the handlers' code) lies in
    ///   the window of any arena.
    /// - None of it unwinds.
    pub const unsafe fn new(frames: F, map: M, shootdown: S, cpus: C, upper: U) -> Self {
        Self { frames, map, shootdown, cpus, upper }
    }

    /// The parts, back: for instance after [`Arena::destroy`](crate::Arena::destroy), to
    /// [unlink](super::Window::unlink) the window.
    pub fn into_parts(self) -> (F, M, S, C, U) {
        (self.frames, self.map, self.shootdown, self.cpus, self.upper)
    }
}

// SAFETY: whoever put the parts together vouched for them in `new`.
unsafe impl<F: FrameSource, M: PhysMap, S: Shootdown, C: CpuIdentity, U: UpperSlots> Platform for Parts<F, M, S, C, U> {
    type Frames = F;
    type PhysMap = M;
    type Shootdown = S;
    type Cpus = C;
    type Upper = U;

    fn frames(&self) -> &F {
        &self.frames
    }

    fn phys_map(&self) -> &M {
        &self.map
    }

    fn shootdown(&self) -> &S {
        &self.shootdown
    }

    fn cpus(&self) -> &C {
        &self.cpus
    }

    fn upper(&self) -> &U {
        &self.upper
    }
}
