//! What an object stands on in a test: an arena with pages for its data and a stack, the host functions of these tests, and a
//! runner. A test is a function of that, run for each object that was compiled from one source.

use std::fs;
use std::path::Path;

use kernel_arena::access::Width;
use kernel_arena::{ArenaPtr, ProgramAddr, ProgramBase, ProgramId};
use kernel_arena_bpf::object::{Loaded, Object};
use kernel_arena_bpf::{Budget, Call, Ended, Host, Hosts, Insn, Program, Reason, Runner, Stack};

use crate::accessor::CpuMemory;
use crate::machine::{Format, Machine};

/// What programs have said.
pub(crate) type State = Vec<(String, u64)>;

/// The host functions of these tests.
pub(crate) const HOSTS: Hosts<'static, State> = match Hosts::new(&[
    Host { number: 1, name: "host_say", function: say },
    Host { number: 2, name: "host_now", function: |_| 77 },
    Host { number: 7, name: "host_double", function: |call| call.arguments()[0] * 2 },
]) {
    Ok(hosts) => hosts,
    Err(_) => panic!("two are the same"),
};

fn say(call: &mut Call<'_, State>) -> u64 {
    let from = call.pointer::<u8>(0).map_or(0, ArenaPtr::offset);
    let bytes = (from..from + 64).map_while(|at| call.window().load(at, Width::One).filter(|byte| *byte != 0));
    let text = bytes.map(|byte| char::from(u8::try_from(byte).unwrap())).collect();
    let number = call.arguments()[1];
    call.state().push((text, number));
    number * 10
}

/// Where the programs believe that the window is.
pub(crate) fn base() -> ProgramBase {
    ProgramBase::new(ProgramAddr::new(0x7f00_0000_0000)).unwrap()
}

/// The object files of `programs/`: those of one source, or all.
pub(crate) fn committed(source: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/objects");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut objects: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .filter(|(name, _)| source.is_empty() || name.split('.').next() == Some(source))
        .collect();
    objects.sort();
    assert!(!objects.is_empty(), "{source}: no object of it is there");
    objects
}

/// An object that is loaded, and ready to run.
pub(crate) struct Ground<'g, F: Format> {
    pub(crate) m: &'g Machine<F>,
    pub(crate) memory: CpuMemory<'g, F>,
    pub(crate) loaded: &'g Loaded<'g>,
    pub(crate) runner: Runner<'g, State>,
    /// The file that it is from.
    pub(crate) name: &'g str,
}

impl<F: Format> Ground<'_, F> {
    /// Runs a function to its end, however that comes.
    pub(crate) fn run(&self, function: &str, arguments: &[u64]) -> Ended {
        self.run_with(&self.runner, function, arguments, &mut State::new())
    }

    pub(crate) fn run_with(
        &self,
        runner: &Runner<'_, State>,
        function: &str,
        arguments: &[u64],
        state: &mut State,
    ) -> Ended {
        let index = self.loaded.function(function).unwrap_or_else(|| panic!("{}: no {function}", self.name));
        let entry = runner.program().entry(index).unwrap();
        let mut all = [0; 5];
        all[..arguments.len()].copy_from_slice(arguments);
        runner.run(&self.memory, entry, all, state)
    }

    /// Runs a function that returns, and meets no hole.
    pub(crate) fn call(&self, function: &str, arguments: &[u64]) -> u64 {
        let ended = self.run(function, arguments);
        assert_eq!((ended.holes, ended.first_hole), (0, None), "{}: {function}", self.name);
        ended.result.unwrap_or_else(|reason| panic!("{}: {function}: {reason}", self.name))
    }

    /// Where a variable is, claimed to be a `T`.
    pub(crate) fn variable<T>(&self, name: &str) -> ArenaPtr<T> {
        let variable = self.loaded.variable(name).unwrap_or_else(|| panic!("{}: no {name}", self.name));
        assert_eq!(variable.bytes % size_of::<T>() as u64, 0, "{}: {name}", self.name);
        variable.pointer.cast()
    }

    /// The same pointer as programs have it.
    pub(crate) fn to_program<T>(&self, pointer: ArenaPtr<T>) -> u64 {
        pointer.to_program(base()).value()
    }
}

/// A machine with an arena, of which the first page that is allocated is not the first of its extent.
pub(crate) fn machine<F: Format>() -> Machine<F> {
    Machine::builder().extent(16, 64).build()
}

/// Runs a test on each object of a source, each on a machine of its own.
pub(crate) fn each<F: Format>(source: &str, test: impl Fn(&Ground<'_, F>)) {
    for (name, bytes) in committed(source) {
        let m = machine::<F>();
        on(&m, &name, &bytes, &test);
        m.validate();
        m.finish();
    }
}

/// Loads an object onto a machine, and runs a test on it.
pub(crate) fn on<F: Format>(m: &Machine<F>, name: &str, bytes: &[u8], test: impl FnOnce(&Ground<'_, F>)) {
    let object = Object::parse(bytes).unwrap_or_else(|refused| panic!("{name}: {refused}"));
    let needs = object.needs();
    let data = m.alloc(needs.data_bytes.div_ceil(0x1000).max(1));
    let stack = Stack::new(m.alloc(1), 8, 512).unwrap();
    let memory = m.memory(0);
    let mut code = vec![Insn::default(); needs.instructions as usize];
    let loaded = object.load(&mut code, data, base(), |name| HOSTS.number_of(name), &memory);
    let loaded = loaded.unwrap_or_else(|refused| panic!("{name}: {refused}"));
    let program = Program::check(loaded.code(), HOSTS).unwrap_or_else(|refused| panic!("{name}: {refused}"));
    let runner =
        Runner::new(program, stack, base()).with_budget(Budget::new(100_000)).for_program(ProgramId::new(9).unwrap());
    test(&Ground { m, memory, loaded: &loaded, runner, name });
}

/// Each entry is found, each instruction belongs to a function, and the program is run with no argument whatever happens.
fn every_object_is_loaded_and_checked<F: Format>() {
    each::<F>("", |g| {
        let functions: Vec<_> = g.loaded.functions().collect();
        assert!(functions.len() > 1, "{}", g.name);
        for function in functions {
            let symbol = g.loaded.symbol(function.instruction).unwrap();
            assert_eq!((symbol.name, symbol.offset), (function.name, 0), "{}", g.name);
            let text = function.name.text().unwrap();
            assert_eq!(g.loaded.function(text), Some(function.instruction), "{}", g.name);
            assert_ne!(g.run(text, &[]).result, Err(Reason::NoSuchEntry), "{}: {text}", g.name);
        }
        let of_no_function = (0u32..).zip(g.loaded.code()).filter(|(at, _)| g.loaded.symbol(*at).is_none());
        assert!(of_no_function.into_iter().all(|(_, insn)| *insn == Insn::TRAP), "{}", g.name);
    });
}
each_format!(every_object_is_loaded_and_checked);
