//! The command line: what can be asked for. What it prints about itself is in [`HELP`].

use std::time::SystemTime;

use crate::arch::Arch;
use crate::part::Part;
use crate::status::Stop;

pub(crate) use bench::{Bench, Effort, Figures, Topic};
pub(crate) use help::HELP;

mod bench;
mod help;

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
    Test(Tests),
    /// Install what is missing.
    Setup,
    /// Run clippy.
    Lint,
    /// Compile the eBPF programs anew.
    Objects,
    /// Measure.
    Bench(Bench),
    /// Check the document on Linux's tests.
    Parity {
        /// The file with what a whole run of the tests printed, to see that those of the document ran.
        record: Option<String>,
    },
    /// Try the mutants.
    Mutants(Mutants),
}

/// Which mutants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mutants {
    /// Only those whose names contain one of these or whose rule is one, if there are any.
    pub(crate) filters: Vec<String>,
    /// So many of them, chosen by the commit.
    pub(crate) sample: Option<usize>,
}

/// What to do with the demo kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DemoMode {
    /// Build it and boot it.
    Boot,
    /// The same, and show what it logged.
    BootAndLog,
    /// Build it, and print the command lines that boot it.
    PrintQemu,
}

/// Which tests, and what to do with them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Which of them.
    pub(crate) part: Part,
    /// Only those whose names contain one of these, if there are any.
    pub(crate) filters: Vec<String>,
    /// The kernels of which machines.
    pub(crate) arches: Vec<Arch>,
    /// Run them, or list their names.
    pub(crate) mode: TestMode,
    /// How long those may take that can be long.
    pub(crate) length: Length,
}

/// How much the races are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// A few rounds of two CPUs.
    Fast,
    /// Many rounds of four.
    Long,
    /// Heavy weather alone, of four, round after round.
    Soak(Soak),
}

/// How long a soak is, and how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Soak {
    /// How many minutes on each machine.
    pub(crate) minutes: u32,
    /// The seed of its first round.
    pub(crate) seed: u32,
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
        return Err(Stop::usage(format!("say what to do\n\n{}", HELP.trim_end())));
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
        "objects" => without_arguments(Task::Objects, &rest),
        "bench" => bench::parse(&rest).map(Task::Bench),
        "parity" => parse_parity(&rest),
        "mutants" => parse_mutants(&rest),
        other => Err(unexpected(other)),
    }
}

fn parse_demo(rest: &[&str]) -> Result<Task, Stop> {
    let mut arches = Arch::ALL.to_vec();
    let mut mode = DemoMode::Boot;
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        let asked = match word {
            "--print-qemu" => DemoMode::PrintQemu,
            "--log" => DemoMode::BootAndLog,
            _ => {
                arches = parse_arch(word, &mut words)?.ok_or_else(|| unexpected(word))?;
                continue;
            }
        };
        if mode != DemoMode::Boot && mode != asked {
            return Err(Stop::usage("--log and --print-qemu exclude each other: what is not booted logs nothing"));
        }
        mode = asked;
    }
    Ok(Task::Demo { arches, mode })
}

fn parse_test(rest: &[&str]) -> Result<Task, Stop> {
    let mut tests = Tests {
        part: Part::All,
        filters: Vec::new(),
        arches: Arch::ALL.to_vec(),
        mode: TestMode::Run,
        length: Length::Fast,
    };
    let mut is_first = true;
    let (mut minutes, mut seed) = (None, None);
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--soak" => minutes = Some(number(word, words.next())?),
            "--seed" => seed = Some(number(word, words.next())?),
            "--list" => tests.mode = TestMode::List,
            "--long" => tests.length = Length::Long,
            _ if word.starts_with('-') => {
                tests.arches = parse_arch(word, &mut words)?.ok_or_else(|| unexpected(word))?;
            }
            // A test can be called like a part: then it stands behind one.
            _ => {
                match Part::from_name(word).filter(|_| is_first) {
                    Some(part) => tests.part = part,
                    None => tests.filters.push(word.to_owned()),
                }
                is_first = false;
            }
        }
    }
    if let Some(minutes) = minutes {
        let is_plain = tests.filters.is_empty() && tests.mode == TestMode::Run && tests.length == Length::Fast;
        if !is_plain || !matches!(tests.part, Part::All | Part::Races) {
            return Err(Stop::usage(
                "--soak plays one test of the kernel `races`: say nothing else but --arch and --seed",
            ));
        }
        (tests.part, tests.length) = (Part::Races, Length::Soak(Soak { minutes, seed: seed.unwrap_or_else(any_seed) }));
    } else if seed.is_some() {
        return Err(Stop::usage("--seed is for --soak"));
    }
    Ok(Task::Test(tests))
}

/// The number that an option takes.
fn number(option: &str, word: Option<&str>) -> Result<u32, Stop> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| Stop::usage(format!("{option} takes a number")))
}

/// A seed that nobody has chosen.
fn any_seed() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.subsec_nanos()
}

fn parse_parity(rest: &[&str]) -> Result<Task, Stop> {
    match rest {
        [] => Ok(Task::Parity { record: None }),
        [file] if !file.starts_with('-') => Ok(Task::Parity { record: Some((*file).to_owned()) }),
        [word] | [_, word, ..] => Err(unexpected(word)),
    }
}

fn parse_mutants(rest: &[&str]) -> Result<Task, Stop> {
    let mut mutants = Mutants { filters: Vec::new(), sample: None };
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--sample" => {
                let count = words.next().and_then(|word| word.parse().ok()).filter(|count| *count > 0);
                mutants.sample = Some(count.ok_or_else(|| Stop::usage("--sample takes a number of mutants"))?);
            }
            _ if word.starts_with('-') => return Err(unexpected(word)),
            _ => mutants.filters.push(word.to_owned()),
        }
    }
    Ok(Task::Mutants(mutants))
}

/// The machines that `--arch ARCH` or `--arch=ARCH` asks for, if this is that.
fn parse_arch<'a>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<Option<Vec<Arch>>, Stop> {
    let name = match (word, word.strip_prefix("--arch=")) {
        ("--arch", _) => rest.next().unwrap_or_default(),
        (_, Some(name)) => name,
        _ => return Ok(None),
    };
    match (name, Arch::from_name(name)) {
        ("all", _) => Ok(Some(Arch::ALL.to_vec())),
        (_, Some(arch)) => Ok(Some(vec![arch])),
        (_, None) => Err(Stop::usage(format!("--arch takes x86_64, aarch64 or all, not `{name}`"))),
    }
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
        assert_eq!(parsed("demo --log"), Ok(Task::Demo { arches: Arch::ALL.to_vec(), mode: DemoMode::BootAndLog }));
    }

    #[test]
    fn architectures_have_their_other_names() {
        for (name, arch) in [("arm64", Arch::Aarch64), ("amd64", Arch::X86_64), ("x86-64", Arch::X86_64)] {
            let expected = Task::Demo { arches: vec![arch], mode: DemoMode::Boot };
            assert_eq!(parsed(&format!("demo --arch {name}")), Ok(expected), "{name}");
        }
    }

    #[test]
    fn test_takes_a_part_and_filters() {
        let tests = |line: &str| match parsed(line) {
            Ok(Task::Test(tests)) => tests,
            other => panic!("{line}: {other:?}"),
        };
        let all = tests("test");
        assert_eq!((all.part, all.mode, all.length), (Part::All, TestMode::Run, Length::Fast));
        assert_eq!((all.filters.as_slice(), all.arches.as_slice()), (&[][..], &Arch::ALL[..]));
        let some = tests("test qemu --list --arch arm64");
        assert_eq!((some.part, some.mode, some.arches), (Part::Kernels, TestMode::List, vec![Arch::Aarch64]));
        let one = tests("test --long claims --arch=x86_64 a_claim");
        assert_eq!((one.part, one.length, one.filters), (Part::Claims, Length::Long, vec!["a_claim".to_owned()]));
        // The second word is no part any more, and what is no part is a name.
        assert_eq!(tests("test all heap").filters, ["heap"]);
        assert_eq!(tests("test slab::").filters, ["slab::"]);
    }

    #[test]
    fn a_soak_is_of_one_kernel_and_has_a_seed() {
        let soak = |line: &str| match parsed(line) {
            Ok(Task::Test(Tests { part: Part::Races, length: Length::Soak(soak), .. })) => soak,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(soak("test --soak 60 --seed 7 --arch arm64"), Soak { minutes: 60, seed: 7 });
        assert_eq!(soak("test races --soak 0").minutes, 0);
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "",
            "dance",
            "demo --arch",
            "demo --arch riscv64",
            "demo x86_64",
            "demo --log --print-qemu",
            "test all --fast",
            "test --soak",
            "test --soak long",
            "test --seed 3",
            "test heap --soak 3",
            "test --soak 3 --long",
            "test races --soak 3 heavy_weather",
            "test --arch mips",
            "setup now",
            "bench everything",
            "bench --json",
            "bench pages --record",
            "parity --long",
            "parity a b",
            "mutants --sample",
            "mutants --sample 0",
            "mutants --all",
        ] {
            assert_eq!(parsed(line), Err(Status::Usage), "{line}");
        }
    }

    #[test]
    fn parity_takes_a_record() {
        assert_eq!(parsed("parity"), Ok(Task::Parity { record: None }));
        assert_eq!(parsed("parity target/ran"), Ok(Task::Parity { record: Some("target/ran".to_owned()) }));
    }

    #[test]
    fn mutants_are_all_or_some() {
        let mutants = |line| match parsed(line) {
            Ok(Task::Mutants(mutants)) => (mutants.filters.join(" "), mutants.sample),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(mutants("mutants"), (String::new(), None));
        assert_eq!(mutants("mutants --sample 3"), (String::new(), Some(3)));
        assert_eq!(mutants("mutants I5 bpf"), ("I5 bpf".to_owned(), None));
    }

    #[test]
    fn help_is_found_anywhere() {
        assert_eq!(parsed("--help"), Ok(Task::Help));
        assert_eq!(parsed("test --help"), Ok(Task::Help));
    }
}
