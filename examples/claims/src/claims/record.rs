//! The record of violations.

use kernel_arena::platform::CpuId;
use kernel_arena::{ProgramId, VIOLATION_CAPACITY, ViolationKind};
use support::probe_instructions;

use crate::check::{Checked, equal};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, page};

claims! {
    a_record_has_the_exact_address_of_an_unaligned_byte,
    a_record_has_the_kind_of_access,
    a_record_names_the_very_instruction,
    a_record_names_the_cpu,
    a_record_names_the_program_that_the_kernel_worked_for,
    records_come_in_order_and_without_gaps,
    records_that_do_not_fit_are_counted_and_leave_a_gap,
    a_recovered_access_is_recorded_once_however_often_it_is_repeated,
}

/// The records that fit.
const CAPACITY: u64 = VIOLATION_CAPACITY as u64;

/// T64.
fn a_record_has_the_exact_address_of_an_unaligned_byte(site: &Site<'_>) -> Checked {
    let places = [0x7fff, page(100) + 0x123, 0x8000_0001, 0xffff_ffff, 0x1_0000_0001];
    for offset in places {
        site.expect("read", |site| site.read_u8(offset), Some(0), Faults::RECOVERED)?;
        equal("address", site.violation()?.address, site.address(offset))?;
    }
    site.expect("write", |site| site.write_u32(page(200) + 0x7fd, 1), true, Faults::RECOVERED)?;
    equal("address", site.violation()?.address, site.address(page(200) + 0x7fd))
}

fn a_record_has_the_kind_of_access(site: &Site<'_>) -> Checked {
    site.reads(page(100), 0, Faults::RECOVERED)?;
    site.writes(page(101), 0, Faults::RECOVERED)?;
    site.reads(0x9000_0000, 0, Faults::RECOVERED)?;
    site.writes(0xa000_0000, 0, Faults::RECOVERED)?;
    for kind in [ViolationKind::Read, ViolationKind::Write, ViolationKind::Read, ViolationKind::Write] {
        equal("kind", site.violation()?.kind, kind)?;
    }
    site.no_violation()
}

fn a_record_names_the_very_instruction(site: &Site<'_>) -> Checked {
    let accesses: [fn(&Site<'_>); 6] = [
        |site| _ = site.read_u8(page(100)),
        |site| _ = site.read_u32(page(101)),
        |site| _ = site.read(page(102)),
        |site| _ = site.write_u8(page(103), 0),
        |site| _ = site.write_u32(page(104), 0),
        |site| _ = site.write(page(105), 0),
    ];
    for (access, instruction) in accesses.into_iter().zip(probe_instructions()) {
        access(site);
        equal("instruction", site.violation()?.instruction.value(), instruction)?;
    }
    site.no_violation()
}

fn a_record_names_the_cpu(site: &Site<'_>) -> Checked {
    site.reads(page(100), 0, Faults::RECOVERED)?;
    equal("CPU", site.violation()?.cpu, Some(CpuId::new(0)))
}

fn a_record_names_the_program_that_the_kernel_worked_for(site: &Site<'_>) -> Checked {
    let [outer, inner] = [7, 8].map(ProgramId::new);
    site.reads(page(100), 0, Faults::RECOVERED)?;
    {
        let _scope = site.arena.work_for(outer);
        site.reads(page(101), 0, Faults::RECOVERED)?;
        {
            let _scope = site.arena.work_for(inner);
            site.reads(0x8000_0000, 0, Faults::RECOVERED)?;
        }
        site.reads(page(102), 0, Faults::RECOVERED)?;
    }
    site.reads(page(103), 0, Faults::RECOVERED)?;
    for program in [None, outer, inner, outer, None] {
        equal("program", site.violation()?.program, program)?;
    }
    site.no_violation()
}

fn records_come_in_order_and_without_gaps(site: &Site<'_>) -> Checked {
    let mut next = 0;
    for batch in [1, 7, 64, 3, 60] {
        for number in 0..batch {
            site.reads(page(100 + number), 0, Faults::RECOVERED)?;
        }
        for number in 0..batch {
            let violation = site.violation()?;
            equal("number", violation.sequence, next)?;
            equal("address", violation.address, site.address(page(100 + number)))?;
            next += 1;
        }
        site.no_violation()?;
        site.arena.reclaim();
    }
    equal("lost", site.arena.stats().violations_lost, 0)
}

fn records_that_do_not_fit_are_counted_and_leave_a_gap(site: &Site<'_>) -> Checked {
    let lost = 36;
    for number in 0..100 {
        site.reads(page(100 + number), 0, Faults::RECOVERED)?;
    }
    let stats = site.arena.stats();
    equal("violations and lost ones", (stats.violations, stats.violations_lost), (CAPACITY + lost, lost))?;
    for sequence in 0..CAPACITY {
        equal("number", site.violation()?.sequence, sequence)?;
    }
    site.no_violation()?;
    site.reads(page(50), 0, Faults::RECOVERED)?;
    let next = site.violation()?;
    equal("number after the gap", next.sequence, CAPACITY + lost)?;
    equal("its address", next.address, site.address(page(50)))
}

fn a_recovered_access_is_recorded_once_however_often_it_is_repeated(site: &Site<'_>) -> Checked {
    site.writes(page(100), 0, Faults::RECOVERED)?;
    for value in 0..1000 {
        site.writes(page(100), value, Faults::NONE)?;
    }
    site.violation()?;
    site.no_violation()
}
