//! The kernels: which there are, how long they usually take, and how they are built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::arch::Arch;
use crate::child;
use crate::library;
use crate::qemu::Clock;
use crate::route::{Flavour, Route};
use crate::workspace::Workspace;

/// A hung kernel is given this many times its usual time.
const PATIENCE: u32 = 20;
/// No kernel is given up on before this, however short it usually is: the host may be busy.
const LEAST_LIMIT: Duration = Duration::from_secs(60);

/// A kernel of the workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// Its package and its binary.
    pub(crate) name: &'static str,
    /// How long it usually runs, boot included, in seconds.
    usual_seconds: u64,
    /// How many CPUs it is given.
    pub(crate) cpus: u32,
    /// What its time is made of.
    pub(crate) clock: Clock,
    /// How it is built.
    flavour: Flavour,
    /// The package with the program that it runs, if it runs any.
    pub(super) programs: Option<&'static str>,
    /// What its log must contain, in this order (`*` is any text); nothing if it has no log.
    pub(crate) messages: &'static [&'static str],
}

/// What most kernels have in common.
const PLAIN_KERNEL: Kernel = Kernel {
    name: "",
    usual_seconds: 1,
    cpus: 1,
    clock: Clock::Host,
    flavour: Flavour::Usual,
    programs: None,
    messages: &[],
};
/// Shows what the library is for.
pub(crate) const DEMO: Kernel = Kernel {
    name: "demo",
    usual_seconds: 1,
    cpus: 2,
    clock: Clock::Host,
    flavour: Flavour::Usual,
    programs: Some("guests"),
    messages: DEMO_MESSAGES,
};
/// The demo's command line for text without colours.
pub(crate) const PLAIN: &[&str] = &["plain"];
/// Tests the library's claims on the emulated machine.
pub(super) const CLAIMS: Kernel = Kernel {
    name: "claims",
    usual_seconds: 5,
    cpus: 2,
    clock: Clock::Host,
    flavour: Flavour::Usual,
    programs: None,
    messages: CLAIMS_MESSAGES,
};
/// Interrupts the library's operations at every instruction. With a second CPU, each shootdown would be a loop of unknown length.
pub(super) const STEPS: Kernel = Kernel { name: "steps", usual_seconds: 40, flavour: Flavour::Stepped, ..PLAIN_KERNEL };

/// Has CPUs race for the same pages.
pub(super) const RACES: Kernel =
    Kernel { name: "races", usual_seconds: 10, cpus: 2, programs: Some("guests"), ..PLAIN_KERNEL };
/// The same, for a long test: many more rounds, and more CPUs than a small host has.
pub(super) const LONG_RACES: Kernel = Kernel { usual_seconds: 300, cpus: 4, ..RACES };

/// Lives on the library's heap, and tries its claims. One CPU first: what fails there is no race.
pub(super) const HEAP: Kernel = Kernel { name: "heap", usual_seconds: 5, ..PLAIN_KERNEL };
/// The same with a second CPU.
pub(super) const HEAP_OF_TWO: Kernel = Kernel { usual_seconds: 10, cpus: 2, ..HEAP };
/// The same for a long test.
pub(super) const LONG_HEAP: Kernel = Kernel { usual_seconds: 300, cpus: 4, ..HEAP };

/// The smallest kernels, which rest on nothing of this repository's but the library.
pub(super) const MINIMAL: Kernel = Kernel { name: "minimal", usual_seconds: 2, ..PLAIN_KERNEL };

/// Counts the instructions of the library's operations.
pub(crate) const COUNTS: Kernel = Kernel { name: "counts", clock: Clock::Instructions, ..PLAIN_KERNEL };

/// Runs programs in user mode.
pub(super) const PROGRAMS: Kernel = Kernel {
    name: "programs",
    usual_seconds: 10,
    cpus: 2,
    clock: Clock::Host,
    flavour: Flavour::Usual,
    programs: Some("guests"),
    messages: &[],
};
/// The same for a long test.
pub(super) const LONG_PROGRAMS: Kernel = Kernel { usual_seconds: 600, cpus: 4, ..PROGRAMS };

/// Runs programs as bytecode. One CPU first.
pub(super) const BYTECODE: Kernel = Kernel { name: "bytecode", usual_seconds: 5, ..PLAIN_KERNEL };
/// The same with a second CPU.
pub(super) const BYTECODE_OF_TWO: Kernel = Kernel { usual_seconds: 10, cpus: 2, ..BYTECODE };
/// The same for a long test.
pub(super) const LONG_BYTECODE: Kernel = Kernel { usual_seconds: 300, cpus: 4, ..BYTECODE };

/// Has its tasks scheduled by programs that it loads. One CPU first: what fails there is no race.
pub(super) const SCHEDULER: Kernel = Kernel { name: "scheduler", usual_seconds: 10, ..PLAIN_KERNEL };
/// The same with a second CPU.
pub(super) const SCHEDULER_OF_TWO: Kernel = Kernel { cpus: 2, ..SCHEDULER };
/// The same for a long test.
pub(super) const LONG_SCHEDULER: Kernel = Kernel { usual_seconds: 120, cpus: 4, ..SCHEDULER };

/// The library's own messages and the tour's first, with their places in the source.
const DEMO_MESSAGES: &[&str] = &[
    "INFO  the tour begins *(examples/demo/src/*)",
    "INFO  arena at *frames of tables (src/report.rs:*)",
    "WARN  violation *: Violation {* kind: Read,* program: Some(ProgramId(7)),*(src/report.rs:*)",
    "INFO  arena at *destroyed*(src/report.rs:*)",
    "INFO  the heap: * bytes live, * held, * of bookkeeping*(examples/demo/src/*)",
];
/// Those of the claim that a wild access inside a log call recovers.
const CLAIMS_MESSAGES: &[&str] = &[
    "INFO  before the wild accesses",
    "INFO  wild accesses found 0 then 0",
    "WARN  violation *",
    "INFO  after the wild accesses",
];

impl Kernel {
    /// The races for a soak of so many minutes, which end by themselves; the machine's clock may be another.
    pub(super) fn soak(minutes: u32) -> Self {
        Self { usual_seconds: 6 + 6 * u64::from(minutes), ..LONG_RACES }
    }

    /// How long a run may take before it counts as hung.
    pub(crate) fn limit(self) -> Duration {
        (Duration::from_secs(self.usual_seconds) * PATIENCE).max(LEAST_LIMIT)
    }

    /// Where the build leaves it.
    pub(crate) fn file(self, workspace: &Workspace, arch: Arch) -> PathBuf {
        self.flavour.target(workspace, arch).join(arch.target()).join("release").join(self.name)
    }

    /// Builds it, with cargo's progress on stderr, and says where it is. For the machines of `also` it is built at once, since
    /// the last steps of a build leave CPUs idle; what goes wrong there is said when it is built for them in earnest.
    ///
    /// # Errors
    ///
    /// One line about why there is no kernel; the compiler's own messages are on stderr by then.
    pub(crate) fn build(
        self,
        workspace: &Workspace,
        route: &Route,
        arch: Arch,
        also: &[Arch],
    ) -> Result<PathBuf, String> {
        let mut cargo = self.cargo(workspace, route, arch, also).map_err(|said| said.join("\n"))?;
        cargo.args(self.packages()).stdin(Stdio::null());
        match cargo.status() {
            Ok(status) if status.success() => self.built(workspace, arch),
            Ok(_) if also.is_empty() => Err(self.failure(arch)),
            Ok(_) => self.build(workspace, route, arch, &[]),
            Err(error) => Err(format!("cargo did not run: {error}")),
        }
    }

    /// Builds it without a word, by one job, while something else runs. What goes wrong is said when it is built in earnest.
    pub(super) fn build_ahead(self, workspace: &Workspace, route: &Route, arch: Arch, also: &[Arch]) {
        let Ok(mut cargo) = self.cargo(workspace, route, arch, also) else { return };
        cargo.args(self.packages()).args(["--quiet", "--jobs", "1"]);
        child::die_with_xtask(&mut cargo);
        let _built_again = cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// A cargo command to which only packages are missing.
    fn cargo(self, workspace: &Workspace, route: &Route, arch: Arch, also: &[Arch]) -> Result<Command, Vec<String>> {
        if self.flavour.is_own_build(arch) {
            let sysroot = library::sysroot(workspace, route, arch)?;
            return Ok(route.build_stepped(workspace, arch, sysroot.as_deref()));
        }
        Ok(route.for_all(workspace, "build", &[&[arch], also].concat()))
    }

    /// The other machines of these for which it can be built in one turn.
    pub(super) fn also(self, arch: Arch, following: &[(Self, Arch)]) -> Vec<Arch> {
        let others = following.iter().filter(|(kernel, other)| kernel.name == self.name && *other != arch);
        others.map(|(_, other)| *other).filter(|other| self.flavour.is_shared(arch, *other)).collect()
    }

    /// The files that a build of it leaves.
    pub(super) fn files(self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.programs)
    }

    /// What cargo is to build.
    pub(super) fn packages(self) -> impl Iterator<Item = &'static str> {
        self.files().flat_map(|package| ["--package", package])
    }

    /// Where the build has left the program that it runs.
    pub(crate) fn program(self, kernel: &Path) -> Option<PathBuf> {
        self.programs.map(|program| kernel.with_file_name(program))
    }

    /// That it does not build.
    pub(super) fn failure(self, arch: Arch) -> String {
        format!("the kernel `{}` does not build for {}", self.name, arch.target())
    }

    /// What a build that succeeded has left.
    ///
    /// # Errors
    ///
    /// There is nothing.
    pub(super) fn built(self, workspace: &Workspace, arch: Arch) -> Result<PathBuf, String> {
        let kernel = self.file(workspace, arch);
        if kernel.is_file() { Ok(kernel) } else { Err(format!("the build left no {}", kernel.display())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_built_for_machines_at_once_unless_they_differ_in_more() {
        let following = [(HEAP, Arch::Aarch64), (STEPS, Arch::Aarch64)];
        assert_eq!(HEAP.also(Arch::X86_64, &following), [Arch::Aarch64]);
        for alone in
            [HEAP.also(Arch::Aarch64, &following), STEPS.also(Arch::X86_64, &following), HEAP.also(Arch::X86_64, &[])]
        {
            assert_eq!(alone, []);
        }
    }

    #[test]
    fn no_limit_is_below_a_minute() {
        assert_eq!(DEMO.limit(), Duration::from_secs(60));
        assert_eq!(CLAIMS.limit(), Duration::from_secs(100));
        assert_eq!(RACES.limit(), Duration::from_secs(200));
    }
}
