//! A program in user mode: a message by pointer, a wild one that is refused, and a view that is taken away.

use alloc::format;

use guests::abi::{FREE, Node, does};
use kernel_arena::access::AddrField;
use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, ViewRights};
use kernel_arena::{AllocRequest, ArenaPtr, Owner, ProgramId, ViolationKind};
use process::{Attached, BASE, Code, Ended, Process, Served, Witness, detach};
use support::Machine;

use super::{count, page, pointer};
use crate::KernelArena;
use crate::report::{Report, Stop};
use crate::{fault, map};

/// The page with the message, and one of the kernel's own beside it.
const MESSAGE: u32 = 128;
const KERNELS: u32 = 129;
/// Where the program asks for nothing, and gets a page.
const LAZY: u32 = 160;
const NODES: u32 = 3;

/// Counts the program's faults.
struct Counting;

impl Witness for Counting {
    fn called(&mut self, _number: u64, _arguments: [u64; 4], _answer: u64) {}

    fn faulted(&mut self, _address: u64, _outcome: ProgramFaultOutcome) {
        fault::count_a_programs();
    }
}

/// Why a process is not as it should be.
fn told(failure: support::check::Failure) -> Stop {
    Stop(format!("{failure}"))
}

/// Loads a program, shares with it, and is done with it.
pub(super) fn meet(report: &Report, machine: &'static Machine, arena: &KernelArena) -> Result<(), Stop> {
    report.section(
        "A program",
        "An ELF file in an address space of its own, in user mode. Four of its page-table entries link the arena's own \
         tables: it sees the same pages at its own addresses, and the same 32 bits name the same byte.",
    );
    let process = Process::new(machine).map_err(told)?;
    let view = process.attach(arena, BASE, ViewRights::ReadWrite, FaultPolicy::Lazy).map_err(told)?;
    report.figure("kernel view", format!("{:#018x}", arena.layout().base().value()));
    report.figure("program view", format!("{:#018x}", view.base().address().value()));
    let shown = pass_a_message(report, arena, &process, &view).and_then(|()| run_wild(report, arena, &process, &view));
    let id = view.id();
    let base = view.base();
    let detached = detach(arena, view);
    shown?;
    detached.map_err(told)?;
    let gone = Served { arena, space: process.space(), view: Some((id, base)) };
    let ended = gone
        .run_before(&mut process.thread(does::LOAD, [pointer(MESSAGE).to_program(base).value(), 0, 0]), &mut Counting);
    let faulted = matches!(ended, Ended::Wild(_));
    report.check(faulted, "its view is taken away: the next load of the same address is a fault, and no arena's");
    arena.free_pages(pointer(MESSAGE), count(1), Owner::Program)?;
    arena.free_pages(pointer(LAZY), count(1), Owner::Program)?;
    Ok(())
}

fn pass_a_message(report: &Report, arena: &KernelArena, process: &Process, view: &Attached) -> Result<(), Stop> {
    let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
    arena.alloc_pages(AllocRequest::new(count(1), Owner::Program).exactly_at(pointer(MESSAGE)))?;
    arena.alloc_pages(AllocRequest::new(count(1), Owner::Kernel).exactly_at(pointer(KERNELS)))?;
    let memory = arena.memory()?;
    let node = |number: u32| ArenaPtr::<u64>::new(pointer(MESSAGE).offset() + number * 16);
    for number in 0..NODES {
        let next = if number + 1 < NODES { node(number + 1) } else { None };
        let made = Node { next: AddrField::new(next, view.base()).address(), value: 40 + u64::from(number) };
        let at = node(number).ok_or_else(|| Stop::because("a null pointer"))?;
        memory.store(at, &made.next);
        memory.store(ArenaPtr::<u64>::new(at.offset() + 8).unwrap_or(at), &made.value);
    }
    let head = pointer(MESSAGE).to_program(view.base()).value();
    let sum = served.run_before(&mut process.thread(does::WALK, [head, 0, 0]), &mut Counting);
    report.check(
        sum == Ended::Exit(123),
        format!("the kernel makes a list of {NODES} nodes; the program walks it from {head:#x}: 40 + 41 + 42 = 123"),
    );
    let stored = served.run_before(&mut process.thread(does::STORE, [head + 8, 7, 0]), &mut Counting);
    let seen = memory.load(ArenaPtr::<u64>::new(pointer(MESSAGE).offset() + 8).ok_or_else(|| Stop::because("null"))?);
    report.check(
        stored == Ended::Exit(0) && seen == 7,
        "the program stores 7 in the first node; the kernel reads 7 there",
    );
    Ok(())
}

fn run_wild(report: &Report, arena: &KernelArena, process: &Process, view: &Attached) -> Result<(), Stop> {
    let served = Served { arena, space: process.space(), view: Some((view.id(), view.base())) };
    let at = |number: u32| pointer(number).to_program(view.base()).value();
    let run = |what, first, second, third| {
        served.run_before(&mut process.thread(what, [first, second, third]), &mut Counting)
    };

    let lazy = run(does::STORE, at(LAZY), 1, 0);
    let given = arena.stats().pages_given == 1;
    report.check(
        lazy == Ended::Exit(0) && given,
        format!("it stores to page {LAZY}, which is nobody's: it is given one"),
    );
    let memory = arena.memory()?;
    let missing = memory.try_load(pointer(LAZY + 1).cast::<u64>()).is_err();
    report.check(missing, format!("the kernel asks for page {}: a hole, and no scratch page is left there", LAZY + 1));
    map::draw(report, arena);
    for (what, address, refusal) in [
        ("the kernel's own page 129", at(KERNELS), Refusal::KernelPage),
        ("page 4, outside the extent", at(4), Refusal::OutsideExtent),
    ] {
        let ended = run(does::STORE, address, 0xbad, 0);
        report.check(ended == Ended::Refused(refusal, address), format!("it stores to {what}: refused, {refusal}"));
    }
    let kernels = arena.layout().to_kernel(pointer(MESSAGE)).value();
    let ended = run(does::LOAD, kernels, 0, 0);
    let its_own = matches!(ended, Ended::Wild(frame) if frame.address == kernels);
    report
        .check(its_own, "it loads from the kernel's view of its own page: a fault, as for any address of the kernel's");

    let scope = arena.work_for(ProgramId::new(9));
    let ended = run(does::CALL, FREE, at(KERNELS), 1);
    drop(scope);
    report.check(
        ended == Ended::Exit(Code::NotOwner.answer()),
        "it frees the kernel's page: refused, it is not the owner",
    );
    let record = arena.take_violation();
    let named = record.is_some_and(|violation| {
        violation.kind == ViolationKind::InvalidFree && violation.program == ProgramId::new(9)
    });
    report.check(named, "that is in the record, with the program's number");
    let kernels = arena.page_state(page(KERNELS));
    let whole = matches!(kernels, Some(kernel_arena::SlotState::Mapped(_, Owner::Kernel)));
    report
        .check(whole && arena.validate().is_ok(), "the page is as it was, and every page-table entry as it should be");
    arena.free_pages(pointer(KERNELS), count(1), Owner::Kernel)?;
    Ok(())
}
