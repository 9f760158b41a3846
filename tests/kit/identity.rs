//! What the kit's identities of CPUs say in a process, where interrupts are never masked.

use kernel_arena::kit::{Masking, OneCpu, Unnamed};
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity};

/// The place of whoever holds it, by CPU and level; the CPU of whoever does not; and how many there are.
fn said(cpus: &impl CpuIdentity) -> (Option<(u16, u8)>, Option<u16>, u32) {
    let hold = cpus.hold();
    let place = cpus.current().map(|place| (place.cpu.number(), place.level));
    cpus.release(hold);
    (place, cpus.cpu().map(CpuId::number), cpus.count().get())
}

#[test]
fn each_identity_names_the_cpu_that_it_was_given() {
    let (four, third) = (CpuCount::new(4).unwrap(), || CpuId::new(3));
    assert_eq!(said(&OneCpu), (Some((0, 0)), Some(0), 1));
    assert_eq!(said(&Masking::one_cpu()), (Some((0, 0)), Some(0), 1));
    assert_eq!(said(&Masking::new(third, four)), (Some((3, 0)), Some(3), 4));
    assert_eq!(said(&Unnamed::new(four)), (None, None, 4));
    assert_eq!(said(&Unnamed::new(four).with_number(|| Some(CpuId::new(3)))), (None, Some(3), 4));
    assert_eq!(said(&Unnamed::new(four).with_number(|| None)), (None, None, 4));
}
