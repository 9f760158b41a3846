//! The copy of the tree that patches are put on.
//!
//! It stays from one run to the next, and a file is written only where it differs, so that what cargo has built of it stays
//! good, too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::patch::Patch;
use crate::status::Stop;
use crate::workspace::Workspace;

/// What is not copied: what was built, and what git keeps.
const OTHERS: [&str; 2] = ["target", ".git"];

/// The copy.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    target: PathBuf,
}

/// A patch on the tree, until it is dropped.
#[derive(Debug)]
pub(super) struct Applied {
    before: Vec<(PathBuf, String)>,
}

impl Tree {
    /// Makes the copy what the checkout is.
    pub(super) fn copied(workspace: &Workspace) -> Result<Self, Stop> {
        // What it depends on is built already, if the checkout is.
        let tree = Self { root: workspace.target("mutated"), target: workspace.target("") };
        let failed = |error: io::Error| Stop::not_ready(format!("{}: {error}", tree.root.display()));
        copy(workspace.root(), &tree.root).map_err(failed)?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Puts a patch on: all of it, or nothing.
    pub(super) fn apply(&self, patch: &Patch) -> Result<Applied, String> {
        let mut applied = Applied { before: Vec::new() };
        for (path, before, after) in edited(&self.root, patch)? {
            applied.before.push((path.clone(), before));
            fs::write(&path, after).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(applied)
    }
}

/// The files that a patch changes, with what is in them and what will be.
pub(super) fn edited(root: &Path, patch: &Patch) -> Result<Vec<(PathBuf, String, String)>, String> {
    let mut files: Vec<(PathBuf, String, String)> = Vec::new();
    for edit in &patch.edits {
        let path = root.join(&edit.file);
        match files.iter_mut().find(|(known, ..)| *known == path) {
            Some((_, _, after)) => *after = edit.applied(after)?,
            None => {
                let before = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", edit.file))?;
                let after = edit.applied(&before)?;
                files.push((path, before, after));
            }
        }
    }
    Ok(files)
}

impl Drop for Applied {
    fn drop(&mut self) {
        for (path, before) in &self.before {
            // In vain, the next run makes the copy anew.
            let _ = fs::write(path, before);
        }
    }
}

/// Copies what differs, and removes what there is not: a test that is gone would be built else.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if OTHERS.iter().any(|other| name == *other) {
            continue;
        }
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            let bytes = fs::read(&from)?;
            if !fs::read(&to).is_ok_and(|there| there == bytes) {
                fs::write(&to, bytes)?;
            }
        }
        names.push(name);
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !names.contains(&entry.file_name()) {
            if entry.path().is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_follows_the_tree_and_a_patch_is_taken_back() {
        let home = std::env::temp_dir().join(format!("xtask-mutants-{}", std::process::id()));
        let (from, root) = (home.join("from"), home.join("to"));
        fs::create_dir_all(from.join("a/target")).unwrap();
        fs::write(from.join("a/x"), "1\n2\n3\n").unwrap();
        fs::write(from.join("gone"), "").unwrap();
        copy(&from, &root).unwrap();
        assert!(!root.join("a/target").exists() && root.join("gone").exists());
        let written = fs::metadata(root.join("a/x")).unwrap().modified().unwrap();
        fs::remove_file(from.join("gone")).unwrap();
        copy(&from, &root).unwrap();
        assert!(!root.join("gone").exists());
        assert_eq!(fs::metadata(root.join("a/x")).unwrap().modified().unwrap(), written, "it is not written again");

        let text =
            |last| format!("Breaks: I1: x\nTest: a b c\nSays: d\n---\n+++ b/a/x\n@@ @@\n-1\n+7\n@@ @@\n-{last}\n+9\n");
        let tree = Tree { root: root.clone(), target: home.join("target") };
        let read = || fs::read_to_string(root.join("a/x")).unwrap();
        let applied = tree.apply(&Patch::read("p.patch".as_ref(), &text(3)).unwrap()).unwrap();
        assert_eq!(read(), "7\n2\n9\n");
        drop(applied);
        assert_eq!(read(), "1\n2\n3\n");
        assert!(tree.apply(&Patch::read("p.patch".as_ref(), &text(4)).unwrap()).is_err());
        assert_eq!(read(), "1\n2\n3\n", "nothing was changed");
        fs::remove_dir_all(home).unwrap();
    }
}
