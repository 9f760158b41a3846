//! QEMU: its command lines, and what its end says about the kernel.
//!
//! A kernel ends QEMU with an exit status that QEMU gives for nothing else: [`PASSED`] or [`FAILED`], on x86_64 through
//! the `isa-debug-exit` device (which makes the value `v` into `v << 1 | 1`), on aarch64 through semihosting. Any other
//! end is QEMU's own, and none at all within the limit is a hang: four outcomes, never mixed up.
//!
//! `-cpu max` so that every protection the design relies on is there; `thread=multi` because races between CPUs do not
//! happen otherwise. How many CPUs there are is the kernel's business: more than the host has only wait for each other.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::arch::Arch;
use crate::child::{self, End, Event, Streams};
use crate::pulse::Pulse;

/// QEMU's exit status when the kernel says that all is well.
const PASSED: i32 = 33;
/// QEMU's exit status when the kernel says that something failed.
const FAILED: i32 = 35;

const COMMON: &str = "-cpu max -m 512M -display none -no-reboot -nodefaults -serial stdio -monitor none";

/// What a machine's time is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The host's time. CPUs run at once.
    Host,
    /// Each instruction takes a nanosecond, so that a kernel can count them; CPUs take turns.
    Instructions,
}

impl Clock {
    const fn words(self) -> &'static str {
        match self {
            Self::Host => "-accel tcg,thread=multi",
            Self::Instructions => "-accel tcg,thread=single -icount shift=0,sleep=off",
        }
    }
}

/// How a kernel's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The kernel said "passed".
    Passed,
    /// The kernel said "failed".
    Failed,
    /// QEMU itself failed; how it ended.
    Qemu(String),
    /// It did not end within this limit, and was stopped.
    Hung(Duration),
}

impl Outcome {
    /// Tells what an exit status means; `None` is a death by signal.
    fn from_exit(code: Option<i32>, how: &str, complaints: &[String]) -> Self {
        match code {
            Some(PASSED) => Self::Passed,
            Some(FAILED) => Self::Failed,
            _ => {
                let last = complaints.iter().rfind(|line| !line.trim().is_empty());
                let last = last.map_or(String::new(), |line| format!(": {}", line.trim()));
                Self::Qemu(format!("QEMU ended by itself ({how}), not by the kernel's verdict{last}"))
            }
        }
    }

    /// One line about it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Passed => "passed".to_owned(),
            Self::Failed => "the kernel says that it failed".to_owned(),
            Self::Qemu(how) => how.clone(),
            Self::Hung(limit) => format!("hung: no end within {} s, stopped", limit.as_secs()),
        }
    }
}

/// Where a line of the console has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// To the terminal: a sign of life.
    Shown,
    /// Nowhere that anybody would see it.
    Only,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// How.
    pub(crate) outcome: Outcome,
    /// What the kernel said.
    pub(crate) console: Vec<String>,
    /// What QEMU said.
    pub(crate) complaints: Vec<String>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

impl Run {
    /// The console, and QEMU's complaints behind it, for people.
    pub(crate) fn transcript(&self) -> Vec<String> {
        let mut lines = self.console.clone();
        lines.extend(self.complaints.iter().map(|line| format!("[QEMU] {line}")));
        lines
    }
}

/// What to boot, and how.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    /// The machine.
    pub(crate) arch: Arch,
    /// The emulator: a name on the search path, or a file.
    pub(crate) emulator: &'a Path,
    /// The kernel's ELF file.
    pub(crate) kernel: &'a Path,
    /// The program that it finds in memory, if it runs any.
    pub(crate) program: Option<&'a Path>,
    /// How many CPUs it has.
    pub(crate) cpus: u32,
    /// What its time is made of.
    pub(crate) clock: Clock,
    /// The words of the kernel's command line.
    pub(crate) arguments: &'a [&'a str],
    /// Where the kernel's log goes, if it has one.
    pub(crate) log: Option<&'a Path>,
    /// Where QEMU shall log every exception, if anywhere.
    pub(crate) exception_log: Option<&'a Path>,
}

impl Machine<'_> {
    /// The command line, program first.
    pub(crate) fn command_line(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.emulator.into()];
        let mut add = |text: &str| words.extend(text.split_whitespace().map(OsString::from));
        match self.arch {
            Arch::X86_64 => {
                add(self.clock.words());
                add(COMMON);
                add("-device isa-debug-exit,iobase=0xf4,iosize=4");
            }
            Arch::Aarch64 => {
                add("-machine virt");
                add(self.clock.words());
                add(COMMON);
                add("-semihosting-config enable=on,target=native");
            }
        }
        words.extend(["-smp".into(), self.cpus.to_string().into()]);
        if let Some(program) = self.program {
            // Where the kernels look for it (`examples/support/src/layout.rs`): 128 MiB from the start of RAM.
            let address = match self.arch {
                Arch::X86_64 => "0x8000000",
                Arch::Aarch64 => "0x48000000",
            };
            let mut device = OsString::from("loader,force-raw=on,addr=");
            device.push(address);
            device.push(",file=");
            device.push(program.to_string_lossy().replace(',', ",,"));
            words.extend(["-device".into(), device]);
        }
        let mut kernel_words: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        match (self.arch, self.log) {
            (_, None) => {}
            (Arch::X86_64, Some(log)) => {
                let mut device = OsString::from("file,id=defmt,path=");
                // QEMU reads two commas as one that does not end the value.
                device.push(log.to_string_lossy().replace(',', ",,"));
                words.extend(["-chardev".into(), device]);
                words.extend(["-device", "isa-debugcon,iobase=0xe9,chardev=defmt"].map(OsString::from));
            }
            // The kernel opens the file itself; the path goes on to the line's end.
            (Arch::Aarch64, Some(log)) => {
                let mut word = OsString::from("defmt=");
                word.push(log);
                kernel_words.push(word);
            }
        }
        if !kernel_words.is_empty() {
            words.extend(["-append".into(), kernel_words.join(" ".as_ref())]);
        }
        words.extend(["-kernel".into(), self.kernel.into()]);
        if let Some(log) = self.exception_log {
            words.extend(["-d".into(), "int".into(), "-D".into(), log.into()]);
        }
        words
    }

    /// The command line as one would type it.
    pub(crate) fn shell_line(&self) -> String {
        self.command_line().iter().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }

    /// Boots it, calls `each_line` for what comes on its console, and waits for the end, at most as long as the pulse is to
    /// be watched, which speaks where the console is silent.
    pub(crate) fn run(&self, pulse: &mut Pulse<'_>, each_line: &mut dyn FnMut(&str) -> Heard) -> Run {
        let words = self.command_line();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        child::die_with_xtask(&mut command);
        let (mut console, mut complaints) = (Vec::new(), Vec::new());
        let started = Instant::now();
        let end = child::watch(command, Streams::Apart, pulse.limit(), &mut |event| match event {
            Event::Out(line) => {
                match each_line(line) {
                    Heard::Shown => pulse.shown(started.elapsed()),
                    Heard::Only => pulse.heard(),
                }
                console.push(line.to_owned());
            }
            Event::Err(line) => complaints.push(line.to_owned()),
            Event::Beat(elapsed) => pulse.beat(elapsed),
        });
        let outcome = match end {
            Ok(End::Exited(status)) => Outcome::from_exit(status.code(), &status.to_string(), &complaints),
            Ok(End::TimedOut) => Outcome::Hung(started.elapsed()),
            Err(error) => Outcome::Qemu(format!("{} did not run: {error}", self.emulator.display())),
        };
        Run { outcome, console, complaints, elapsed: started.elapsed() }
    }
}

/// Quotes a word for a POSIX shell if it needs that.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=.,:/@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arch: Arch, arguments: &[&str], log: Option<&str>) -> String {
        let kernel = Path::new("/k/demo");
        let emulator = Path::new(arch.qemu());
        let machine = Machine {
            arch,
            emulator,
            kernel,
            program: None,
            cpus: 2,
            clock: Clock::Host,
            arguments,
            log: None,
            exception_log: log.map(Path::new),
        };
        machine.shell_line()
    }

    #[test]
    fn exit_statuses_are_told_apart() {
        assert_eq!(Outcome::from_exit(Some(33), "", &[]), Outcome::Passed);
        assert_eq!(Outcome::from_exit(Some(35), "", &[]), Outcome::Failed);
        for other in [Some(0), Some(1), Some(34), Some(255), None] {
            assert!(matches!(Outcome::from_exit(other, "x", &[]), Outcome::Qemu(_)), "{other:?}");
        }
        let why = Outcome::from_exit(Some(1), "exit status: 1", &["qemu: no such machine".to_owned(), " ".to_owned()]);
        assert!(why.describe().ends_with("verdict: qemu: no such machine"), "{why:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_hang_is_not_silent_and_is_ended() {
        use std::os::unix::fs::PermissionsExt;
        let stub = std::env::temp_dir().join(format!("xtask-hanging-{}", std::process::id()));
        std::fs::write(&stub, "#!/bin/sh\necho first\nexec sleep 100\n").expect("it can be written");
        std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let kernel = Path::new("/k");
        let machine = Machine {
            arch: Arch::X86_64,
            emulator: &stub,
            kernel,
            program: None,
            cpus: 1,
            clock: Clock::Host,
            arguments: &[],
            log: None,
            exception_log: None,
        };
        // Beats come every five seconds.
        let mut pulse = Pulse::every(Duration::from_secs(1), "k", Some(Duration::from_millis(5500)));
        let run = machine.run(&mut pulse, &mut |_| Heard::Only);
        std::fs::remove_file(&stub).expect("it is there");
        assert!(matches!(run.outcome, Outcome::Hung(_)), "{:?}", run.outcome);
        assert_eq!((run.console, pulse.remarks()), (vec!["first".to_owned()], 1));
    }

    #[test]
    fn arguments_become_the_kernel_s_command_line() {
        let x86 = line(Arch::X86_64, &["list", "fast"], None);
        assert!(x86.starts_with("qemu-system-x86_64 -accel tcg,thread=multi -cpu max"), "{x86}");
        assert!(
            x86.ends_with("-device isa-debug-exit,iobase=0xf4,iosize=4 -smp 2 -append 'list fast' -kernel /k/demo"),
            "{x86}"
        );
        let arm = line(Arch::Aarch64, &["list"], None);
        assert!(
            arm.ends_with("-semihosting-config enable=on,target=native -smp 2 -append list -kernel /k/demo"),
            "{arm}"
        );
        for arch in Arch::ALL {
            assert!(!line(arch, &[], None).contains("-append"));
        }
    }

    #[test]
    fn the_log_goes_to_a_device_or_to_a_file_that_the_kernel_opens() {
        let line = |arch: Arch, arguments| {
            let log = Some(Path::new("/a b,c"));
            let (emulator, kernel) = (Path::new(arch.qemu()), Path::new("/k"));
            let (cpus, clock) = (1, Clock::Host);
            Machine { arch, emulator, kernel, program: None, cpus, clock, arguments, log, exception_log: None }
                .shell_line()
        };
        let x86 = line(Arch::X86_64, &["plain"]);
        let device = "-chardev 'file,id=defmt,path=/a b,,c' -device isa-debugcon,iobase=0xe9,chardev=defmt";
        assert!(x86.ends_with(&format!("{device} -append plain -kernel /k")), "{x86}");
        let arm = line(Arch::Aarch64, &["plain"]);
        assert!(arm.ends_with("-append 'plain defmt=/a b,c' -kernel /k"), "{arm}");
    }

    #[test]
    fn exceptions_are_logged_on_request() {
        assert!(line(Arch::Aarch64, &[], Some("/l")).ends_with("-kernel /k/demo -d int -D /l"));
        assert!(!line(Arch::Aarch64, &[], None).contains(" -d "));
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("a=b,c"), "a=b,c");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
