//! What keeps an arena: as long as one is there, the arena cannot be destroyed.

use core::fmt;

use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::platform::Platform;

/// A claim on an arena's being there.
///
/// The borrow says so to the compiler. A kernel that takes the arena back behind the compiler's back, from a pointer, is refused
/// by [`Arena::destroy`], which counts holds:
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use kernel_arena::Arena;
/// use kernel_arena::groups::Hold;
/// # use kernel::{LAYOUT, MyKernel};
/// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
/// let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap();
/// core::mem::forget(Hold::new(&arena)); // the borrow has ended, the hold has not
/// let Err(refused) = arena.destroy() else { panic!("it is held") };
/// assert_eq!((refused.holds, refused.views), (1, 0));
/// assert_eq!(refused.arena.validate(), Ok(()));
/// ```
pub struct Hold<'a, P: Platform, A: Arch = Native> {
    arena: &'a Arena<P, A>,
}

impl<'a, P: Platform, A: Arch> Hold<'a, P, A> {
    /// Holds an arena. Context: *any*.
    pub fn new(arena: &'a Arena<P, A>) -> Self {
        arena.hold();
        Self { arena }
    }

    /// The arena.
    pub const fn arena(&self) -> &'a Arena<P, A> {
        self.arena
    }
}

impl<P: Platform, A: Arch> Drop for Hold<'_, P, A> {
    fn drop(&mut self) {
        self.arena.release();
    }
}

impl<P: Platform, A: Arch> fmt::Debug for Hold<'_, P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(self.arena).finish()
    }
}
