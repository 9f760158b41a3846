//! The library's typed access, made by a CPU of the machine: through its page tables, its TLBs and the fault path.
//!
//! Beside the machine, not in it: not all who use the machine have typed access.

use std::mem::MaybeUninit;

use kernel_arena::KernelAddr;
use kernel_arena::access::{Accessor, AtomicOp, Memory, Missing, Stopped, Width};
use kernel_arena::arch::MODEL_TRY;

use crate::machine::access::{Cpu, Ended, INSTRUCTION, parts};
use crate::machine::{Format, Host, Kind, Machine};

/// The typed access of a CPU.
pub(crate) type CpuMemory<'m, F> = Memory<'m, Host<F>, F, Cpu<'m, F>>;

impl<F: Format> Machine<F> {
    /// Typed access to the first arena, on a CPU.
    pub(crate) fn memory(&self, cpu: usize) -> CpuMemory<'_, F> {
        self.arena().memory_by(self.cpu(cpu)).expect("the arena is shared")
    }
}

impl<F: Format> Cpu<'_, F> {
    /// Runs an instruction for each part of an access that lies in a page of its own, lowest first, and then has `each` byte
    /// touched. What has no page in the end is none of an arena's that a test may reach.
    fn touch(
        &self,
        at: KernelAddr,
        bytes: usize,
        kind: Kind,
        missing: Missing,
        mut each: impl FnMut(usize, *mut u8),
    ) -> Result<(), Stopped> {
        let instruction = if missing == Missing::Stop { MODEL_TRY.value() } else { INSTRUCTION };
        let mut done = 0;
        while done < bytes {
            // At most two pages at a time.
            let some = (bytes - done).min(0x1000);
            for (start, part) in parts(at.value() + done as u64, some) {
                let first = match self.run(start, kind, instruction) {
                    Ok(first) => first,
                    Err(Ended::Stopped) => return Err(Stopped { done: done + part.start }),
                    Err(Ended::Declined(declined)) => panic!("nobody helped: {declined:x?}"),
                };
                for (n, index) in part.enumerate() {
                    // SAFETY: a byte of a frame, and a part does not leave its page.
                    each(done + index, unsafe { first.add(n) }.as_ptr());
                }
            }
            done += some;
        }
        Ok(())
    }
}

// SAFETY: it touches the bytes that the page tables lead to, on the one thread that the machine has, by raw pointers; what it
// does where there is no page is what the arena answers.
unsafe impl<F: Format> Accessor for Cpu<'_, F> {
    unsafe fn load(&self, at: KernelAddr, width: Width, missing: Missing) -> Result<u64, Stopped> {
        let mut bytes = [0; 8];
        self.touch(at, width.bytes(), Kind::Read, missing, |n, from| {
            // SAFETY: a byte of the machine's memory.
            bytes[n] = unsafe { from.read() };
        })
        .map_err(|_| Stopped { done: 0 })?;
        Ok(u64::from_le_bytes(bytes))
    }

    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
        let bytes = value.to_le_bytes();
        self.touch(at, width.bytes(), Kind::Write, missing, |n, to| {
            // SAFETY: a byte of the machine's memory.
            unsafe { to.write(bytes[n]) };
        })
        .map_err(|_| Stopped { done: 0 })
    }

    unsafe fn copy_in(&self, from: KernelAddr, to: &mut [MaybeUninit<u8>], missing: Missing) -> Result<(), Stopped> {
        self.touch(from, to.len(), Kind::Read, missing, |n, from| {
            // SAFETY: a byte of the machine's memory.
            to[n].write(unsafe { from.read() });
        })
    }

    unsafe fn copy_out(&self, to: KernelAddr, from: &[u8], missing: Missing) -> Result<(), Stopped> {
        self.touch(to, from.len(), Kind::Write, missing, |n, to| {
            // SAFETY: a byte of the machine's memory.
            unsafe { to.write(from[n]) };
        })
    }

    unsafe fn atomic(&self, at: KernelAddr, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
        assert_eq!(at.value() % width.bytes() as u64, 0, "an atomic at {at} is misaligned");
        let (kind, mut bytes, mut places) = match op {
            AtomicOp::Load(_) => (Kind::Read, [0; 8], [std::ptr::null_mut(); 8]),
            _ => (Kind::Write, [0; 8], [std::ptr::null_mut(); 8]),
        };
        self.touch(at, width.bytes(), kind, missing, |n, place| {
            // SAFETY: a byte of the machine's memory.
            bytes[n] = unsafe { place.read() };
            places[n] = place;
        })?;
        let was = u64::from_le_bytes(bytes);
        let to = match op {
            AtomicOp::Load(_) => return Ok(was),
            AtomicOp::Store(value, _) | AtomicOp::Swap(value) => value,
            AtomicOp::Add(value) => was.wrapping_add(value),
            AtomicOp::CompareExchange { current, new } if current == was => new,
            AtomicOp::CompareExchange { .. } => was,
        };
        for (place, byte) in places.into_iter().zip(to.to_le_bytes()).take(width.bytes()) {
            // SAFETY: as above; nothing has happened in between.
            unsafe { place.write(byte) };
        }
        Ok(if matches!(op, AtomicOp::Store(..)) { 0 } else { was })
    }
}
