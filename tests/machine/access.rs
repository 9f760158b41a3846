//! What a CPU does with memory: loads, stores, fetches, and the faults that they raise.
//!
//! A fault goes the way it goes in a kernel: the processor's registers, the library's decoder, the registry, and back to the
//! instruction, or not.

use kernel_arena::arch::{MODEL_STOPPED, MODEL_TRY};
use kernel_arena::views::ProgramFaultOutcome;
use kernel_arena::{Fault, FaultOutcome, VirtAddr};

use super::fixture::Machine;
use super::format::{Cause, Exception, Format, Intent, Kind, Mode};
use super::memory::index;
use super::rule;
use super::tlb::AsTag;

/// The instruction that accesses memory, in every test.
pub(crate) const INSTRUCTION: u64 = 0xffff_ffff_8010_0004;

/// An instruction that still faults after as many turns never stops.
const TURNS: u32 = 20;

/// An access that the arena did not recover: in a kernel, the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declined {
    /// What was accessed.
    pub(crate) address: u64,
    /// Why it was not translated.
    pub(crate) cause: Cause,
}

/// Why an instruction did not reach its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody helped.
    Declined(Declined),
    /// It was one that stops, and was told where to go on.
    Stopped,
}

/// A CPU that accesses memory, in kernel mode unless [`user`](Self::user) says otherwise.
pub(crate) struct Cpu<'m, F: Format> {
    machine: &'m Machine<F>,
    number: usize,
    mode: Mode,
}

impl<'m, F: Format> Cpu<'m, F> {
    pub(super) fn new(machine: &'m Machine<F>, number: usize) -> Self {
        Self { machine, number, mode: Mode::Kernel }
    }

    /// The same CPU in user mode.
    pub(crate) fn user(self) -> Self {
        Self { mode: Mode::User, ..self }
    }

    /// Loads the address space with this tag, without forgetting anything. Which one was loaded.
    pub(crate) fn switch_to(&self, tag: AsTag) -> AsTag {
        assert!(tag < self.machine.hardware().tags, "there is no tag {tag}");
        self.machine.hardware().cpus[self.number].tag.replace(tag)
    }

    pub(crate) fn read_u8(&self, address: impl Into<VirtAddr>) -> Result<u8, Declined> {
        let mut byte = [0];
        self.read(address.into(), &mut byte)?;
        Ok(byte[0])
    }

    pub(crate) fn read_u64(&self, address: impl Into<VirtAddr>) -> Result<u64, Declined> {
        let mut bytes = [0; 8];
        self.read(address.into(), &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn write_u8(&self, address: impl Into<VirtAddr>, value: u8) -> Result<(), Declined> {
        self.write(address.into(), &[value])
    }

    pub(crate) fn write_u64(&self, address: impl Into<VirtAddr>, value: u64) -> Result<(), Declined> {
        self.write(address.into(), &value.to_le_bytes())
    }

    /// Executes what is at the address, if it may.
    pub(crate) fn fetch(&self, address: impl Into<VirtAddr>) -> Result<(), Declined> {
        self.reach(address.into().value(), Kind::Fetch).map(drop)
    }

    /// Raises the fault of a kernel's access to an address without a translation, whether or not it has one.
    pub(crate) fn raise(&self, fault: &Fault) -> FaultOutcome {
        let hardware = self.machine.hardware();
        hardware.exceptions.set(hardware.exceptions.get() + 1);
        hardware.on_cpu(self.number, || hardware.in_handler(|| self.machine.registry().handle_kernel_fault(fault)))
    }

    fn read(&self, address: VirtAddr, bytes: &mut [u8]) -> Result<(), Declined> {
        for (start, part) in parts(address.value(), bytes.len()) {
            let from = self.reach(start, Kind::Read)?;
            for (n, byte) in bytes[part].iter_mut().enumerate() {
                // SAFETY: `reach` gave a byte of a frame, and a part does not leave its page.
                let from = unsafe { from.add(n) };
                // SAFETY: frames are initialised memory of the machine, which has one thread.
                *byte = unsafe { from.read() };
            }
        }
        Ok(())
    }

    fn write(&self, address: VirtAddr, bytes: &[u8]) -> Result<(), Declined> {
        for (start, part) in parts(address.value(), bytes.len()) {
            let to = self.reach(start, Kind::Write)?;
            for (n, byte) in bytes[part].iter().enumerate() {
                // SAFETY: `reach` gave a byte of a frame, and a part does not leave its page.
                let to = unsafe { to.add(n) };
                // SAFETY: frames are memory of the machine, which has one thread.
                unsafe { to.write(*byte) };
            }
        }
        Ok(())
    }

    fn program_goes_on(&self, exception: Exception, retries: &mut u32) -> bool {
        assert!(F::decode(exception).is_none(), "a program's access is taken for the kernel's");
        let hardware = self.machine.hardware();
        let tag = hardware.cpus[self.number].tag.get();
        match hardware.on_cpu(self.number, || self.machine.program_fault(tag, exception)) {
            Some(ProgramFaultOutcome::PageGiven) => true,
            Some(ProgramFaultOutcome::Retry) => {
                *retries += 1;
                *retries < 2
            }
            Some(ProgramFaultOutcome::Refused(_) | ProgramFaultOutcome::NotOurs) | None => false,
        }
    }

    /// Runs an ordinary instruction until it reaches its operand.
    fn reach(&self, address: u64, kind: Kind) -> Result<std::ptr::NonNull<u8>, Declined> {
        self.run(address, kind, INSTRUCTION).map_err(|ended| match ended {
            Ended::Declined(declined) => declined,
            Ended::Stopped => panic!("{address:#x}: an instruction that does not stop was told where to go on"),
        })
    }

    /// Runs an instruction until it reaches its operand: a byte of physical memory.
    pub(crate) fn run(&self, address: u64, kind: Kind, instruction: u64) -> Result<std::ptr::NonNull<u8>, Ended> {
        let hardware = self.machine.hardware();
        let intent = Intent { mode: self.mode, kind };
        let mut retries = 0;
        for _ in 0..TURNS {
            hardware.observe();
            let translated = match self.machine.stutters() {
                true => Err(Cause::Missing { level: 3 }),
                false => hardware.translate(self.number, intent, address),
            };
            let cause = match translated {
                Ok(entry) => {
                    rule(hardware.memory.is_taken(entry.frame), || {
                        format!("{address:#x} still leads to a frame that is free")
                    });
                    let page = hardware.memory.pointer(entry.frame);
                    // SAFETY: the offset in a page is less than its size.
                    return Ok(unsafe { page.add(index(address & 0xfff)) });
                }
                Err(cause) => cause,
            };
            let exception = Exception { address, intent, cause, instruction };
            let goes_on = match self.mode {
                Mode::Kernel => match F::decode(exception).map(|fault| self.raise(&fault)) {
                    None | Some(FaultOutcome::NotOurs) => false,
                    Some(FaultOutcome::Recovered | FaultOutcome::Spurious) => true,
                    Some(FaultOutcome::Resume(at)) => {
                        rule(instruction == MODEL_TRY.value() && at == MODEL_STOPPED, || {
                            format!("{instruction:#x} is to go on at {at:?}")
                        });
                        return Err(Ended::Stopped);
                    }
                },
                // Where it is told to try again twice, it waits for another CPU, which does nothing meanwhile.
                Mode::User => self.program_goes_on(exception, &mut retries),
            };
            if !goes_on {
                return Err(Ended::Declined(Declined { address, cause }));
            }
        }
        rule(false, || format!("{address:#x} faults for ever"));
        Err(Ended::Declined(Declined { address, cause: Cause::Forbidden }))
    }
}

/// The parts of an access that lie in different pages: where each starts, and which of its bytes it has.
pub(crate) fn parts(address: u64, bytes: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let in_first = index(0x1000 - (address & 0xfff)).min(bytes);
    [(address, 0..in_first), (address + in_first as u64, in_first..bytes)]
        .into_iter()
        .filter(|(_, part)| !part.is_empty())
}
