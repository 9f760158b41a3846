//! Which arena a faulting address belongs to, for kernels with more than one.
//!
//! A fixed array of entries. A fault enters an entry by adding one to its word, which says at once whether the entry is open,
//! and leaves by subtracting one; removal closes the entry and succeeds only when nobody is inside. Because flag and count are
//! one word, each step is one atomic operation on it, all of them in one order: whoever counted up before the entry was closed
//! is seen by the closer, whoever counts up after sees that it is closed. No fence is needed, and nobody waits.
//!
//! A registration names its entry by a number that is used once, among all registries: one that was made elsewhere, were it
//! for the same arena and the same place, closes nothing here.

use core::fmt;
use core::marker::PhantomData;

use crate::addr::{GUARD_SIZE, WINDOW_SIZE};
use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::fault::{Fault, FaultOutcome};
use crate::platform::Platform;
use crate::sync::{AtomicU64, Figure, Ordering};

/// Finds the arena of a faulting address among at most `N`.
///
/// ```no_run
/// # use kernel_arena::{Arena, Fault, FaultOutcome, Platform, Registry};
/// # fn kernel<P: Platform>(arena: &'static Arena<P>, fault: Fault, saved_instruction_pointer: &mut u64) {
/// let registry: Registry<P, 8> = Registry::new(); // in a kernel: a static
/// // Dropped, a registration lasts for ever; `Registry::remove` wants it back.
/// let _for_ever = registry.register_static(arena).unwrap();
/// // In the page-fault handler:
/// match registry.handle_kernel_fault(&fault) {
///     FaultOutcome::NotOurs => panic!("a kernel bug at {:?}", fault.address),
///     FaultOutcome::Recovered | FaultOutcome::Spurious => return,
///     FaultOutcome::Resume(at) => *saved_instruction_pointer = at.value(),
/// }
/// # }
/// ```
pub struct Registry<P: Platform, const N: usize, A: Arch = Native> {
    entries: [Entry; N],
    arenas: PhantomData<*const Arena<P, A>>,
}

// SAFETY: it holds pointers to arenas, and reaches them from whichever CPU a fault comes on: as an arena may be.
unsafe impl<P: Platform + Sync, const N: usize, A: Arch> Sync for Registry<P, N, A> {}
// SAFETY: as above.
unsafe impl<P: Platform + Sync, const N: usize, A: Arch> Send for Registry<P, N, A> {}

/// One arena. `word` is [`OPEN`] and the number of faults inside; the others are written only by whoever holds [`TAKEN`],
/// before `OPEN` is set with Release.
struct Entry {
    word: AtomicU64,
    base: AtomicU64,
    arena: AtomicU64,
    /// The number of the registration that holds the entry, or of the last that did.
    registration: AtomicU64,
}

/// The number of the next registration, in any registry; 0 is none's. Each is used once: 2^64 are not used up. Relaxed: two
/// that take one get two, in whichever order.
static NEXT_REGISTRATION: Figure = Figure::new(1);

/// Somebody registers or has registered an arena here.
const TAKEN: u64 = 1 << 63;
/// Faults may enter.
const OPEN: u64 = 1 << 62;
/// The count below it.
const COUNT: u64 = OPEN - 1;

/// A place in a registry.
///
/// Holding one proves that the arena was registered, in the registry that gave it, and has not been removed: there is no
/// other of the same number.
///
/// Dropping one removes nothing: the arena stays registered, for ever then. A kernel whose arena is never destroyed writes
/// `let _for_ever = registry.register_static(arena)?;`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "without it the arena cannot be removed from the registry: `let _for_ever = …` if it never is to be"]
pub struct Registration {
    entry: usize,
    number: u64,
}

/// Why an arena was not registered.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// All entries are taken: remove an arena, or use a larger registry.
    Full,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "all entries of the registry are taken",
        })
    }
}

/// Why an arena was not removed. The registration comes back: it is still in force.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum RemoveError {
    /// Faults are being handled in the arena. It is closed to new ones; call [`Registry::remove`] again.
    Busy {
        /// The registration.
        registration: Registration,
        /// How many faults were in flight.
        in_flight: u64,
    },
    /// The registration is another registry's: remove the arena there.
    NotHere(Registration),
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { in_flight, .. } => write!(f, "{in_flight} faults are in flight in the arena: remove it again"),
            Self::NotHere(_) => f.write_str("the registration is another registry's"),
        }
    }
}

impl core::error::Error for RegisterError {}
impl core::error::Error for RemoveError {}

impl<P: Platform, const N: usize, A: Arch> Registry<P, N, A> {
    /// An empty registry.
    #[cfg(not(kernel_arena_loom))]
    pub const fn new() -> Self {
        Self { entries: [const { Entry::new() }; N], arenas: PhantomData }
    }

    /// An empty registry (a model's atomics are not `const`).
    #[cfg(kernel_arena_loom)]
    pub fn new() -> Self {
        Self { entries: core::array::from_fn(|_| Entry::new()), arenas: PhantomData }
    }

    /// Lets faults in the arena's window find it. Context: *any*.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing was changed then.
    ///
    /// # Safety
    /// The arena is neither moved nor dropped before [`remove`](Self::remove) of *this* registry has returned `Ok` for this
    /// registration.
    pub unsafe fn register(&self, arena: &Arena<P, A>) -> Result<Registration, RegisterError> {
        let base = arena.layout().base().value();
        let index = self.entries.iter().position(Entry::take).ok_or(RegisterError::Full)?;
        let entry = &self.entries[index];
        entry.base.store(base, Ordering::Relaxed);
        let address = core::ptr::from_ref(arena).expose_provenance() as u64;
        entry.arena.store(address, Ordering::Relaxed);
        let number = NEXT_REGISTRATION.fetch_add(1, Ordering::Relaxed);
        entry.registration.store(number, Ordering::Relaxed);
        // Release: whoever finds the entry open finds the arena.
        entry.word.fetch_or(OPEN, Ordering::AcqRel);
        Ok(Registration { entry: index, number })
    }

    /// The same for an arena that exists for ever, or as long as anybody can tell: it is neither moved nor dropped while it is
    /// borrowed. Context: *any*.
    ///
    /// Where an arena is taken back out of its static all the same, to be [destroyed](Arena::destroy), it is
    /// [removed](Self::remove) from the registry before: that is for whoever takes it back to see to.
    ///
    /// ```
    /// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
    /// use kernel_arena::{Arena, Fault, Registry};
    /// # use kernel_arena::{Access, InstructionAddr};
    /// # use kernel::{LAYOUT, MyKernel};
    ///
    /// static ARENAS: Registry<MyKernel, 4> = Registry::new();
    ///
    /// fn is_recovered(fault: &Fault, saved_instruction_pointer: &mut u64) -> bool {
    ///     ARENAS.handle_kernel_fault(fault).returns_to(saved_instruction_pointer)
    /// }
    ///
    /// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    /// let arena: &'static Arena<MyKernel> = Box::leak(Box::new(Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap()));
    /// # let fault = Fault { address: LAYOUT.base(), access: Access::Read, instruction: InstructionAddr::new(0) };
    /// # assert!(!is_recovered(&fault, &mut 0));
    /// let registration = ARENAS.register_static(arena).unwrap();
    /// assert!(is_recovered(&fault, &mut 0));
    /// # ARENAS.remove(registration).unwrap();
    /// # assert!(!is_recovered(&fault, &mut 0));
    /// ```
    ///
    /// # Errors
    /// [`RegisterError`]; nothing was changed then.
    pub fn register_static(&self, arena: &'static Arena<P, A>) -> Result<Registration, RegisterError> {
        // SAFETY: the borrow never ends, so the arena is neither moved nor dropped.
        unsafe { self.register(arena) }
    }

    /// Takes an arena out: no fault finds it from now on. Context: *any*.
    ///
    /// # Errors
    /// [`RemoveError::Busy`] while faults are being handled in it; nobody enters any more, so a later call succeeds.
    /// [`RemoveError::NotHere`] if the registration is another registry's; nothing was changed then.
    pub fn remove(&self, registration: Registration) -> Result<(), RemoveError> {
        // Relaxed: whoever has the registration comes after the store of its number, and no other store follows before this
        // removal; whoever has another's never finds its number here, whatever it finds.
        let here = |entry: &&Entry| entry.registration.load(Ordering::Relaxed) == registration.number;
        let Some(entry) = self.entries.get(registration.entry).filter(here) else {
            return Err(RemoveError::NotHere(registration));
        };
        // Acquire: what the faults that have left did to the arena comes before what its owner does next.
        let in_flight = entry.word.fetch_and(!OPEN, Ordering::AcqRel) & COUNT;
        if in_flight != 0 {
            return Err(RemoveError::Busy { registration, in_flight });
        }
        entry.word.fetch_and(!TAKEN, Ordering::Release);
        Ok(())
    }

    /// Hands a fault to the arena whose window or upper guard it is in. Context: *any*.
    pub fn handle_kernel_fault(&self, fault: &Fault) -> FaultOutcome {
        self.entries
            .iter()
            .filter(|entry| entry.covers(fault))
            .find_map(|entry| {
                let _inside = entry.enter()?;
                // The entry may have become another arena's between the look and the entering.
                entry.covers(fault).then(|| {
                    let arena = core::ptr::with_exposed_provenance::<Arena<P, A>>(entry.arena_address());
                    // SAFETY: the entry is open and we are counted in it, so `remove` does not succeed before we leave, and
                    // until it does `register`'s caller keeps the arena in place.
                    unsafe { &*arena }.handle_kernel_fault(fault)
                })
            })
            .unwrap_or(FaultOutcome::NotOurs)
    }
}

impl Entry {
    #[cfg(not(kernel_arena_loom))]
    const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            base: AtomicU64::new(0),
            arena: AtomicU64::new(0),
            registration: AtomicU64::new(0),
        }
    }

    #[cfg(kernel_arena_loom)]
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { word: zero(), base: zero(), arena: zero(), registration: zero() }
    }

    /// Makes a free entry one's own. Acquire: pairs with the Release that freed it.
    fn take(&self) -> bool {
        // The count may differ from zero for a moment, by faults that are just finding the entry closed.
        self.word.fetch_or(TAKEN, Ordering::Acquire) & TAKEN == 0
    }

    /// Whether the fault lies where this entry's arena is. Relaxed: looked at again once inside.
    fn covers(&self, fault: &Fault) -> bool {
        let open = self.word.load(Ordering::Relaxed) & OPEN != 0;
        let offset = fault.address.value().wrapping_sub(self.base.load(Ordering::Relaxed));
        open && offset < WINDOW_SIZE + GUARD_SIZE
    }

    /// Counts up, if the entry is open. Acquire: pairs with the Release that opened it.
    fn enter(&self) -> Option<Inside<'_>> {
        let open = self.word.fetch_add(1, Ordering::Acquire) & OPEN != 0;
        let inside = Inside(self);
        open.then_some(inside)
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
    fn arena_address(&self) -> usize {
        self.arena.load(Ordering::Relaxed) as usize
    }
}

/// A fault in flight through an entry: counted until it is dropped.
struct Inside<'a>(&'a Entry);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Release: all that was done inside comes before what follows a removal that finds nobody left.
        self.0.word.fetch_sub(1, Ordering::Release);
    }
}

impl<P: Platform, const N: usize, A: Arch> Default for Registry<P, N, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform, const N: usize, A: Arch> fmt::Debug for Registry<P, N, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.entries.iter().filter(|entry| entry.word.load(Ordering::Relaxed) & OPEN != 0).count();
        f.debug_struct("Registry").field("capacity", &N).field("registered", &open).finish()
    }
}
