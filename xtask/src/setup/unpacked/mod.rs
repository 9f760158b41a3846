//! Packages that are unpacked below the target directory, for those whom apt gives nothing: because they have no right to
//! install, or because it would have to remove something of theirs.
//!
//! Apt's resolver says what is needed beside what the system has, and fetches it ([`download`], [`status`]); it is
//! unpacked ([`extract`]) and gets [`launcher`]s and an [`inventory`]; then the folder gets its name, all at once. So what
//! bears the name was whole, and an interrupted run leaves only a working folder, which the next one takes up: what was
//! downloaded need not be again. Nothing outside the target directory changes, and `cargo clean` removes it all.

mod download;
mod extract;
mod inventory;
mod launcher;
mod status;

use std::fs;
use std::io;
use std::path::Path;

use crate::setup::step::say;
use crate::workspace::Workspace;
use download::Workplace;

pub(super) use download::complaint;

/// Whether there is a folder of unpacked packages, and whole.
pub(super) fn is_there(workspace: &Workspace) -> bool {
    inventory::is_whole(&workspace.packages())
}

/// Unpacks the first of these sets of packages that can be had, in place of what was unpacked before.
///
/// # Errors
///
/// Why that could not be done, for the user.
pub(super) fn bring(workspace: &Workspace, sets: &[Vec<&str>]) -> Result<(), String> {
    let (packages, work) = (workspace.packages(), workspace.target("setup").join("work"));
    let unpacked = work.join("unpacked");
    remove(&unpacked)?;
    let files = Workplace::make(work.clone())?.fetch(sets)?;
    let told = |error: io::Error| format!("{} cannot be written: {error}", unpacked.display());
    fs::create_dir_all(&unpacked).map_err(told)?;
    let written = extract::all(&files, &unpacked).and_then(|()| {
        launcher::write(&unpacked).map_err(told)?;
        inventory::write(&unpacked).map_err(told)
    });
    let size = match written {
        Ok(size) => size,
        Err(why) => {
            // The disk may be full: this is no time to keep what is of no use.
            let _ = remove(&unpacked);
            return Err(why);
        }
    };
    remove(&packages)?;
    fs::rename(&unpacked, &packages).map_err(|error| format!("{} cannot be made: {error}", packages.display()))?;
    remove(&work)?;
    say(&format!("{} MB in {}, which may be deleted at any time", size / 1_000_000, packages.display()));
    Ok(())
}

/// Removes a folder, if it is there, whole or not at all to those who look for it by its name.
fn remove(folder: &Path) -> Result<(), String> {
    let leaving = folder.with_extension("old");
    let gone = |path: &Path| match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let removed = || {
        gone(&leaving)?;
        match fs::rename(folder, &leaving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => gone(&leaving),
        }
    };
    removed().map_err(|error| format!("{} cannot be removed: {error}", folder.display()))
}
