//! `cargo xtask mutants`: each breakage of `tests/mutants` is caught, by the test that it names and in the words that it says.
//!
//! A suite that passes says that nothing it looks at is broken. What it looks at is shown by breaking one rule at a time: a
//! patch a rule, put on a copy of the tree below the target directory, so that nothing of the checkout changes. The broken
//! tree must compile, for a patch that does not is caught by nobody, and one test must fail, with one assertion, for one that
//! fails elsewhere may have failed for another reason. Only that test is built and run. Patches of one package come one after
//! the other, and share what it has built.

mod edit;
mod patch;
mod sample;
mod tree;
mod trial;

use std::time::Instant;

use crate::cli::Mutants;
use crate::status::{Status, Stop};
use crate::term;
use crate::workspace::Workspace;

use patch::Patch;
use tree::Tree;
use trial::Fate;

/// The folder of the patches, from the root of the checkout.
const FOLDER: &str = "tests/mutants";

/// Tries each mutant that was asked for, and prints the table.
///
/// # Errors
///
/// A patch cannot be read or has no such header, no name has the filter in it, or the tree cannot be copied.
pub(crate) fn run(workspace: &Workspace, asked: &Mutants) -> Result<Status, Stop> {
    let mut patches = Patch::all(&workspace.root().join(FOLDER))?;
    if !asked.filters.is_empty() {
        patches.retain(|patch| asked.filters.iter().any(|filter| patch.has(filter)));
    }
    if patches.is_empty() {
        return Err(Stop::failed(format!("no mutant has {} in its name or rule", asked.filters.join(" or "))));
    }
    if let Some(count) = asked.sample {
        patches = sample::chosen(patches, count, sample::commit(workspace.root()).as_deref());
    }
    patches.sort_by(|one, other| (&one.test, &one.name).cmp(&(&other.test, &other.name)));
    let tree = Tree::copied(workspace)?;
    let mut caught = 0;
    for patch in &patches {
        let started = Instant::now();
        let fate = trial::run(&tree, patch)?;
        let verdict = if matches!(fate, Fate::Caught) { "ok" } else { "FAILED" };
        println!("{verdict} mutant::{} ({}: {})", patch.name, patch.rule, patch.test);
        fate.explanation().iter().for_each(|line| println!("    {line}"));
        term::note(&format!("{}: {:.1} s", patch.name, started.elapsed().as_secs_f64()));
        caught += usize::from(matches!(fate, Fate::Caught));
    }
    println!("{caught} of {} mutants caught", patches.len());
    if caught == patches.len() { Ok(Status::Success) } else { Ok(Status::Failed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn patches() -> Vec<Patch> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Patch::all(&root.join(FOLDER)).unwrap()
    }

    #[test]
    fn every_rule_is_broken_by_a_mutant() {
        let broken: BTreeSet<String> = patches().into_iter().map(|patch| patch.rule).collect();
        let rules = (1..=11).map(|number| format!("I{number}")).chain((1..=8).map(|number| format!("O{number}")));
        let others = ["destroy", "fault", "groups", "masks", "pool", "program", "registry", "views", "violations"];
        for rule in rules.chain(others.map(String::from)) {
            assert!(broken.contains(&rule), "no mutant breaks {rule}");
        }
        assert!(patches().len() >= 40, "only {} mutants", patches().len());
    }

    #[test]
    fn every_mutant_still_applies() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for patch in patches() {
            let complaint = tree::edited(root, &patch).err();
            assert_eq!(complaint, None, "{}: write it anew", patch.name);
        }
    }
}
