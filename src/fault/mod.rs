//! A fault, as the arena sees it, whichever processor raised it.

pub(crate) mod program;

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
///
/// # Examples
/// The page-fault handler of a kernel for x86_64, before it does anything else:
/// ```
/// use kernel_arena::arch::x86_64::decode_fault;
/// use kernel_arena::{Arena, Platform};
///
/// /// Whether the handler returns, to the saved instruction pointer.
/// fn is_recovered<P: Platform>(arena: &Arena<P>, cr2: u64, error_code: u64, rip: &mut u64) -> bool {
///     // `None`: a protection fault, an instruction fetch, user mode: never the arena's.
///     let Some(fault) = decode_fault(cr2, error_code, *rip) else { return false };
///     // `false`: a bug of the kernel, as ever.
///     arena.handle_kernel_fault(&fault).returns_to(rip)
/// }
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// # use kernel::{LAYOUT, MyKernel};
/// #
/// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
/// # let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap();
/// # assert!(is_recovered(&arena, LAYOUT.base().value() + 0x1234, 0b10, &mut 0), "a missing page of the window");
/// # assert!(!is_recovered(&arena, LAYOUT.base().value() + 0x1234, 0b11, &mut 0), "a protection fault");
/// # assert!(!is_recovered(&arena, LAYOUT.base().value() - 8, 0b10, &mut 0), "the lower guard");
/// ```
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
#[must_use = "the exception handler returns unless the fault was `NotOurs`: to the instruction, or where `Resume` says"]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// Not an address that the arena recovers, one to which the loaded root does not lead (x86_64, where the page is there and
    /// the access faults all the same: [`Window::link_into`](crate::kit::Window::link_into)), or one that has faulted
    /// 2^17 times in a row on this CPU though its page is there (some 0.1 s), for a reason that the arena does not see:
    /// the kernel handles it as if there were no arena.
    NotOurs,
    /// The scratch page was installed and the violation recorded: return to the instruction.
    Recovered,
    /// Somebody else had mapped the page meanwhile, or was just changing its slot: return to the instruction.
    Spurious,
    /// It was an access that stops where there is no page (`try_…` of `access::Memory`), and there is none: go on
    /// at this address instead of the instruction's, with all registers as they were. Nothing was installed or recorded.
    /// A handler that returned to the instruction would come back for ever.
    Resume(InstructionAddr),
}

impl FaultOutcome {
    /// Whether the exception handler returns, and where to: sets the saved instruction pointer, if it is to go on elsewhere than
    /// at the instruction that faulted. `false` for [`NotOurs`](Self::NotOurs).
    ///
    /// ```
    /// use kernel_arena::{FaultOutcome, InstructionAddr};
    /// let mut saved = 0x1000; // in the frame that the handler returns from
    /// assert!(FaultOutcome::Recovered.returns_to(&mut saved) && saved == 0x1000);
    /// assert!(FaultOutcome::Resume(InstructionAddr::new(0x2000)).returns_to(&mut saved) && saved == 0x2000);
    /// assert!(!FaultOutcome::NotOurs.returns_to(&mut saved));
    /// ```
    #[must_use = "where it is `false`, the fault is the kernel's own"]
    pub const fn returns_to(self, instruction_pointer: &mut u64) -> bool {
        match self {
            Self::NotOurs => false,
            Self::Recovered | Self::Spurious => true,
            Self::Resume(at) => {
                *instruction_pointer = at.value();
                true
            }
        }
    }
}
