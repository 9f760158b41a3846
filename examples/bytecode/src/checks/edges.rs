//! Holes at every edge, for each size and direction: a load gives 0, a store is dropped, and each is recorded with where and how
//! much. The kernel takes the faults that this machine makes of them.

use alloc::format;

use kernel_arena::{
    Access, ArenaPtr, Bytecode, Owner, PAGE_SIZE, PageCount, PageIndex, ProgramHole, SlotState, ViolationKind,
    WINDOW_SIZE,
};
use kernel_arena_bpf::{Found, Hosts, Insn, OnHole, Program, Report, Runner};
use support::check::{Checked, Failure, equal, holds};

use super::checks;
use crate::bench::{FIRST_PAGE, PAGES, Site, Told};
use crate::ready::{BASE, PROGRAM, State, each, frames_at, pages, to_program};

checks![every_edge_is_a_hole, an_access_across_the_end_of_pages_is_one_hole, a_report_names_function_and_line];

/// Sizes, with the opcodes of a load and of a store.
const SIZES: [(u8, u8, u8); 4] = [(1, 0x71, 0x73), (2, 0x69, 0x6b), (4, 0x61, 0x63), (8, 0x79, 0x7b)];

/// The ends of what there is, as register and offset.
fn edges() -> impl Iterator<Item = (u64, i16)> {
    let extent = u64::from(FIRST_PAGE) * PAGE_SIZE;
    let end = u64::from(FIRST_PAGE + PAGES) * PAGE_SIZE;
    let places = [
        (0, 0),
        (0, -1),
        (0, -8),
        (0, i16::MIN),
        (PAGE_SIZE, 0),
        (extent - 8, 0),
        (end, 0),
        (end - PAGE_SIZE, 0),
        (1 << 21, -8),
        (1 << 21, 0),
        (1 << 30, -8),
        (1 << 30, 0),
        (0x7fff_fff8, 0),
        (0x8000_0000, 0),
        (0xffff_f000, 0),
        (0xffff_ffff, 0),
        (0xffff_fff8, 0),
        (0xffff_ffff, 1),
        (0xffff_ffff, i16::MAX),
    ];
    // What is in the upper half of the register is of no importance.
    places.into_iter().flat_map(|(low, offset)| [low, low | 0xdead_beef << 32].map(|register| (register, offset)))
}

fn every_edge_is_a_hole(site: &Site<'_>) -> Told {
    let memory = site.arena.memory()?;
    let stack = frames_at(pages(site, 1)?)?;
    let mut count = 0u64;
    for (register, offset) in edges() {
        for (bytes, load, store) in SIZES {
            for (opcode, access) in [(load, Access::Read), (store, Access::Write)] {
                let code = [
                    if access == Access::Read {
                        Insn::new(opcode, 0, 1, offset, 0)
                    } else {
                        Insn::new(opcode, 1, 2, offset, 0)
                    },
                    Insn::new(0x95, 0, 0, 0, 0),
                ];
                let runner = Runner::new(Program::check(&code, Hosts::NONE)?, stack, BASE).for_program(PROGRAM);
                let ended =
                    runner.run(&memory, runner.program().start(), [register, 5, 0, 0, 0], &mut State::default());
                let at = (register & 0xffff_ffff) as i64 + i64::from(offset);
                let hole = ProgramHole { program: Some(PROGRAM), instruction: 0, offset: at, access, bytes };
                equal(&format!("{bytes} bytes at {at:#x}"), (ended.holes, ended.first_hole), (1, Some(hole)))?;
                equal("what was loaded", ended.registers[0], 0)?;
                let violation = site.arena.take_violation().ok_or_else(|| Failure::new("no record"))?;
                let base = site.arena.layout().base().value();
                equal("the address", violation.address.value(), base.wrapping_add(at as u64))?;
                let kind = if access == Access::Read { ViolationKind::Read } else { ViolationKind::Write };
                equal("what it was", violation.kind, kind)?;
                let bytecode = Some(Bytecode { instruction: 0, bytes });
                equal("by whom", (violation.program, violation.bytecode), (Some(PROGRAM), bytecode))?;
                count += 1;
            }
        }
    }
    let stats = site.arena.stats();
    equal("violations", (stats.violations, stats.violations_lost), (count, 0))?;
    equal("pages that hold scratch", stats.tainted_pages, 0)?;
    Ok(format!("{count} holes"))
}

/// The last bytes of a page are there, those behind it are not.
fn an_access_across_the_end_of_pages_is_one_hole(site: &Site<'_>) -> Told {
    let objects = each(site, "wild", |ready| {
        let page = pages(site, 1)?;
        let behind = ArenaPtr::<u8>::new(page.to_ptr().offset() + 0x1000).expect("in the window");
        let index = PageIndex::new(page.first().number() + 1).expect("in the window");
        holds(
            "there is no page behind it",
            matches!(site.arena.page_state(index), Some(SlotState::Vacant | SlotState::Vacated(_))),
        )?;
        for before in 1..4 {
            let at = to_program(page.to_ptr()) + 0x1000 - before;
            let ended = ready.run("read_at", &[at])?;
            equal("a read, and holes", (ended.result, ended.holes), (Ok(0), 1))?;
        }
        ready.memory.store(ArenaPtr::<u32>::new(behind.offset() - 4).expect("in the page"), &0xabcd);
        ready.expect("read_at", &[to_program(page.to_ptr()) + 0xffc], 0xabcd)?;
        free(site, page.to_ptr())
    })?;
    Ok(format!("{objects} objects"))
}

fn a_report_names_function_and_line(site: &Site<'_>) -> Told {
    let objects = each(site, "wild", |ready| {
        let page = pages(site, 1)?.to_ptr();
        ready.memory.store(ready.variable("kept")?, &to_program(page));
        ready.expect("follow_kept", &[], 1)?;
        free(site, page)?;
        let runner = ready.runner.on_hole(OnHole::Eject);
        let ended = ready.run_by(&runner, "follow_kept", &[], &mut State::default())?;
        let report = Report::new("wild", &ended).with_object(ready.loaded).with_arena(site.arena);
        holds("the page is free", matches!(report.found(), Some(Found::Free | Found::JustFreed)))?;
        let text = format!("{report}");
        for part in
            ["program wild (9): thrown out at a hole", "read of 8 bytes", "follow_kept+", "wild.c:", "kept->value"]
        {
            holds(&format!("{part:?} is in {text:?}"), text.contains(part))?;
        }
        Ok(())
    })?;
    Ok(format!("{objects} objects"))
}

fn free(site: &Site<'_>, page: ArenaPtr) -> Checked {
    Ok(site.arena.free_pages(page, PageCount::ONE, Owner::Program)?)
}

const _: () = assert!(WINDOW_SIZE == 1 << 32, "the edges above are those of 4 GiB");
