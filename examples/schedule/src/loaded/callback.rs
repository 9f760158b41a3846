//! The functions of a scheduler, as members of a group.

use kernel_arena::ProgramId;
use kernel_arena::groups::{Group, Member};
use kernel_arena_bpf::Entry;
use support::KernelPlatform;

use crate::KernelArena;

/// The slots of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Init,
    SetCmask,
    Enqueue,
    Dispatch,
    Finish,
}

/// Each slot with the name of its function.
pub(super) const SLOTS: [(Slot, &str); 5] = [
    (Slot::Init, "init"),
    (Slot::SetCmask, "set_cmask"),
    (Slot::Enqueue, "enqueue"),
    (Slot::Dispatch, "dispatch"),
    (Slot::Finish, "finish"),
];

/// A function of a scheduler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callback {
    pub(super) arena: &'static KernelArena,
    pub(super) id: Option<ProgramId>,
    pub(super) entry: Entry,
}

impl Member<'static, KernelPlatform> for Callback {
    fn arena(&self) -> Option<&'static KernelArena> {
        Some(self.arena)
    }

    fn id(&self) -> Option<ProgramId> {
        self.id
    }
}

/// All of them.
pub(super) type Callbacks = Group<'static, KernelPlatform, Callback, 5>;
