//! The typed access of a CPU of the machine: by its TLB, its walks, and the fault path, until the access is done or stops.

use std::mem::MaybeUninit;

use kernel_arena::access::{Accessor, AtomicOp, Memory, Missing, Stopped, Width};
use kernel_arena::arch::{MODEL_STOPPED, MODEL_TRY};
use kernel_arena::{Access, Fault, FaultOutcome, KernelAddr, PAGE_SIZE, PageIndex};

use crate::machine::{BASE, Machine, Reached, Small};
use crate::world::ModelArena;

/// What the scratch page holds.
pub(crate) const SCRATCH: u64 = 0x5c;

/// The CPU that this runs on, wherever that is.
pub(crate) struct ThisCpu<'a>(&'a ModelArena);

/// Typed access to the window, on the CPU that this runs on.
pub(crate) fn memory(arena: &ModelArena) -> Memory<'_, Machine, Small, ThisCpu<'_>> {
    arena.memory_by(ThisCpu(arena)).expect("the arena is shared")
}

impl ThisCpu<'_> {
    /// Runs the instruction until it is done, or the fault path says that it stops.
    fn run(&self, at: KernelAddr, width: Width, store: Option<u64>, missing: Missing) -> Result<u64, Stopped> {
        assert!(width == Width::Eight && missing == Missing::Stop, "a page of the machine is one word");
        let page = u32::try_from((at.value() - BASE) / PAGE_SIZE).ok().and_then(PageIndex::new).expect("in the window");
        let access = if store.is_some() { Access::Write } else { Access::Read };
        loop {
            let machine = self.0.platform();
            let reached = store.map_or_else(|| machine.load(page), |value| machine.store(page, value));
            match reached {
                Ok(Reached::Page(value)) => return Ok(value),
                Ok(Reached::Scratch) => return Ok(SCRATCH),
                Err(_) => {}
            }
            match self.0.handle_kernel_fault(&Fault { address: at, access, instruction: MODEL_TRY }) {
                FaultOutcome::Spurious => {}
                FaultOutcome::Resume(MODEL_STOPPED) => return Err(Stopped { done: 0 }),
                other => panic!("an access that stops was told {other:?}"),
            }
        }
    }
}

// SAFETY: it reaches what the machine's tables lead to, and stops where the arena says so.
unsafe impl Accessor for ThisCpu<'_> {
    unsafe fn load(&self, at: KernelAddr, width: Width, missing: Missing) -> Result<u64, Stopped> {
        self.run(at, width, None, missing)
    }

    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
        self.run(at, width, Some(value), missing).map(drop)
    }

    unsafe fn copy_in(&self, _: KernelAddr, _: &mut [MaybeUninit<u8>], _: Missing) -> Result<(), Stopped> {
        unreachable!("a page of the machine is one word")
    }

    unsafe fn copy_out(&self, _: KernelAddr, _: &[u8], _: Missing) -> Result<(), Stopped> {
        unreachable!("a page of the machine is one word")
    }

    unsafe fn atomic(&self, at: KernelAddr, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
        match op {
            AtomicOp::Load(_) => self.run(at, width, None, missing),
            AtomicOp::Store(value, _) => self.run(at, width, Some(value), missing),
            _ => unreachable!("a page of the machine is loaded or stored"),
        }
    }
}
