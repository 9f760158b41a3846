//! A few mutants for each commit, other ones for the next.

use std::path::Path;
use std::process::Command;

use super::patch::Patch;

/// The name of the commit that is checked out, if git says it.
pub(super) fn commit(root: &Path) -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output().ok()?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

/// So many of the patches, chosen by the commit's name; where there is none, the first.
pub(super) fn chosen(patches: Vec<Patch>, count: usize, commit: Option<&str>) -> Vec<Patch> {
    let seed = commit.map_or(0, |commit| hash(commit.as_bytes(), 0));
    let mut ordered: Vec<(u64, Patch)> =
        patches.into_iter().map(|patch| (hash(patch.name.as_bytes(), seed), patch)).collect();
    ordered.sort_by_key(|(order, _)| *order);
    ordered.into_iter().take(count).map(|(_, patch)| patch).collect()
}

/// FNV-1a, mixed at the end, since names differ in their last letters.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mixed = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(commit: Option<&str>, count: usize) -> Vec<String> {
        let text = "Breaks: I1: x\nTest: kernel-arena lib a::b\nSays: y\n---\n+++ b/x\n@@ @@\n-y\n+z\n";
        let patch = |number: u32| Patch::read(format!("m{number}.patch").as_ref(), text).unwrap();
        chosen((0..40).map(patch).collect(), count, commit).into_iter().map(|patch| patch.name).collect()
    }

    #[test]
    fn a_commit_has_its_own_and_always_the_same() {
        let commits: Vec<String> = (0..50).map(|number| format!("{number:040x}")).collect();
        let samples: Vec<_> = commits.iter().map(|commit| names(Some(commit), 3)).collect();
        assert!(samples.iter().all(|sample| sample.len() == 3));
        assert_eq!(samples[7], names(Some(&commits[7]), 3));
        let all: std::collections::BTreeSet<_> = samples.iter().flatten().collect();
        assert!(all.len() > 35, "fifty commits try {} of forty", all.len());
        assert_eq!(names(None, 100).len(), 40);
    }
}
