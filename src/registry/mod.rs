//! Which arena a faulting address belongs to, for kernels with more than one.
//!
//! A fixed array of entries, and each window has its *home* in it (`entry`): that of an arena is the first free one from there
//! on, and the home knows in which those are that are at home there. Each home has four hints, which say where the last was put
//! of the windows that share one: there a fault looks first, and nearly always it finds its arena. Else it looks wherever an arena
//! of its home is.
//!
//! A fault enters an entry by adding one to its word, which says at once whether the entry is open and for which window,
//! and leaves by subtracting one; removal closes the entry and succeeds only when nobody is inside. Because flag and count are
//! one word, each step is one atomic operation on it, all of them in one order: whoever counted up before the entry was closed
//! is seen by the closer, whoever counts up after sees that it is closed. No fence is needed, and nobody waits.
//!
//! A registration names its entry by a number that is used once, among all registries: one that was made elsewhere, were it
//! for the same arena and the same place, closes nothing here.

use core::fmt;
use core::marker::PhantomData;

use crate::addr::{GUARD_SIZE, KernelAddr, WINDOW_SIZE};
use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::fault::{Access, Fault, FaultOutcome, InstructionAddr};
use crate::platform::Platform;
use crate::sync::{Figure, Ordering};

mod entry;

use entry::{COUNT, Entry, HINTS, Hint, Inside, Key, MEMBERS, OPEN, TAKEN, member};

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
    /// Written by registrations alone, so that the faults of all CPUs find them in their caches.
    hints: [[Hint; HINTS]; N],
    arenas: PhantomData<*const Arena<P, A>>,
}

// SAFETY: it holds pointers to arenas, and reaches them from whichever CPU a fault comes on: as an arena may be.
unsafe impl<P: Platform + Sync, const N: usize, A: Arch> Sync for Registry<P, N, A> {}
// SAFETY: as above.
unsafe impl<P: Platform + Sync, const N: usize, A: Arch> Send for Registry<P, N, A> {}

/// The number of the next registration, in any registry; 0 is none's. Each is used once: 2^64 are not used up. Relaxed: two
/// that take one get two, in whichever order.
static NEXT_REGISTRATION: Figure = Figure::new(1);

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
        let hints = [const { [const { Hint::none() }; HINTS] }; N];
        Self { entries: [const { Entry::new() }; N], hints, arenas: PhantomData }
    }

    /// An empty registry (a model's atomics are not `const`).
    #[cfg(kernel_arena_loom)]
    pub fn new() -> Self {
        let hints = core::array::from_fn(|_| core::array::from_fn(|_| Hint::none()));
        Self { entries: core::array::from_fn(|_| Entry::new()), hints, arenas: PhantomData }
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
        let base = arena.layout().base();
        let window = Key::of(base);
        let (home, places) = self.places(window);
        let (distance, entry) = places.enumerate().find(|(_, entry)| entry.take()).ok_or(RegisterError::Full)?;
        entry.base.store(base.value(), Ordering::Relaxed);
        let address = core::ptr::from_ref(arena).expose_provenance() as u64;
        entry.arena.store(address, Ordering::Relaxed);
        let number = NEXT_REGISTRATION.fetch_add(1, Ordering::Relaxed);
        entry.registration.store(number, Ordering::Relaxed);
        // Relaxed: a fault that comes after this registration, as happens-before goes, sees it, and no other need find the arena.
        self.entries[home].members.fetch_or(member(distance), Ordering::Relaxed);
        let place = (home + distance) % N;
        if let Some(hint) = self.hint(window) {
            hint.give(place);
        }
        // Release: whoever finds the entry open finds the arena.
        entry.word.fetch_or(window.opening(), Ordering::AcqRel);
        Ok(Registration { entry: place, number })
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
        let in_flight = entry.word.fetch_and(TAKEN | COUNT, Ordering::AcqRel) & COUNT;
        if in_flight != 0 {
            return Err(RemoveError::Busy { registration, in_flight });
        }
        // The entry is still ours, and so is its bit at its home, unless others have it, too.
        if N <= MEMBERS {
            let home = Key::of(KernelAddr::new(entry.base.load(Ordering::Relaxed))).home(N);
            let distance = (registration.entry + N - home) % N;
            self.entries[home].members.fetch_and(!member(distance), Ordering::Relaxed);
        }
        entry.word.fetch_and(!TAKEN, Ordering::Release);
        Ok(())
    }

    /// Hands a fault to the arena whose window or upper guard it is in. Context: *any*.
    #[inline]
    pub fn handle_kernel_fault(&self, fault: &Fault) -> FaultOutcome {
        self.recover(fault.address, fault.access, fault.instruction)
    }

    /// The same, told the parts of the fault, which fit registers: what nearly always is, the arena where the hint says.
    #[inline(never)]
    fn recover(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        let window = Key::of(address);
        let Some(inside) = self.hinted(window).and_then(|entry| entry.enter(window)) else {
            return self.recover_elsewhere(address, access, instruction);
        };
        // SAFETY: the entry is open and we are counted in it, so `remove` does not succeed before we leave, and until it
        // does `register`'s caller keeps the arena in place.
        let arena = unsafe { &*Self::arena(&inside) };
        arena.recover(address, access, instruction)
    }

    /// The same, wherever the arena may be, if there is one.
    #[cold]
    #[inline(never)]
    fn recover_elsewhere(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        let in_guard = address.value() % WINDOW_SIZE < GUARD_SIZE;
        if in_guard || self.may_have(Key::of(address)) {
            self.search(address, access, instruction)
        } else {
            FaultOutcome::NotOurs
        }
    }

    #[cold]
    #[inline(never)]
    fn search(&self, address: KernelAddr, access: Access, instruction: InstructionAddr) -> FaultOutcome {
        let below = KernelAddr::new(address.value().wrapping_sub(WINDOW_SIZE));
        let guarded = || if address.value() % WINDOW_SIZE < GUARD_SIZE { self.find(Key::of(below)) } else { None };
        let Some(inside) = self.find(Key::of(address)).or_else(guarded) else { return FaultOutcome::NotOurs };
        // SAFETY: as above.
        let arena = unsafe { &*Self::arena(&inside) };
        arena.handle_kernel_fault(&Fault { address, access, instruction })
    }

    /// The arena of an entry that a fault is counted into.
    #[inline]
    fn arena(inside: &Inside<'_>) -> *const Arena<P, A> {
        core::ptr::with_exposed_provenance(inside.arena_address())
    }

    /// The hint of a window. Of a registry with one entry there is nothing to say.
    #[inline(always)]
    fn hint(&self, window: Key) -> Option<&Hint> {
        if N == 1 { None } else { self.hints.as_flattened().get(window.hint(N)) }
    }

    /// The entry in which the arena of a window is to be looked for first.
    #[inline(always)]
    fn hinted(&self, window: Key) -> Option<&Entry> {
        if N == 1 { self.entries.first() } else { self.entries.get(Self::wrapped(self.hint(window)?.place())) }
    }

    /// Whether an arena in this window was ever registered.
    #[inline(always)]
    fn may_have(&self, window: Key) -> bool {
        N == 1 || self.hint(window).is_some_and(Hint::is_given)
    }

    /// Counts a fault into the entry of its arena, if there is one in this window.
    fn find(&self, window: Key) -> Option<Inside<'_>> {
        if N == 1 {
            return self.entries.first()?.enter(window);
        }
        let home = window.home(N);
        let mut members = self.entries.get(home)?.members.load(Ordering::Relaxed);
        while members != 0 {
            let first = members.trailing_zeros() as usize;
            members &= members - 1;
            for distance in (first..N).step_by(MEMBERS) {
                if let Some(inside) = self.entries.get(Self::wrapped(home + distance))?.enter(window) {
                    return Some(inside);
                }
            }
        }
        None
    }

    /// The place of an entry, counted on beyond the last.
    #[inline]
    const fn wrapped(place: usize) -> usize {
        if N.is_power_of_two() {
            place & (N - 1)
        } else if place < N {
            place
        } else {
            place - N
        }
    }

    /// The home of a window, and all entries from there on.
    fn places(&self, window: Key) -> (usize, impl Iterator<Item = &Entry>) {
        let home = window.home(N);
        let (before, from) = self.entries.split_at(home);
        (home, from.iter().chain(before))
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
