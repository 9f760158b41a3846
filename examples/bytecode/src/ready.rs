//! An object that is loaded into the arena of a check, and what is done with it.

use alloc::string::String;
use alloc::{format, vec};

use kernel_arena::access::{Memory, Width};
use kernel_arena::{AllocRequest, ArenaPtr, Owner, PageCount, PageRange, ProgramAddr, ProgramBase, ProgramId};
use kernel_arena_bpf::object::{Loaded, Object};
use kernel_arena_bpf::{Budget, Call, Ended, Host, Hosts, Insn, Program, Runner, Stack};
use support::KernelPlatform;
use support::check::{Checked, Failure, equal};

use crate::bench::Site;

/// All objects that are committed, by the names of their files.
pub(crate) const OBJECTS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/objects.in"));

/// What a program has said: numbers, and the letters of texts.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) said: u64,
    pub(crate) letters: u64,
}

/// What programs may call.
const TABLE: &[Host<State>] = &[
    Host { number: 1, name: "host_say", function: say },
    Host { number: 2, name: "host_now", function: |_| 77 },
    Host { number: 7, name: "host_double", function: |call| call.arguments()[0].wrapping_mul(2) },
];

fn say(call: &mut Call<'_, State>) -> u64 {
    let from = call.pointer::<u8>(0).map_or(0, ArenaPtr::offset);
    let letters =
        (0..64).map_while(|at| call.window().load(from.wrapping_add(at), Width::One).filter(|byte| *byte != 0));
    let (letters, number) = (letters.count() as u64, call.arguments()[1]);
    let state = call.state();
    state.letters += letters;
    state.said += number;
    number.wrapping_mul(10)
}

/// The program that holes are recorded for.
pub(crate) const PROGRAM: ProgramId = ProgramId::new(9).expect("not 0");

/// Where programs believe that the window is.
pub(crate) const BASE: ProgramBase = ProgramBase::new(ProgramAddr::new(0x7f00_0000_0000)).expect("a multiple of 4 GiB");

/// An object, ready to run.
pub(crate) struct Ready<'r> {
    pub(crate) site: &'r Site<'r>,
    pub(crate) memory: Memory<'r, KernelPlatform>,
    pub(crate) loaded: &'r Loaded<'r>,
    pub(crate) runner: Runner<'r, State>,
}

/// Runs a check on each object that was compiled from a source: how many there were.
pub(crate) fn each(site: &Site<'_>, source: &str, check: impl Fn(&Ready<'_>) -> Checked) -> Result<u32, Failure> {
    let is_of = |name: &str| source.is_empty() || name.strip_prefix(source).is_some_and(|rest| rest.starts_with('.'));
    let mut count = 0;
    for (name, bytes) in OBJECTS.iter().filter(|(name, _)| is_of(name)) {
        on(site, bytes, &check).map_err(|failure| Failure::new(format!("{name}: {failure}")))?;
        count += 1;
    }
    if count == 0 { Err(Failure::new(format!("there is no object of {source}"))) } else { Ok(count) }
}

fn on(site: &Site<'_>, bytes: &[u8], check: impl Fn(&Ready<'_>) -> Checked) -> Checked {
    let object = Object::parse(bytes).map_err(said)?;
    let needs = object.needs();
    let data = pages(site, needs.data_bytes.div_ceil(0x1000).max(1))?;
    let stack = pages(site, 1)?;
    let memory = site.arena.memory()?;
    let hosts = Hosts::new(TABLE)?;
    let mut code = vec![Insn::default(); needs.instructions as usize];
    let loaded = object.load(&mut code, data.to_ptr(), BASE, |name| hosts.number_of(name), &memory).map_err(said)?;
    let program = Program::check(loaded.code(), hosts)?;
    let runner = Runner::new(program, frames_at(stack)?, BASE).for_program(PROGRAM);
    check(&Ready { site, memory, loaded: &loaded, runner })?;
    for pages in [data, stack] {
        site.arena.free_pages(pages.to_ptr(), pages.count(), Owner::Program)?;
    }
    Ok(())
}

/// Pages of a program's.
pub(crate) fn pages(site: &Site<'_>, count: u32) -> Result<PageRange, Failure> {
    let count = PageCount::new(count).ok_or_else(|| Failure::new("too many pages"))?;
    Ok(site.arena.alloc_pages(AllocRequest::new(count, Owner::Program))?)
}

/// Eight frames in a page.
pub(crate) fn frames_at(page: PageRange) -> Result<Stack, Failure> {
    Ok(Stack::new(page.to_ptr(), 8, Stack::FRAME_BYTES)?)
}

/// What is borrowed must end before the failure does.
fn said(error: impl core::error::Error) -> Failure {
    Failure::new(format!("refused: {error}"))
}

impl Ready<'_> {
    /// Runs a function to its end, however that comes.
    pub(crate) fn run(&self, function: &str, arguments: &[u64]) -> Result<Ended, Failure> {
        self.run_by(&self.runner, function, arguments, &mut State::default())
    }

    pub(crate) fn run_by(
        &self,
        runner: &Runner<'_, State>,
        function: &str,
        arguments: &[u64],
        state: &mut State,
    ) -> Result<Ended, Failure> {
        let index = self.loaded.function(function);
        let entry = index.and_then(|index| runner.program().entry(index));
        let entry = entry.ok_or_else(|| Failure::new(format!("there is no {function}")))?;
        let mut all = [0; 5];
        for (to, from) in all.iter_mut().zip(arguments) {
            *to = *from;
        }
        Ok(runner.run(&self.memory, entry, all, state))
    }

    /// Runs a function that must return a value and meet no hole.
    pub(crate) fn expect(&self, function: &str, arguments: &[u64], value: u64) -> Checked {
        let ended = self.run(function, arguments)?;
        let what: String = format!("{function}, and holes");
        equal(&what, (ended.result, ended.holes), (Ok(value), 0))
    }

    /// Where a variable is.
    pub(crate) fn variable<T>(&self, name: &str) -> Result<ArenaPtr<T>, Failure> {
        let variable = self.loaded.variable(name).map(|variable| variable.pointer.cast());
        variable.ok_or_else(|| Failure::new(format!("there is no {name}")))
    }

    /// The runner with so large a budget.
    pub(crate) fn patient(&self, instructions: u64) -> Runner<'_, State> {
        self.runner.with_budget(Budget::new(instructions))
    }
}

/// The same pointer as programs have it.
pub(crate) fn to_program<T>(pointer: ArenaPtr<T>) -> u64 {
    pointer.to_program(BASE).value()
}
