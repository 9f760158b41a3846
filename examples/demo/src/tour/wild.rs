//! Accesses to where nothing is.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kernel_arena::{GUARD_SIZE, ProgramId, ViolationKind, WINDOW_SIZE};

use support::Machine;

use super::offset;
use crate::KernelArena;
use crate::map;
use crate::memory::{Access, load, store};
use crate::report::Report;

/// The program on whose behalf the kernel goes wild.
pub(super) const PROGRAM: Option<ProgramId> = ProgramId::new(7);

/// A wild access that was recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wild {
    /// From the window's start.
    pub(super) offset: i64,
    pub(super) kind: ViolationKind,
}

/// Whether the arena is to recover an access.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Recovered,
    Declined,
}

/// Makes wild accesses, and tells which of them were recovered.
pub(super) fn touch(report: &Report, machine: &Machine, arena: &KernelArena) -> Vec<Wild> {
    report.section(
        "Wild accesses",
        "The kernel follows bad pointers of program 7. Each access is a real fault of the CPU: the handler puts the \
         arena's scratch page there, and the instruction runs again. Only the lower guard, and what lies beyond the \
         upper one, is none of the arena's business: there this kernel gives the access up.",
    );
    let frames = machine.frames().free_count();
    let _scope = arena.work_for(PROGRAM);
    let end = WINDOW_SIZE.cast_signed();
    let guard = GUARD_SIZE.cast_signed();
    let (read, write) = (ViolationKind::Read, ViolationKind::Write);
    let accesses = [
        ("a free page", offset(100, 8), read, Expect::Recovered),
        ("a free page, not aligned", offset(101, 0x7f9), write, Expect::Recovered),
        ("a reserved page", offset(64, 0), read, Expect::Recovered),
        ("a page freed before", offset(16, 0), read, Expect::Recovered),
        ("window, outside the extent", 0x8000_0000, read, Expect::Recovered),
        ("the null pointer", 0, read, Expect::Recovered),
        ("upper guard, first bytes", end, write, Expect::Recovered),
        ("upper guard, last bytes", end + guard - 8, read, Expect::Recovered),
        ("behind the upper guard", end + guard, read, Expect::Declined),
        ("lower guard, last bytes", -8, write, Expect::Declined),
    ];
    report.columns(format_args!("{:<27}{:>11}  {:<6} what happened", "where", "offset", "access"));
    let recovered = accesses.into_iter().filter_map(|(place, offset, kind, expect)| {
        let access = match kind {
            ViolationKind::Write => store(arena, offset, 0),
            _ => load(arena, offset),
        };
        let holds = match expect {
            Expect::Recovered => access == Access::Recovered(0),
            Expect::Declined => access == Access::Declined,
        };
        let verb = if kind == write { "store" } else { "load" };
        report.check(holds, format!("{place:<27}{:>11}  {verb:<6} {}", signed(offset), outcome(access, kind)));
        (access != Access::Declined).then_some(Wild { offset, kind })
    });
    let recovered = recovered.collect();
    report.check(machine.frames().free_count() == frames, "all this took no memory");
    map::draw(report, arena);
    recovered
}

fn outcome(access: Access, kind: ViolationKind) -> String {
    match (access, kind) {
        (Access::Recovered(_), ViolationKind::Write) => "recovered, to scratch".into(),
        (Access::Recovered(value), _) => format!("recovered, gave {value}"),
        (Access::Declined, _) => "declined, given up".into(),
        (Access::Plain(value), _) => format!("no fault at all, value {value:#x}"),
    }
}

/// An offset from the window's start, with its sign.
pub(super) fn signed(offset: i64) -> String {
    let sign = if offset < 0 { "-" } else { "" };
    format!("{sign}{:#x}", offset.unsigned_abs())
}
