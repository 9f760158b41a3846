//! The record of violations.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use kernel_arena::Violation;
use support::probe_instructions;

use super::wild::{PROGRAM, Wild, signed};
use crate::KernelArena;
use crate::memory::address;
use crate::report::Report;

/// Takes the records out and holds each against the access that was made.
pub(super) fn drain(report: &Report, arena: &KernelArena, accesses: &[Wild]) {
    report.section(
        "The record",
        "The fault handler took no lock to record these violations, and anybody may drain them, in any context. Here \
         they are held against the accesses that the kernel made.",
    );
    let records: Vec<Violation> = core::iter::from_fn(|| arena.take_violation()).collect();
    report.columns(format_args!(
        "no  {:<18}  {:>11}  {:<5}  {:<18} CPU prog",
        "address", "offset", "kind", "instruction"
    ));
    let first = records.first().map_or(0, |record| record.sequence);
    for ((record, access), sequence) in records.iter().zip(accesses).zip(first..) {
        let holds = record.address.value() == address(arena, access.offset)
            && record.kind == access.kind
            && record.sequence == sequence
            && record.cpu.is_some_and(|cpu| cpu.number() == 0)
            && record.program == PROGRAM
            && probe_instructions().contains(&record.instruction.value());
        let cpu = record.cpu.map_or_else(|| "?".to_string(), |cpu| cpu.number().to_string());
        let program = record.program.map_or_else(|| "?".to_string(), |program| program.number().to_string());
        report.check(
            holds,
            format!(
                "{:>2}  {:#018x}  {:>11}  {:<5}  {:#018x} {cpu:>3} {program:>4}",
                record.sequence,
                record.address.value(),
                signed(access.offset),
                format!("{:?}", record.kind),
                record.instruction.value(),
            ),
        );
    }
    report.check(records.len() == accesses.len(), "one record for each access that was recovered, and none else");
    report.check(arena.stats().violations_lost == 0, "none was lost: the record holds 64 until they are drained");
}
