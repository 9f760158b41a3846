//! A fault, as the arena sees it, whichever processor raised it.

use core::fmt;

use crate::addr::KernelAddr;

/// How memory was accessed.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A load.
    Read,
    /// A store. An atomic read-modify-write is one on x86_64; on aarch64 the processor may report it as a read.
    Write,
}

/// The address of the instruction that was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstructionAddr(u64);

impl InstructionAddr {
    /// The instruction at `address`.
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The numeric value.
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for InstructionAddr {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u64:#x}", self.0);
    }
}

impl fmt::Debug for InstructionAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstructionAddr({:#x})", self.0)
    }
}

/// A data access of the kernel to an address without a translation.
///
/// [`arch::x86_64::decode_fault`](crate::arch::x86_64::decode_fault) and
/// [`arch::aarch64::decode_fault`](crate::arch::aarch64::decode_fault) make one of what the processor reports.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was accessed.
    pub address: KernelAddr,
    /// How.
    pub access: Access,
    /// By which instruction.
    pub instruction: InstructionAddr,
}

/// What became of a fault.
#[must_use = "the exception handler returns to the instruction unless the fault was `NotOurs`"]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// Not an address that the arena recovers, or one that keeps faulting for a reason that the arena does not see: the
    /// kernel handles it as if there were no arena.
    NotOurs,
    /// The scratch page was installed and the violation recorded: return to the instruction.
    Recovered,
    /// Somebody else had mapped the page meanwhile, or was just changing its slot: return to the instruction.
    Spurious,
}
