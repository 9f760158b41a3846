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

/// QEMU's exit status when the kernel says that all is well.
const PASSED: i32 = 33;
/// QEMU's exit status when the kernel says that something failed.
const FAILED: i32 = 35;

const COMMON: &str =
    "-accel tcg,thread=multi -cpu max -m 512M -display none -no-reboot -nodefaults -serial stdio -monitor none";

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
    fn from_exit(code: Option<i32>, how: &str) -> Self {
        match code {
            Some(PASSED) => Self::Passed,
            Some(FAILED) => Self::Failed,
            _ => Self::Qemu(format!("QEMU ended by itself ({how}), not by the kernel's verdict")),
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
    /// How many CPUs it has.
    pub(crate) cpus: u32,
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
                add(COMMON);
                add("-device isa-debug-exit,iobase=0xf4,iosize=4");
            }
            Arch::Aarch64 => {
                add("-machine virt");
                add(COMMON);
                add("-semihosting-config enable=on,target=native");
            }
        }
        words.extend(["-smp".into(), self.cpus.to_string().into()]);
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

    /// Boots it, calls `each_line` for what comes on its console, and waits for the end, at most `limit`.
    pub(crate) fn run(&self, limit: Duration, each_line: &mut dyn FnMut(&str)) -> Run {
        let words = self.command_line();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        child::die_with_xtask(&mut command);
        let (mut console, mut complaints) = (Vec::new(), Vec::new());
        let started = Instant::now();
        let end = child::watch(command, Streams::Apart, Some(limit), &mut |event| match event {
            Event::Out(line) => {
                each_line(line);
                console.push(line.to_owned());
            }
            Event::Err(line) => complaints.push(line.to_owned()),
            Event::Beat(_) => {}
        });
        let outcome = match end {
            Ok(End::Exited(status)) => Outcome::from_exit(status.code(), &status.to_string()),
            Ok(End::TimedOut) => Outcome::Hung(limit),
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
        let machine =
            Machine { arch, emulator, kernel, cpus: 2, arguments, log: None, exception_log: log.map(Path::new) };
        machine.shell_line()
    }

    #[test]
    fn exit_statuses_are_told_apart() {
        assert_eq!(Outcome::from_exit(Some(33), ""), Outcome::Passed);
        assert_eq!(Outcome::from_exit(Some(35), ""), Outcome::Failed);
        for other in [Some(0), Some(1), Some(34), Some(255), None] {
            assert!(matches!(Outcome::from_exit(other, "x"), Outcome::Qemu(_)), "{other:?}");
        }
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
            Machine { arch, emulator, kernel, cpus: 1, arguments, log, exception_log: None }.shell_line()
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
