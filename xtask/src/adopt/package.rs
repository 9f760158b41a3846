//! The library as it would be published: packed by cargo, unpacked beside nothing of this project's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::cargo::{Said, cargo, finish, why};
use crate::workspace::Workspace;

/// Where the unpacked package is.
pub(super) fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target("adopt").join("kernel-arena")
}

/// Packs and unpacks it, if it is not the one that is there.
///
/// What is not committed is packed, too: it is what is to be tested.
pub(super) fn unpack(workspace: &Workspace) -> Result<(), Said> {
    let base = workspace.target("adopt");
    let packed = base.join("package");
    let mut pack = cargo(workspace.root());
    pack.args(["package", "--locked", "--allow-dirty", "--no-verify", "--package", "kernel-arena", "--target-dir"]);
    pack.arg(&base);
    finish(pack)?;

    let name = format!("kernel-arena-{}", env!("CARGO_PKG_VERSION"));
    let (file, seen) = (packed.join(format!("{name}.crate")), base.join("unpacked.crate"));
    let bytes = fs::read(&file).map_err(|error| why(&file, &error))?;
    let directory = directory(workspace);
    if directory.join("Cargo.toml").is_file() && fs::read(&seen).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let _ = fs::remove_file(&seen);
    for old in [&directory, &base.join(&name)] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(|error| why(old, &error))?;
        }
    }
    // With the time of now: the packed one is the same for all, and tells cargo nothing of what has changed.
    let mut tar = Command::new("tar");
    tar.current_dir(&base).arg("-xzmf").arg(&file);
    finish(tar)?;
    fs::rename(base.join(&name), &directory).map_err(|error| why(&directory, &error))?;
    fs::write(&seen, bytes).map_err(|error| why(&seen, &error))
}
