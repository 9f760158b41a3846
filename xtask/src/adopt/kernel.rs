//! The kernel that adopts the library, once for each set of the library's features.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::cargo::{Said, cargo, finish, host_check, is_offline, why, write};
use super::package;
use crate::arch::Arch;
use crate::library;
use crate::route::Route;
use crate::workspace::Workspace;

/// A way to adopt the library.
#[derive(Debug)]
pub(super) struct Adoption {
    /// What to call it.
    pub(super) name: &'static str,
    /// With which of its features.
    features: &'static [&'static str],
    /// How many packages, the library included, it may bring into a lock file: a little more than it does.
    most_packages: usize,
}

/// Without features, with each, and with all.
pub(super) const ADOPTIONS: [Adoption; 10] = [
    Adoption { name: "no feature", features: &[], most_packages: 12 },
    Adoption { name: "_bench", features: &["_bench"], most_packages: 12 },
    Adoption { name: "allocator-api2", features: &["allocator-api2"], most_packages: 13 },
    Adoption { name: "defmt", features: &["defmt"], most_packages: 24 },
    Adoption { name: "frames", features: &["frames"], most_packages: 13 },
    Adoption { name: "log", features: &["log"], most_packages: 13 },
    Adoption { name: "std", features: &["std"], most_packages: 18 },
    Adoption { name: "x86_64-frames", features: &["x86_64-frames"], most_packages: 13 },
    Adoption { name: "zerocopy", features: &["zerocopy"], most_packages: 18 },
    Adoption {
        name: "all features",
        features: &["_bench", "allocator-api2", "defmt", "frames", "log", "std", "x86_64-frames", "zerocopy"],
        most_packages: 34,
    },
];
/// What is linked: a kernel with defmt needs a logger, and a part in its linker script.
pub(super) const LINKED: &Adoption = &ADOPTIONS[0];
/// What is compiled as for a kernel with models of its own.
pub(super) const LOOM: &Adoption = &ADOPTIONS[9];

/// What is in the lock file without the library.
const OWN_PACKAGES: [&str; 3] = ["kernel", "rand", "rand_core"];

impl Adoption {
    /// Whether it is about one feature.
    pub(super) const fn has_one_feature(&self) -> bool {
        self.features.len() == 1
    }

    /// Counts what the library brings into the lock file.
    pub(super) fn check_lock_file(&self, workspace: &Workspace) -> Result<(), Said> {
        let lock = self.write(workspace)?.join("Cargo.lock");
        let text = fs::read_to_string(&lock).map_err(|error| why(&lock, &error))?;
        let brought = brought(&text);
        if brought.iter().any(|package| package.starts_with("kernel-arena ")) && brought.len() <= self.most_packages {
            return Ok(());
        }
        let mut said = vec![format!("{} packages, of {} at most:", brought.len(), self.most_packages)];
        said.extend(brought);
        Err(said)
    }

    /// Compiles it on the host.
    pub(super) fn check_on_host(&self, workspace: &Workspace) -> Result<(), Said> {
        finish(host_check(&self.write(workspace)?, workspace)?)
    }

    /// Compiles it on the host as one does who has models of his own.
    pub(super) fn check_under_loom(&self, workspace: &Workspace) -> Result<(), Said> {
        let mut check = host_check(&self.write(workspace)?, workspace)?;
        check.env("RUSTFLAGS", "--cfg loom");
        finish(check)
    }

    /// Compiles it for a machine: whole, as [`link`](Self::link) does, which then has less to do.
    pub(super) fn compile(&self, workspace: &Workspace, route: &Route, arch: Arch) -> Result<(), Said> {
        let directory = self.write(workspace)?;
        let sysroot = library::sysroot(workspace, route, arch)?;
        let mut build = route.foreign_cargo(&directory, workspace, "build", arch, sysroot.as_deref());
        build.arg("--lib");
        finish(build)
    }

    /// Compiles and links it for a machine.
    pub(super) fn link(&self, workspace: &Workspace, route: &Route, arch: Arch) -> Result<(), Said> {
        let directory = self.write(workspace)?;
        let sysroot = library::sysroot(workspace, route, arch)?;
        finish(route.foreign_cargo(&directory, workspace, "build", arch, sysroot.as_deref()))
    }

    /// Writes the kernel, with the newest lock file, and says where.
    fn write(&self, workspace: &Workspace) -> Result<PathBuf, Said> {
        let directory = workspace.target("adopt").join("kernels").join(self.name.replace(' ', "-"));
        let library = package::directory(workspace);
        write(&directory.join("Cargo.toml"), &manifest(&library.to_string_lossy(), self.features))?;
        write(&directory.join("src").join("lib.rs"), include_str!("kernel/lib.rs"))?;
        write(&directory.join("src").join("main.rs"), include_str!("kernel/main.rs"))?;
        finish(lock(cargo(&directory)))?;
        Ok(directory)
    }
}

fn lock(mut cargo: Command) -> Command {
    cargo.arg("generate-lockfile");
    if is_offline() {
        cargo.arg("--offline");
    }
    cargo
}

/// Its manifest: edition 2018 means the old resolver.
fn manifest(library: &str, features: &[&str]) -> String {
    format!(
        "[package]\nname = \"kernel\"\nversion = \"0.0.0\"\nedition = \"2018\"\n\n\
         [dependencies]\nkernel-arena = {{ path = '{library}', features = {features:?} }}\n\
         rand = {{ version = \"0.8\", default-features = false, features = [\"small_rng\"] }}\n\n[workspace]\n"
    )
}

/// What the library brings into a lock file.
fn brought(lock: &str) -> BTreeSet<String> {
    let value =
        |line: &str, key: &str| Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.trim_end_matches('"').to_owned());
    let mut name = String::new();
    let mut found = BTreeSet::new();
    for line in lock.lines() {
        if let Some(new) = value(line, "name") {
            name = new;
        } else if let Some(version) = value(line, "version").filter(|_| !OWN_PACKAGES.contains(&name.as_str())) {
            found.insert(format!("{name} {version}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_s_packages_are_counted_and_the_kernel_s_are_not() {
        let lock = "version = 4\n\n[[package]]\nname = \"bitflags\"\nversion = \"1.3.2\"\n\n[[package]]\nname = \"bitflags\"\n\
                    version = \"2.4.0\"\n\n[[package]]\nname = \"kernel\"\nversion = \"0.0.0\"\n\n[[package]]\n\
                    name = \"kernel-arena\"\nversion = \"0.1.0\"\n";
        let expected = ["bitflags 1.3.2", "bitflags 2.4.0", "kernel-arena 0.1.0"].map(String::from);
        assert_eq!(brought(lock), BTreeSet::from(expected));
    }

    #[test]
    fn features_are_those_of_the_library_s_manifest() {
        let root = include_str!("../../../Cargo.toml");
        let (_, rest) = root.split_once("\n[features]\n").expect("the library has features");
        let (section, _) = rest.split_once("\n\n").expect("and they end");
        let mut named: Vec<_> =
            section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
        named.retain(|&name| name != "default" && !name.starts_with('#'));
        named.sort_unstable();
        assert_eq!(named, LOOM.features);
        for name in named {
            assert!(ADOPTIONS.iter().any(|adoption| adoption.features == [name]), "{name} is not adopted");
        }
    }
}
