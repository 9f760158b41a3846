//! Counts, in QEMU's exception log, the exceptions that a test kernel counts too.
//!
//! The kernel's handler says how often it ran; the emulator says how often the machine took the exception. Where the two
//! agree, no fault went to a handler that nobody looks at. QEMU writes the few words searched for here in one call, but
//! not the whole line: with several CPUs two lines may run into one. So this counts occurrences, not lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::arch::Arch;

/// What QEMU writes once for each page fault (x86_64: vector 14) or data abort (aarch64).
fn mark(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => ": v=0e e=",
        Arch::Aarch64 => "Taking exception 4 [Data Abort]",
    }
}

/// How many page faults or data aborts a log names.
///
/// # Errors
///
/// The log cannot be read.
pub(super) fn count_in_file(arch: Arch, log: &Path) -> io::Result<u64> {
    count(arch, BufReader::new(File::open(log)?))
}

fn count(arch: Arch, mut log: impl BufRead) -> io::Result<u64> {
    let mut total = 0;
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        total += String::from_utf8_lossy(&line).matches(mark(arch)).count() as u64;
        line.clear();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a run that took two page faults, with some registers left out; a timer interrupt added between them.
    const X86_64: &str = "\
check_exception old: 0xffffffff new 0xe
     0: v=0e e=0000 i=0 cpl=0 IP=0008:0000000000101081 pc=0000000000101081 SP=0010:0000000000104000 CR2=0000000000400000
EAX=00000010 EBX=000011c0 ECX=00000019 EDX=00000518
EIP=00101081 EFL=00000093 [--S-A-C] CPL=0 II=0 A20=1 SMM=0 HLT=0
CR0=80000011 CR2=00400000 CR3=00102000 CR4=00000010
Servicing hardware INT=0x20
     1: v=20 e=0000 i=0 cpl=0 IP=0008:0000000000101084 pc=0000000000101084 SP=0010:0000000000104000 env->regs[R_EAX]=000000000000000e
check_exception old: 0xffffffff new 0xe
     2: v=0e e=0000 i=0 cpl=0 IP=0008:0000000000101086 pc=0000000000101086 SP=0010:0000000000104000 CR2=0000000000800000
EFER=0000000000000000
";

    /// From a run that took two data aborts.
    const AARCH64: &str = "\
Taking exception 16 [Semihosting call] on CPU 0
...from EL1 to EL0
...handling as semihosting call 0x15
Taking exception 4 [Data Abort] on CPU 0
...from EL1 to EL1
...with ESR 0x25/0x96000010
...with FAR 0x70000000
...with ELR 0x40200028
...to EL1 PC 0x40200a00 PSTATE 0x3c5
Exception return from AArch64 EL1 to AArch64 EL1 PC 0x4020002c
Taking exception 4 [Data Abort] on CPU 1
...from EL1 to EL1
";

    fn counted(arch: Arch, log: &str) -> u64 {
        count(arch, log.as_bytes()).expect("memory can be read")
    }

    #[test]
    fn page_faults_are_counted_and_nothing_else() {
        assert_eq!(counted(Arch::X86_64, X86_64), 2);
        assert_eq!(counted(Arch::X86_64, AARCH64), 0);
    }

    #[test]
    fn data_aborts_are_counted_and_nothing_else() {
        assert_eq!(counted(Arch::Aarch64, AARCH64), 2);
        assert_eq!(counted(Arch::Aarch64, X86_64), 0);
    }

    #[test]
    fn lines_of_two_cpus_that_ran_into_one_count_twice() {
        let mixed = "     0: v=0e e=0000 i=0 cpl=0 IP=0008:1 pc=1 SP=0010:1     1: v=0e e=0002 i=0 cpl=0 IP=0008:2 CR2=1\n CR2=2\n";
        assert_eq!(counted(Arch::X86_64, mixed), 2);
    }
}
