//! How a scheduler ends: nothing is left of it but what it did.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::groups::{DisableError, Equipment};
use kernel_arena_bpf::Insn;
use kernel_arena_bpf::object::{Loaded as LoadedObject, Object};
use support::KernelPlatform;
use support::check::Failure;

use super::Loaded;
use super::callback::Slot;
use super::outcome::Outcome;

use crate::KernelArena;

/// What was leaked for it, to be made boxes again at its end.
#[derive(Debug)]
pub(super) struct Leaked {
    pub(super) arena: *mut KernelArena,
    pub(super) code: *mut [Insn],
    pub(super) parsed: *mut Object<'static>,
    pub(super) object: *mut LoadedObject<'static>,
    pub(super) kicked: *mut AtomicU64,
}

// SAFETY: the pointers are looked at by whoever owns it alone, at the end.
unsafe impl Send for Leaked {}
// SAFETY: as above.
unsafe impl Sync for Leaked {}

impl Loaded {
    /// Ends it: `finish`, then masks, pool and arena go, and every frame is back.
    pub(crate) fn unload(mut self) -> Result<Outcome, Failure> {
        let counts = self.counts();
        let mut records = Vec::new();
        let mut violations = 0;
        if let Some(group) = &self.group {
            violations = group.violations();
            let thrown = self.thrown.lock().is_some();
            let finish = |_: &Equipment<'_, KernelPlatform>| {
                if !thrown {
                    let _answer = self.run_alone(Slot::Finish, [0; 5]);
                }
            };
            // Who owns it knows that nobody is inside.
            match group.disable(finish) {
                Ok(()) | Err(DisableError::NotEnabled) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.group = None;
        records.extend(core::iter::from_fn(|| self.arena.take_violation()));
        self.arena.reclaim();
        self.arena.validate()?;
        if let Some(registration) = self.registration.take() {
            self.registry.remove(registration).map_err(|error| Failure::new(error.to_string()))?;
        }
        let outcome = Outcome {
            name: self.source.name,
            thrown: self.thrown.lock().take(),
            violations,
            records,
            counts,
            kicked: self.kicked.load(Ordering::Relaxed),
        };
        let Leaked { arena, code, parsed, object, kicked } = self.leaked;
        // SAFETY: leaked by `load`, and only this scheduler had references to it, which are used no more.
        let arena = unsafe { Box::from_raw(arena) };
        let destroyed = (*arena).destroy().map_err(|refused| Failure::new(refused.to_string()))?;
        // SAFETY: leaked by the arena's creation; the arena is gone.
        drop(unsafe { Box::from_raw(destroyed.metadata) });
        // SAFETY: as for the arena.
        drop(unsafe { Box::from_raw(object) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(parsed) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(code) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(kicked) });
        Ok(outcome)
    }

    fn counts(&self) -> Option<[u64; 6]> {
        let variable = self.object.variable("counts")?;
        let memory = self.arena.memory().ok()?;
        memory.try_load(variable.pointer.cast::<[u64; 6]>()).ok()
    }
}
