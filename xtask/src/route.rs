//! By which Rust the kernels are built.
//!
//! Two routes lead to a bare-metal kernel. On an ordinary machine rustup has fetched the targets that
//! `rust-toolchain.toml` names, and plain cargo does it. Where rustup may fetch nothing, a distribution's Rust with the
//! library's source builds core itself (`-Zbuild-std`), which stable Rust does only under `RUSTC_BOOTSTRAP=1`: a licence
//! for that one flag of cargo's, not for unstable features in the code. That Rust is the system's, or else one unpacked by
//! the set-up. Looking is cheap; deciding is pure and tested.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::arch::Arch;
use crate::workspace::Workspace;
use crate::{child, log};

/// The oldest Rust that builds the kernels (their dependencies ask for it), as the minor version.
const OLDEST_MINOR: u32 = 88;
/// Where the library's source is, below a sysroot.
const SOURCE: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";
/// Linkers that will do, the first found is taken.
const LINKERS: [&str; 3] = ["ld.lld", "ld.lld-19", "ld.lld-22"];

/// The flag by which code for aarch64 changes memory atomically in one instruction.
const LSE: &str = "-Ctarget-feature=+lse";

/// The packages whose messages are to be decoded with their places.
const LOGGING: [&str; 2] = ["kernel-arena", "demo"];

/// How a kernel is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// For the target as it is.
    Usual,
    /// To be single-stepped: on aarch64 without exclusive loads and stores, which never succeed then. The core library is the
    /// usual one: its atomics are compiled where they are used, and what it uses them for itself no kernel steps through.
    Stepped,
}

impl Flavour {
    /// The target directory.
    pub(crate) fn target(self, workspace: &Workspace, arch: Arch) -> PathBuf {
        if self.is_own_build(arch) { workspace.kernels_lse() } else { workspace.kernels() }
    }

    /// Whether it is built for both of these machines in the same way, into the same directory.
    pub(crate) fn is_shared(self, one: Arch, other: Arch) -> bool {
        !self.is_own_build(one) && !self.is_own_build(other)
    }

    /// Whether it differs from the usual build.
    pub(crate) fn is_own_build(self, arch: Arch) -> bool {
        (self, arch) == (Self::Stepped, Arch::Aarch64)
    }
}

/// What was found on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The current toolchain has the core library of every target.
    pub(crate) targets: bool,
    /// The current toolchain brings the linker that the targets ask for by default.
    pub(crate) default_linker: bool,
    /// Where the programs are of a distribution's Rust: a cargo, a new enough rustc, and the library's source. By full
    /// path: the same names may be rustup's elsewhere on the search path.
    pub(crate) packaged: Option<PathBuf>,
    /// The same of one that has clippy, too.
    pub(crate) packaged_clippy: Option<PathBuf>,
    /// A linker.
    pub(crate) linker: Option<PathBuf>,
}

/// A way to build kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The current toolchain has the targets.
    Targets {
        /// The linker, where the toolchain's own is missing.
        linker: Option<PathBuf>,
    },
    /// The distribution's Rust builds the core library from its source.
    BuildStd {
        /// Where its programs are.
        programs: PathBuf,
        /// Where clippy is, and the programs that go with it.
        clippy: Option<PathBuf>,
        /// The linker.
        linker: PathBuf,
    },
}

impl Survey {
    /// Looks around: on the system first, then among the packages that were unpacked, if there are any.
    pub(crate) fn take(unpacked: Option<&Workspace>) -> Self {
        let sysroot = rustc("rustc", &["--print", "sysroot"]).map(PathBuf::from);
        let targets = Arch::ALL.into_iter().all(|arch| {
            rustc("rustc", &["--print", "target-libdir", "--target", arch.target()])
                .is_some_and(|directory| holds_core(Path::new(&directory)))
        });
        // Per host: <sysroot>/lib/rustlib/<host>/bin/…
        let bundled = |file: &str| sysroot.as_deref().and_then(|sysroot| in_rustlib(sysroot, file));
        let unpacked_linker = |workspace: &Workspace| {
            LINKERS.into_iter().map(|name| workspace.launcher(name)).find(|launcher| launcher.is_file())
        };
        let linker = LINKERS.into_iter().find_map(child::find_program).or_else(|| bundled("gcc-ld/ld.lld"));
        let default_linker = bundled("rust-lld").or_else(|| child::find_program("rust-lld")).is_some();
        let mut survey = Self {
            targets,
            default_linker,
            linker: linker.or_else(|| unpacked.and_then(unpacked_linker)),
            ..Self::default()
        };
        if !targets {
            survey.look_for_packaged(Path::new("/usr"), Path::new("/usr/bin"));
            if let Some(workspace) = unpacked {
                survey.look_for_packaged(&workspace.packages().join("usr"), &workspace.launcher(""));
            }
        }
        survey
    }

    /// Looks at a distribution's Rust in this sysroot, with its programs there, unless a whole one has been found.
    fn look_for_packaged(&mut self, sysroot: &Path, programs: &Path) {
        let is_packaged = self.packaged_clippy.is_none()
            && sysroot.join(SOURCE).is_file()
            && programs.join("cargo").is_file()
            && rustc(&programs.join("rustc").to_string_lossy(), &["--version"]).is_some_and(|v| is_new_enough(&v));
        if is_packaged {
            self.packaged.get_or_insert_with(|| programs.to_path_buf());
            self.packaged_clippy = programs.join("cargo-clippy").is_file().then(|| programs.to_path_buf());
        }
    }

    /// The route to take, if there is one.
    pub(crate) fn route(&self) -> Option<Route> {
        if self.targets {
            let linker = if self.default_linker { None } else { self.linker.clone() };
            return Some(Route::Targets { linker });
        }
        let (programs, linker) = (self.packaged.clone()?, self.linker.clone()?);
        Some(Route::BuildStd { programs, clippy: self.packaged_clippy.clone(), linker })
    }
}

impl Route {
    /// What to tell the user about it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Targets { .. } => "the current toolchain has the bare-metal targets".to_owned(),
            Self::BuildStd { programs, linker, .. } => {
                let rustc = programs.join("rustc");
                format!("{} builds core from its source, linked by {}", rustc.display(), linker.display())
            }
        }
    }

    /// The version of the compiler that builds the kernels, in one line.
    ///
    /// # Errors
    ///
    /// It does not say.
    pub(crate) fn compiler(&self) -> Result<String, String> {
        let program = self.packaged("build").map_or_else(|| PathBuf::from("rustc"), |programs| programs.join("rustc"));
        rustc(&program.to_string_lossy(), &["--version"])
            .ok_or_else(|| format!("{} does not say which version it is", program.display()))
    }

    /// A cargo command for these machines' targets at once, in release mode, to which only packages and flags are missing. It
    /// builds the core library, too, if the toolchain is without it.
    ///
    /// RUSTFLAGS are removed, since they would replace those in `.cargo/config.toml`, without which nothing links.
    pub(crate) fn for_all(&self, workspace: &Workspace, subcommand: &str, arches: &[Arch]) -> Command {
        let mut command = self.plain_cargo(&workspace.kernels(), subcommand, arches);
        if self.builds_library() {
            command.arg("-Zbuild-std=core,alloc").env("RUSTC_BOOTSTRAP", "1");
        }
        optimised(command, workspace)
    }

    /// The same, to build kernels whose memory is changed atomically by one instruction each, into a directory of their own, with
    /// the core library of this sysroot, if it is not the toolchain's.
    pub(crate) fn build_stepped(&self, workspace: &Workspace, arch: Arch, sysroot: Option<&Path>) -> Command {
        let mut command = self.plain_cargo(&workspace.kernels_lse(), "build", &[arch]);
        add_flags(&mut command, arch, [Some(LSE.to_owned()), sysroot.map(in_sysroot)].into_iter().flatten());
        optimised(command, workspace)
    }

    /// Whether the core library is compiled from its source, since the toolchain is without it.
    pub(crate) const fn builds_library(&self) -> bool {
        matches!(self, Self::BuildStd { .. })
    }

    /// A cargo command for a package that is none of this workspace's and lies in `directory`, unoptimised, with the core
    /// library of this sysroot, if it is not the toolchain's, and into a target directory of its own.
    pub(crate) fn foreign_cargo(
        &self,
        directory: &Path,
        workspace: &Workspace,
        subcommand: &str,
        arch: Arch,
        sysroot: Option<&Path>,
    ) -> Command {
        let mut command = self.plain_cargo(&workspace.target("adopt").join("built"), subcommand, &[arch]);
        add_flags(&mut command, arch, sysroot.map(in_sysroot).into_iter());
        // Nobody debugs them: what is compiled is all that is asked.
        command.current_dir(directory).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
        command
    }

    fn plain_cargo(&self, target: &Path, subcommand: &str, arches: &[Arch]) -> Command {
        let mut command = match self.packaged(subcommand) {
            None => Command::new("cargo"),
            // Run directly: `cargo clippy` would prefer rustup's, which cannot read what this rustc compiled.
            Some(programs) if subcommand == "clippy" => Command::new(programs.join("cargo-clippy")),
            Some(programs) => Command::new(programs.join("cargo")),
        };
        child::forget_package(&mut command);
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command.args([subcommand, "--locked"]);
        command.args(arches.iter().flat_map(|arch| ["--target", arch.target()])).arg("--target-dir").arg(target);
        if let Self::Targets { linker: Some(linker) } | Self::BuildStd { linker, .. } = self {
            command.envs(arches.iter().map(|arch| (arch.linker_variable(), linker)));
        }
        if let Some(programs) = self.packaged(subcommand) {
            command
                .env("CARGO", programs.join("cargo"))
                .env("RUSTC", programs.join("rustc"))
                .env("RUSTDOC", programs.join("rustdoc"))
                // What a future cargo will say about this core library is none of our business.
                .env("CARGO_FUTURE_INCOMPAT_REPORT_FREQUENCY", "never")
                .env_remove("RUSTUP_TOOLCHAIN");
        }
        command
    }

    /// Where the programs of the distribution's Rust are that do this, if it is to.
    fn packaged(&self, subcommand: &str) -> Option<&Path> {
        match self {
            Self::Targets { .. } => None,
            Self::BuildStd { clippy: Some(programs), .. } if subcommand == "clippy" => Some(programs),
            Self::BuildStd { programs, .. } => Some(programs),
        }
    }
}

/// Whether rustup is there and may fetch.
pub(crate) fn rustup_may_fetch() -> bool {
    env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0") && child::find_program("rustup").is_some()
}

/// The same command in release mode, in the checkout.
fn optimised(mut command: Command, workspace: &Workspace) -> Command {
    command.arg("--release").current_dir(workspace.root());
    // Where messages stand in the source is written into the file only with full debug information.
    for package in LOGGING {
        command.args(["--config", &format!("profile.release.package.{package}.debug=2")]);
    }
    command.env("DEFMT_LOG", log::LEVEL);
    command
}

/// Adds flags for the compiler to those of the target, which a variable would replace.
fn add_flags(command: &mut Command, arch: Arch, flags: impl Iterator<Item = String>) {
    let flags: Vec<_> = flags.map(|flag| format!("'{flag}'")).collect();
    if !flags.is_empty() {
        command.args(["--config", &format!("target.{}.rustflags=[{}]", arch.target(), flags.join(", "))]);
    }
}

fn in_sysroot(sysroot: &Path) -> String {
    format!("--sysroot={}", sysroot.display())
}

/// What a rustc answers, if it is there and answers.
fn rustc(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| answer.trim().to_owned())
}

/// Whether a target's directory really holds its core library: rustc names the directory in any case.
fn holds_core(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| is_core(&entry.file_name().to_string_lossy())))
    })
}

fn is_core(file: &str) -> bool {
    file.starts_with("libcore-") && file.ends_with(".rlib")
}

/// A program that a sysroot brings along for its host.
fn in_rustlib(sysroot: &Path, file: &str) -> Option<PathBuf> {
    let hosts = sysroot.join("lib").join("rustlib").read_dir().ok()?;
    hosts.flatten().map(|host| host.path().join("bin").join(file)).find(|path| path.is_file())
}

/// `rustc 1.96.0 (…)`.
fn is_new_enough(version: &str) -> bool {
    let minor = || version.strip_prefix("rustc 1.")?.split('.').next()?.parse::<u32>().ok();
    minor().is_some_and(|minor| minor >= OLDEST_MINOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lld() -> Option<PathBuf> {
        Some(PathBuf::from("/usr/bin/ld.lld-19"))
    }

    fn system() -> Option<PathBuf> {
        Some(PathBuf::from("/usr/bin"))
    }

    fn build_std() -> Route {
        Route::BuildStd { programs: "/usr/bin".into(), clippy: None, linker: "/lld".into() }
    }

    #[test]
    fn installed_targets_come_first() {
        let survey =
            Survey { targets: true, default_linker: true, packaged: system(), linker: lld(), ..Survey::default() };
        assert_eq!(survey.route(), Some(Route::Targets { linker: None }));
        let without = Survey { default_linker: false, ..survey };
        assert_eq!(without.route(), Some(Route::Targets { linker: lld() }));
    }

    #[test]
    fn the_distribution_needs_a_linker_too() {
        let survey = Survey { packaged: system(), ..Survey::default() };
        assert_eq!(survey.route(), None);
        let linker = Some(PathBuf::from("/lld"));
        assert_eq!(Survey { linker, ..survey }.route(), Some(build_std()));
        assert_eq!(Survey { linker: lld(), ..Survey::default() }.route(), None);
    }

    #[test]
    fn old_or_odd_versions_are_refused() {
        for (version, expected) in [
            ("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)", true),
            ("rustc 1.88.0", true),
            ("rustc 1.63.0", false),
            ("gcc 12", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn only_a_library_file_proves_a_target() {
        assert!(is_core("libcore-0123456789abcdef.rlib"));
        assert!(!is_core("libcompiler_builtins-0123456789abcdef.rlib"));
        assert!(!holds_core(Path::new("/nonexistent")));
    }

    #[test]
    fn what_is_stepped_has_a_build_of_its_own_on_aarch64_only() {
        let Ok(workspace) = Workspace::find() else { panic!("no workspace") };
        let arguments = |route: Route, sysroot| {
            let build = route.build_stepped(&workspace, Arch::Aarch64, sysroot);
            build.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        let of_targets = arguments(Route::Targets { linker: None }, None);
        let of_source = arguments(build_std(), Some(Path::new("/s")));
        let flags = "target.aarch64-unknown-none-softfloat.rustflags=['-Ctarget-feature=+lse'";
        assert!(of_targets.contains(&format!("{flags}]")) && of_source.contains(&format!("{flags}, '--sysroot=/s']")));
        assert!(!of_source.contains("-Zbuild-std"), "{of_source}");
        assert!(!Flavour::Stepped.is_own_build(Arch::X86_64) && !Flavour::Usual.is_own_build(Arch::Aarch64));
        assert_eq!(Flavour::Stepped.target(&workspace, Arch::Aarch64), workspace.kernels_lse());
        assert_eq!(Flavour::Stepped.target(&workspace, Arch::X86_64), workspace.kernels());
    }

    #[test]
    fn the_distribution_s_rust_is_kept_apart_from_rustup() {
        let Ok(workspace) = Workspace::find() else { panic!("no workspace") };
        let route = build_std();
        let build = route.for_all(&workspace, "build", &[Arch::Aarch64]);
        assert_eq!(build.get_program(), "/usr/bin/cargo");
        let variable = |name: &str| {
            build.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value.map(std::ffi::OsStr::to_os_string))
        };
        assert_eq!(variable("RUSTC"), Some(Some("/usr/bin/rustc".into())));
        assert_eq!(variable("CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_LINKER"), Some(Some("/lld".into())));
        for removed in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            assert_eq!(variable(removed), Some(None), "{removed}");
        }
        assert_eq!(route.for_all(&workspace, "clippy", &[Arch::Aarch64]).get_program(), "/usr/bin/cargo-clippy");
    }

    #[test]
    fn clippy_comes_with_the_rustc_that_it_belongs_to() {
        let Ok(workspace) = Workspace::find() else { panic!("no workspace") };
        let route = Route::BuildStd { programs: "/usr/bin".into(), clippy: Some("/p".into()), linker: "/lld".into() };
        let rustc = |subcommand| {
            let command = route.for_all(&workspace, subcommand, &[Arch::X86_64]);
            let rustc =
                command.get_envs().find(|(key, _)| *key == "RUSTC").and_then(|(_, value)| value.map(PathBuf::from));
            (PathBuf::from(command.get_program()), rustc)
        };
        assert_eq!(rustc("clippy"), ("/p/cargo-clippy".into(), Some("/p/rustc".into())));
        assert_eq!(rustc("build"), ("/usr/bin/cargo".into(), Some("/usr/bin/rustc".into())));
    }
}
