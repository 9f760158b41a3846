//! The command line: what can be asked for, and the help text that says so.

use crate::arch::Arch;
use crate::status::Stop;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
usage: cargo xtask demo [--arch x86_64|aarch64|all] [--print-qemu]
       cargo xtask test [host|qemu|all] [--long] [--list]
       cargo xtask setup
       cargo xtask lint

demo    builds the demo kernel and boots it in QEMU, its console on this terminal, then shows what it logged
          --arch ARCH     only this architecture (default: all)
          --print-qemu    prints the QEMU command lines instead of running them
test    runs every test and prints `ok NAME` or `FAILED NAME` for each, and last `N passed, N failed`
          host            only what needs no QEMU: unit, integration and doc tests, the protocol models
          qemu            only the kernels
          --long          races and heaps of four CPUs instead of two, a million operations on each machine, and the published
                          tests of the crate hashbrown on the heap: some minutes
          --list          prints the tests' names instead
setup   installs what demo and test need (they call it themselves)
lint    clippy, warnings denied, for the host and for both bare-metal targets

Exit status: 0  done, and everything passed
             1  a test failed or none ran, a lint complained, the kernel said that it failed
             2  the command line makes no sense
             3  something needed is missing or does not build (the message says what to do)
             4  QEMU itself failed
             5  a kernel hung and was stopped
demo gives the first of these that is not 0; test gives 0, 1, 2 or 3.
";

/// A request, parsed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print the help text.
    Help,
    /// Boot the demo kernel.
    Demo {
        /// On which machines, in order.
        arches: Vec<Arch>,
        /// Run it, or print how.
        mode: DemoMode,
    },
    /// Run the tests.
    Test {
        /// Which of them.
        part: Part,
        /// Run them, or list their names.
        mode: TestMode,
        /// How long those may take that can be long.
        length: Length,
    },
    /// Install what is missing.
    Setup,
    /// Run clippy.
    Lint,
}

/// What to do with the demo kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DemoMode {
    /// Build it and boot it.
    Boot,
    /// Print the command lines that would boot it.
    PrintQemu,
}

/// Which tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Those that run on the host.
    Host,
    /// Those that run in QEMU.
    Qemu,
    /// All.
    All,
}

/// How much the races are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// A few rounds of two CPUs.
    Fast,
    /// Many rounds of four.
    Long,
}

/// What to do with the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TestMode {
    /// Run them.
    Run,
    /// Print their names.
    List,
}

/// Parses the arguments after `cargo xtask`.
pub(crate) fn parse(arguments: &[String]) -> Result<Task, Stop> {
    let mut words = arguments.iter().map(String::as_str);
    let Some(command) = words.next() else {
        return Err(Stop::usage(format!("say what to do\n{HELP}")));
    };
    let rest: Vec<&str> = words.collect();
    if rest.iter().any(|word| matches!(*word, "--help" | "-h")) {
        return Ok(Task::Help);
    }
    match command {
        "help" | "--help" | "-h" => Ok(Task::Help),
        "demo" => parse_demo(&rest),
        "test" => parse_test(&rest),
        "setup" => without_arguments(Task::Setup, &rest),
        "lint" => without_arguments(Task::Lint, &rest),
        other => Err(unexpected(other)),
    }
}

fn parse_demo(rest: &[&str]) -> Result<Task, Stop> {
    let mut arches = Arch::ALL.to_vec();
    let mut mode = DemoMode::Boot;
    let mut words = rest.iter();
    while let Some(&word) = words.next() {
        let arch = match word {
            "--print-qemu" => {
                mode = DemoMode::PrintQemu;
                continue;
            }
            "--arch" => words.next().copied().unwrap_or(""),
            _ => word.strip_prefix("--arch=").ok_or_else(|| unexpected(word))?,
        };
        arches = match (arch, Arch::from_name(arch)) {
            ("all", _) => Arch::ALL.to_vec(),
            (_, Some(arch)) => vec![arch],
            (_, None) => {
                return Err(Stop::usage(format!("--arch takes x86_64, aarch64 or all, not `{arch}`")));
            }
        };
    }
    Ok(Task::Demo { arches, mode })
}

fn parse_test(rest: &[&str]) -> Result<Task, Stop> {
    let (mut part, mut mode, mut length) = (Part::All, TestMode::Run, Length::Fast);
    for &word in rest {
        match word {
            "host" => part = Part::Host,
            "qemu" => part = Part::Qemu,
            "all" => part = Part::All,
            "--list" => mode = TestMode::List,
            "--long" => length = Length::Long,
            _ => return Err(unexpected(word)),
        }
    }
    Ok(Task::Test { part, mode, length })
}

fn without_arguments(task: Task, rest: &[&str]) -> Result<Task, Stop> {
    match rest.first() {
        Some(word) => Err(unexpected(word)),
        None => Ok(task),
    }
}

fn unexpected(word: &str) -> Stop {
    Stop::usage(format!("`{word}` is not understood here; see `cargo xtask --help`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    fn parsed(line: &str) -> Result<Task, Status> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        parse(&words).map_err(|stop| stop.status)
    }

    #[test]
    fn demo_defaults_to_both_architectures() {
        assert_eq!(parsed("demo"), Ok(Task::Demo { arches: Arch::ALL.to_vec(), mode: DemoMode::Boot }));
        let one = Task::Demo { arches: vec![Arch::Aarch64], mode: DemoMode::PrintQemu };
        assert_eq!(parsed("demo --arch aarch64 --print-qemu").as_ref(), Ok(&one));
        assert_eq!(parsed("demo --print-qemu --arch=aarch64").as_ref(), Ok(&one));
    }

    #[test]
    fn test_takes_a_part_a_mode_and_a_length() {
        let test = |part, mode, length| Ok(Task::Test { part, mode, length });
        assert_eq!(parsed("test"), test(Part::All, TestMode::Run, Length::Fast));
        assert_eq!(parsed("test qemu --list"), test(Part::Qemu, TestMode::List, Length::Fast));
        assert_eq!(parsed("test --long host"), test(Part::Host, TestMode::Run, Length::Long));
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in ["", "dance", "demo --arch", "demo --arch riscv64", "demo x86_64", "test all --fast", "setup now"] {
            assert_eq!(parsed(line), Err(Status::Usage), "{line}");
        }
    }

    #[test]
    fn help_is_found_anywhere() {
        assert_eq!(parsed("--help"), Ok(Task::Help));
        assert_eq!(parsed("test --help"), Ok(Task::Help));
    }
}
