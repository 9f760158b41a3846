//! A call of a group's program, from its begin to its end.

use core::fmt;
use core::mem::ManuallyDrop;

use super::{Equipment, Group};
use crate::arch::{Arch, Native};
use crate::masks::KernelMask;
use crate::platform::{CpuIdentity, Platform, ReversibleMap};
use crate::programs::ProgramScope;

/// A program of a group is being called on this CPU.
///
/// Holding one proves that the group's masks and pool are there, and stay until it is dropped. While it lives, violations on this
/// CPU name the program (it is a [`ProgramScope`], with the same rules: calls nest, and stay on their CPU); when it is dropped,
/// they are charged to the group.
#[must_use = "dropped at once, the call is over before it began"]
pub struct Caller<'g, 'a, P: Platform, M, const SLOTS: usize, A: Arch = Native>
where
    P::PhysMap: ReversibleMap,
{
    group: &'g Group<'a, P, M, SLOTS, A>,
    member: &'g M,
    /// There until it is dropped.
    scope: Option<ProgramScope<'g>>,
}

impl<'g, 'a, P: Platform, M, const SLOTS: usize, A: Arch> Caller<'g, 'a, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    pub(super) const fn new(group: &'g Group<'a, P, M, SLOTS, A>, member: &'g M, scope: ProgramScope<'g>) -> Self {
        Self { group, member, scope: Some(scope) }
    }

    /// The program.
    pub const fn member(&self) -> &'g M {
        self.member
    }

    /// The group.
    pub const fn group(&self) -> &'g Group<'a, P, M, SLOTS, A> {
        self.group
    }

    /// The group's memory.
    ///
    /// # Panics
    /// Never: it is there as long as somebody calls.
    pub fn equipment(&self) -> &Equipment<'a, P, A> {
        match self.group.equipment() {
            Some(equipment) => equipment,
            None => unreachable!("a group with callers is equipped"),
        }
    }

    /// The mask of the CPU on which this is called, for the program: whoever calls one there owns it, a call that comes in between
    /// (from an interrupt) until it is over. It must not be written after the call. `None` where the kernel cannot name the CPU.
    pub fn mask(&self) -> Option<KernelMask> {
        let cpu = self.group.arena().platform().cpus().cpu()?;
        self.equipment().mask(cpu)
    }

    /// How many violations there have been in this call.
    pub fn violations(&self) -> u32 {
        self.scope.as_ref().map_or(0, ProgramScope::violations)
    }

    /// Ends the call, as dropping it does: whether its violations were those that ejected the group. Of several calls that end at
    /// once, this is true of one, the one to be blamed.
    pub fn end(self) -> bool {
        ManuallyDrop::new(self).leave()
    }

    /// Once.
    fn leave(&mut self) -> bool {
        let violations = self.violations();
        // What comes from here on is not the program's, and would be charged to nobody.
        self.scope = None;
        self.group.leave(violations)
    }
}

impl<P: Platform, M, const SLOTS: usize, A: Arch> Drop for Caller<'_, '_, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    fn drop(&mut self) {
        self.leave();
    }
}

impl<P: Platform, M, const SLOTS: usize, A: Arch> fmt::Debug for Caller<'_, '_, P, M, SLOTS, A>
where
    P::PhysMap: ReversibleMap,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("group", self.group)
            .field("violations", &self.violations())
            .finish_non_exhaustive()
    }
}
