//! The core library as the kernels have it, for those who only want one to compile with.
//!
//! Where it is built from its source, that is the most of building anything small for a machine. What is compiled in another
//! directory, unoptimised or with other flags would have a second one; so it is given that of the kernels, in a sysroot.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::child::{self, End, Event, Streams};
use crate::pulse::Pulse;
use crate::route::Route;
use crate::workspace::Workspace;

/// What there is in such a sysroot.
const CRATES: [&str; 3] = ["core", "alloc", "compiler_builtins"];
/// A small package that kernels want, too.
const SMALL: &str = "guests";

/// Builds the library for a machine, unless it is there, and gives the sysroot that has it. Nothing where the toolchain has it.
///
/// # Errors
///
/// It does not build, or its files cannot be copied; line by line.
pub(crate) fn sysroot(workspace: &Workspace, route: &Route, arch: Arch) -> Result<Option<PathBuf>, Vec<String>> {
    if !route.builds_library() {
        return Ok(None);
    }
    let sysroot = workspace.kernels().join("sysroot").join(arch.name());
    let built = build(workspace, route, arch)?;
    fill(&sysroot.join("lib").join("rustlib").join(arch.target()).join("lib"), &built)
        .map_err(|error| vec![format!("{}: {error}", sysroot.display())])?;
    Ok(Some(sysroot))
}

/// The library's files, as cargo names them.
fn build(workspace: &Workspace, route: &Route, arch: Arch) -> Result<Vec<PathBuf>, Vec<String>> {
    let mut cargo = route.for_all(workspace, "build", &[arch]);
    cargo.args(["--package", SMALL, "--lib", "--message-format=json-render-diagnostics", "--color=never"]);
    let (mut files, mut said) = (Vec::new(), Vec::new());
    let mut pulse = Pulse::new("the core library", None);
    let end = child::watch(cargo, Streams::Apart, None, &mut |event| match event {
        Event::Out(line) => files.extend(library_file(line, arch)),
        Event::Err(line) => {
            said.push(line.to_owned());
            pulse.heard();
        }
        Event::Beat(elapsed) => pulse.beat(elapsed),
    });
    match end {
        Ok(End::Exited(status)) if status.success() && files.len() == CRATES.len() => Ok(files),
        Ok(_) => {
            said.insert(
                0,
                format!("the core library for {}: {} of {} files", arch.target(), files.len(), CRATES.len()),
            );
            Err(said)
        }
        Err(error) => Err(vec![format!("cargo did not run: {error}")]),
    }
}

/// The library's file that a line of cargo's is about, if it is about one.
fn library_file(line: &str, arch: Arch) -> Option<PathBuf> {
    let (_, names) = line.strip_prefix("{\"reason\":\"compiler-artifact\"")?.split_once("\"filenames\":[")?;
    let (names, _) = names.split_once(']')?;
    let file = names.split(',').map(|name| name.trim_matches('"')).find(|name| name.ends_with(".rlib"))?;
    let (directory, name) = file.rsplit_once('/')?;
    let (name, _hash) = name.strip_prefix("lib")?.rsplit_once('-')?;
    let is_ours = CRATES.contains(&name) && directory.contains(&format!("/{}/", arch.target()));
    is_ours.then(|| PathBuf::from(file))
}

/// Has a directory hold these files, and no others: of two core libraries the compiler takes neither.
fn fill(directory: &Path, files: &[PathBuf]) -> std::io::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    for file in files {
        let copy = directory.join(file.file_name().unwrap_or_default());
        fs::hard_link(file, &copy).or_else(|_| fs::copy(file, &copy).map(drop))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_told_from_what_is_built_with_it() {
        let line = |name: &str, target: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"target\":{{\"name\":\"x\"}},\"filenames\":[\"/t/{target}/release/deps/{name}\
                 .rlib\",\"/t/{target}/release/deps/{name}.rmeta\"],\"executable\":null}}"
            )
        };
        let found = |name, target| library_file(&line(name, target), Arch::X86_64);
        let core = "/t/x86_64-unknown-none/release/deps/libcore-0a1b.rlib";
        assert_eq!(found("libcore-0a1b", "x86_64-unknown-none"), Some(PathBuf::from(core)));
        assert!(found("libcompiler_builtins-0a1b", "x86_64-unknown-none").is_some());
        assert_eq!(found("libguests-0a1b", "x86_64-unknown-none"), None);
        assert_eq!(found("libcore-0a1b", "aarch64-unknown-none-softfloat"), None);
        assert_eq!(library_file("{\"reason\":\"build-finished\",\"success\":true}", Arch::X86_64), None);
    }

    #[test]
    fn a_sysroot_forgets_an_older_library() {
        let home = std::env::temp_dir().join(format!("xtask-library-{}", std::process::id()));
        let (old, new, lib) = (home.join("libcore-1.rlib"), home.join("libcore-2.rlib"), home.join("lib"));
        fs::create_dir_all(&home).unwrap();
        fs::write(&old, "1").unwrap();
        fs::write(&new, "2").unwrap();
        fill(&lib, &[old]).unwrap();
        fill(&lib, &[new]).unwrap();
        let held: Vec<_> = fs::read_dir(&lib).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(held, ["libcore-2.rlib"]);
        fs::remove_dir_all(home).unwrap();
    }
}
