//! The library with the oldest dependencies that its manifest allows.
//!
//! A range that nobody has tried is a guess. Cargo can choose the lower end of each (`-Zdirect-minimal-versions`, for which a
//! stable cargo wants `RUSTC_BOOTSTRAP=1`: a licence for that one flag). What the dependencies themselves depend on is new: their
//! ranges are theirs to keep. A copy of the package is compiled, without what its tests want.

use std::fs;
use std::path::PathBuf;

use super::cargo::{Said, cargo, finish, host_check, is_offline, why, write};
use super::package;
use crate::arch::Arch;
use crate::library;
use crate::route::Route;
use crate::workspace::Workspace;

/// Compiles it on the host, with all features.
pub(super) fn check_on_host(workspace: &Workspace) -> Result<(), Said> {
    let mut check = host_check(&prepare(workspace)?, workspace)?;
    check.arg("--all-features");
    finish(check)
}

/// Compiles it for a machine, with all features.
pub(super) fn check(workspace: &Workspace, route: &Route, arch: Arch) -> Result<(), Said> {
    let directory = prepare(workspace)?;
    let sysroot = library::sysroot(workspace, route, arch)?;
    let mut build = route.foreign_cargo(&directory, workspace, "build", arch, sysroot.as_deref());
    build.args(["--lib", "--all-features"]);
    finish(build)
}

/// Writes the copy, with the oldest lock file, and says where.
fn prepare(workspace: &Workspace) -> Result<PathBuf, Said> {
    let (from, copy) = (package::directory(workspace), workspace.target("adopt").join("oldest"));
    let manifest = from.join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest).map_err(|error| why(&manifest, &error))?;
    let sources = from.join("src").join("lib.rs");
    write(&copy.join("Cargo.toml"), &without_tests(&manifest, &sources.to_string_lossy()))?;
    let mut update = cargo(&copy);
    update.args(["update", "-Zdirect-minimal-versions"]).env("RUSTC_BOOTSTRAP", "1");
    if is_offline() {
        update.arg("--offline");
    }
    finish(update)?;
    Ok(copy)
}

/// The manifest without tests and what they depend on, in a workspace of its own, with its sources there.
fn without_tests(manifest: &str, sources: &str) -> String {
    let is_kept = |section: &&str| {
        let first = section.lines().find(|line| line.starts_with('[')).unwrap_or_default();
        !first.contains("dev-dependencies") && first != "[[test]]" && first != "[lib]"
    };
    let mut text = manifest.split("\n\n").filter(is_kept).collect::<Vec<_>>().join("\n\n");
    text = text.replace("readme = \"README.md\"\n", "");
    text + &format!("\n[lib]\nname = \"kernel_arena\"\npath = '{sources}'\n\n[workspace]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_want_is_left_out() {
        let manifest = "# made by cargo\n\n[package]\nname = \"kernel-arena\"\n\n[lib]\nname = \"kernel_arena\"\n\n[[test]]\n\
                        name = \"host\"\n\n[dependencies.log]\nversion = \"0.4.4\"\n\n[dev-dependencies.proptest]\n\
                        version = \"1\"\n\n[target.\"cfg(unix)\".dev-dependencies.libc]\nversion = \"0.2\"\n\n\
                        [target.\"cfg(unix)\".dependencies.libc]\nversion = \"0.2.168\"\n";
        let kept = without_tests(manifest, "/there/lib.rs");
        for gone in ["proptest", "[[test]]", "\"0.2\"\n"] {
            assert!(!kept.contains(gone), "{kept}");
        }
        for there in ["[dependencies.log]", "0.2.168", "path = '/there/lib.rs'", "[workspace]"] {
            assert!(kept.contains(there), "{kept}");
        }
        assert_eq!(kept.matches("[lib]").count(), 1);
    }
}
