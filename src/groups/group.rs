//! The group itself: its programs, its arena, and whether they may be called.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::ControlFlow;

use super::account::Account;
use super::equipment::Lent;
use super::presence::{NotNow, Presence};
use super::{Caller, DisableError, EnableError, Equipment, Hold, MembersError, MembersRefused};
use crate::arch::{Arch, Native};
use crate::arena::Arena;
use crate::layout::Sharing;
use crate::masks::MaskIds;
use crate::platform::{Platform, ReversibleMap};
use crate::programs::ProgramId;

/// What a group has to know of a program.
pub trait Member<'a, P: Platform, A: Arch = Native> {
    /// The arena that the program works on, if it works on one. Always the same.
    fn arena(&self) -> Option<&'a Arena<P, A>>;

    /// Its number, which violations name.
    fn id(&self) -> Option<ProgramId>;
}

/// Programs that make one thing together, in `SLOTS` slots.
///
/// Holding one proves that its programs share one arena, and that this is there: the group holds it. Groups may be shared among
/// CPUs; dropping one disables it, since nobody can be inside.
///
/// # Examples
/// ```no_run
/// use kernel_arena::groups::{Group, Member};
/// use kernel_arena::masks::MaskIds;
/// use kernel_arena::platform::ReversibleMap;
/// use kernel_arena::{Arena, Platform, ProgramId};
///
/// struct Program<'a, P: Platform> {
///     arena: &'a Arena<P>,
///     number: u32,
/// }
/// impl<'a, P: Platform> Member<'a, P> for Program<'a, P> {
///     fn arena(&self) -> Option<&'a Arena<P>> {
///         Some(self.arena)
///     }
///     fn id(&self) -> Option<ProgramId> {
///         ProgramId::new(self.number)
///     }
/// }
///
/// # fn kernel<P: Platform>(arena: &'static Arena<P>) where P::PhysMap: ReversibleMap {
/// let members = [Some(Program { arena, number: 1 }), None];
/// let group = Group::register(members, 10).expect("one arena"); // the 11th violation ejects it
/// let ids = MaskIds::new(64).expect("not 0");
/// group.enable(ids, |_memory| Ok::<(), &str>(())).expect("there is memory, and init agrees");
///
/// if let Some(call) = group.enter(0) {
///     // run `call.member()`; what it does wrong on this CPU is counted when `call` is dropped
/// }
/// if !group.is_present() {
///     // ejected: callers that are inside go on, then
///     while group.disable(|_memory| ()).is_err() { /* call again, when they may have left */ }
/// }
/// # }
/// ```
///
/// The arena cannot go as long as the group is there:
/// ```compile_fail,E0505
/// # use kernel_arena::groups::{Group, Member};
/// # use kernel_arena::platform::ReversibleMap;
/// # use kernel_arena::{Arena, Platform};
/// fn take_away<'a, P: Platform>(arena: Arena<P>, programs: impl for<'b> Fn(&'b Arena<P>) -> [Option<Box<dyn Member<'b, P> + 'b>>; 1]) {
///     let first = programs(&arena);
///     let _destroyed = arena.destroy();
///     drop(first);
/// }
/// ```
pub struct Group<'a, P: Platform, M, const SLOTS: usize, A: Arch = Native>
where
    P::PhysMap: ReversibleMap,
{
    members: [Option<M>; SLOTS],
    presence: Presence,
    /// Written by who has the right of `Presence::begin_up` or `begin_down`, read by callers.
    equipment: UnsafeCell<Option<Equipment<'a, P, A>>>,
    account: Account,
    // The last field: the arena goes last.
    hold: Hold<'a, P, A>,
}

// SAFETY: what is in the cell is written by one, before callers read it and after they have left (`presence`); everything else is
// shared by reference as it may be.
unsafe impl<'a, P: Platform, M: Sync, const SLOTS: usize, A: Arch> Sync for Group<'a, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
    Arena<P, A>: Sync,
    Equipment<'a, P, A>: Send + Sync,
{
}

impl<'a, P: Platform, M: Member<'a, P, A>, const SLOTS: usize, A: Arch> Group<'a, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    /// Makes a group of these programs, at rest. `budget` violations are let pass; one more ejects it (`u64::MAX`: none ever
    /// does).
    ///
    /// Context: *any*.
    ///
    /// # Errors
    /// [`MembersRefused`] gives the programs back.
    pub fn register(members: [Option<M>; SLOTS], budget: u64) -> Result<Self, MembersRefused<[Option<M>; SLOTS]>> {
        match the_one_arena(&members) {
            Ok(arena) => Ok(Self {
                members,
                presence: Presence::new(),
                equipment: UnsafeCell::new(None),
                account: Account::new(budget),
                hold: Hold::new(arena),
            }),
            Err(error) => Err(MembersRefused { error, members }),
        }
    }
}

impl<'a, P: Platform, M, const SLOTS: usize, A: Arch> Group<'a, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    /// The arena that all programs share.
    pub const fn arena(&self) -> &'a Arena<P, A> {
        self.hold.arena()
    }

    /// The program in a slot.
    pub fn member(&self, slot: usize) -> Option<&M> {
        self.members.get(slot)?.as_ref()
    }

    /// Calls `each` with every program and its slot, lowest first. The first that breaks off ends it, with its value.
    pub fn walk<B>(&self, mut each: impl FnMut(usize, &M) -> ControlFlow<B>) -> ControlFlow<B> {
        for (slot, member) in self.members.iter().enumerate() {
            if let Some(member) = member {
                each(slot, member)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Sets the group up, in this order: the pool; in it, zeroed, a CPU mask of these ids for each CPU of the platform; `init`.
    /// Then callbacks may be [called](Self::enter). Violations are counted anew, from here on: those of `init` are for it to
    /// answer.
    ///
    /// Context: *any* in which the platform's frames may be taken and `init` may run.
    ///
    /// # Errors
    /// [`EnableError`]; all that was set up is given back.
    pub fn enable<E>(
        &self,
        ids: MaskIds,
        init: impl FnOnce(&Equipment<'a, P, A>) -> Result<(), E>,
    ) -> Result<(), EnableError<E>> {
        self.presence.begin_up().map_err(|not_now| match not_now {
            NotNow::State => EnableError::NotAtRest,
            NotNow::Busy(_) => EnableError::Busy,
        })?;
        // Whatever happens in `init`, a panic too, the memory is given back, and then the right.
        let setting = Setting { presence: &self.presence };
        let equipment = Lent::new(Equipment::new(self.arena(), ids).map_err(EnableError::Masks)?);
        init(equipment.get()).map_err(EnableError::Init)?;
        // SAFETY: this is the only one that sets, and there are no callers (`presence`).
        unsafe { *self.equipment.get() = Some(equipment.keep()) };
        self.account.begin();
        core::mem::forget(setting);
        self.presence.set();
        Ok(())
    }

    /// Begins a call of the program in a slot, on this CPU: violations from now on name it, and are counted. `None` if the slot is
    /// empty, or if callers may not be: the group is not enabled, or ejected.
    ///
    /// Context: *any*. What the call may do is the program's business; it should be soon over.
    pub fn enter(&self, slot: usize) -> Option<Caller<'_, 'a, P, M, SLOTS, A>>
    where
        M: Member<'a, P, A>,
    {
        let member = self.member(slot)?;
        // The kernel's own code, which might panic: nobody is counted in yet.
        let id = member.id();
        if !self.presence.enter() {
            return None;
        }
        Some(Caller::new(self, member, self.arena().work_for(id)))
    }

    /// Whether callers may be.
    pub fn is_present(&self) -> bool {
        self.presence.is_present()
    }

    /// Lets no more callers in. Those that are inside go on. Whether it was this call that did it. Context: *any*.
    pub fn eject(&self) -> bool {
        self.presence.close()
    }

    /// How many violations there were since the group was enabled; at most `u64::MAX`.
    pub fn violations(&self) -> u64 {
        self.account.violations()
    }

    /// How many are let pass.
    pub const fn budget(&self) -> u64 {
        self.account.budget()
    }

    /// Counts violations that were found outside a call, and ejects the group if its budget is spent. Those of calls are counted
    /// already, where the kernel knows the CPU. Whether it was this call that ejected. Nothing is counted where callers may not be:
    /// a group that is not enabled, or ejected, has nobody whose violations they are.
    ///
    /// Context: *any*. It counts as a caller while it runs.
    pub fn charge(&self, violations: u64) -> bool {
        self.account.charge(&self.presence, violations)
    }

    /// Takes the group down: lets no more callers in, and when none is inside any more, `exit` runs, then the masks go, then
    /// the pool with all that was taken from it. Then the group is at rest, and may be enabled again. The pages are the arena's
    /// again after [`Arena::reclaim`].
    ///
    /// Context: *any* in which `exit` may run; a caller of the group is always told `Busy`.
    ///
    /// # Errors
    /// [`DisableError`].
    pub fn disable(&self, exit: impl FnOnce(&Equipment<'a, P, A>)) -> Result<(), DisableError> {
        self.presence.close();
        self.presence.begin_down().map_err(|not_now| match not_now {
            NotNow::State => DisableError::NotEnabled,
            NotNow::Busy(callers) => DisableError::Busy { callers },
        })?;
        let _setting = Setting { presence: &self.presence };
        // SAFETY: this is the only one that sets, and no caller is inside (`presence`).
        let equipment = unsafe { (*self.equipment.get()).take() };
        if let Some(equipment) = equipment {
            exit(Lent::new(equipment).get());
        }
        Ok(())
    }

    /// Ends the group, and gives its programs back. Of an enabled one masks and pool go first, without an `exit`: owning it proves
    /// that nobody is inside.
    pub fn unregister(mut self) -> [Option<M>; SLOTS] {
        core::mem::replace(&mut self.members, [const { None }; SLOTS])
    }

    /// The end of a call in which there were so many violations: whether they ejected the group.
    pub(super) fn leave(&self, violations: u32) -> bool {
        self.account.leave(&self.presence, violations.into())
    }

    /// For a caller.
    pub(super) fn equipment(&self) -> Option<&Equipment<'a, P, A>> {
        // SAFETY: a caller is inside: what is there was written before it came, and nobody takes it before it has left.
        unsafe { (*self.equipment.get()).as_ref() }
    }
}

/// Somebody sets a group up or takes it down.
struct Setting<'g> {
    presence: &'g Presence,
}

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        self.presence.end_down();
    }
}

impl<P: Platform, M, const SLOTS: usize, A: Arch> Drop for Group<'_, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    fn drop(&mut self) {
        if let Some(equipment) = self.equipment.get_mut().take() {
            equipment.give_back();
        }
    }
}

/// The one arena that these programs share.
fn the_one_arena<'a, P: Platform, M: Member<'a, P, A>, A: Arch>(
    members: &[Option<M>],
) -> Result<&'a Arena<P, A>, MembersError> {
    let mut found: Option<&Arena<P, A>> = None;
    for (slot, member) in members.iter().enumerate() {
        let Some(arena) = member.as_ref().and_then(Member::arena) else { continue };
        if found.is_some_and(|found| !core::ptr::eq(found, arena)) {
            return Err(MembersError::MultipleArenas { slot });
        }
        found = Some(arena);
    }
    let arena = found.ok_or(MembersError::NoArena)?;
    if arena.layout().sharing() == Sharing::Private { Err(MembersError::Private) } else { Ok(arena) }
}

impl<P: Platform, M, const SLOTS: usize, A: Arch> fmt::Debug for Group<'_, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("arena", self.arena())
            .field("is_present", &self.is_present())
            .field("violations", &self.violations())
            .finish_non_exhaustive()
    }
}
