//! `cargo xtask parity`: what `docs/UPSTREAM-PARITY.md` says of Linux's tests is true.
//!
//! Each claim has its row there, and the row names the tests that make the claim here, or says why there are none. The tests are
//! looked up in the source, so this needs no build. Whether they ran is asked of what a whole `cargo xtask test` printed. That a
//! test shows what its row says is for people to read.

mod document;
mod names;
mod record;
mod source;

use std::fs;
use std::path::Path;

use crate::status::{Status, Stop};
use crate::workspace::Workspace;

use document::{Document, Kind};
use names::Name;
use record::Record;

/// The document, from the root of the checkout.
const DOCUMENT: &str = "docs/UPSTREAM-PARITY.md";

/// Checks the document, and with a record that its tests ran and passed.
///
/// # Errors
///
/// A file cannot be read, or something in the document is not as it says: each complaint is printed with its row.
pub(crate) fn run(workspace: &Workspace, record: Option<&str>) -> Result<Status, Stop> {
    let document = read(&workspace.root().join(DOCUMENT))?;
    let record = record.map(|file| read(Path::new(file))).transpose()?;
    let (document, complaints) = check(workspace.root(), &document, record.as_deref());
    complaints.iter().for_each(|complaint| println!("FAILED {complaint}"));
    let [mirrored, not_here, open] = [Kind::Mirrored, Kind::NotHere, Kind::Open]
        .map(|kind| document.rows.iter().filter(|row| row.kind == kind).count());
    println!("{mirrored} mirrored, {not_here} not here, {open} open; {} wrong", complaints.len());
    if complaints.is_empty() { Ok(Status::Success) } else { Ok(Status::Failed) }
}

fn read(path: &Path) -> Result<String, Stop> {
    fs::read_to_string(path).map_err(|error| Stop::not_ready(format!("{}: {error}", path.display())))
}

/// What the document says, and what is wrong with that, row by row.
fn check(root: &Path, document: &str, record: Option<&str>) -> (Document, Vec<String>) {
    let (document, mut complaints) = Document::read(document);
    let record = record.map(Record::read);
    for row in &document.rows {
        for test in &row.tests {
            let name = Name::new(test);
            let found = source::has(root, &name)
                .and_then(|()| record.as_ref().map_or(Ok(()), |record| record.has_passed(&name)));
            complaints.extend(found.err().map(|why| format!("{}: `{test}`: {why}", row.number)));
        }
    }
    (document, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn every_claim_has_its_row_and_every_test_of_it_exists() {
        let text = fs::read_to_string(root().join(DOCUMENT)).unwrap();
        let (document, complaints) = check(root(), &text, None);
        assert_eq!(complaints, [""; 0]);
        let tests: usize = document.rows.iter().map(|row| row.tests.len()).sum();
        assert!(tests > 150, "only {tests} tests found");
    }

    #[test]
    fn a_complaint_names_its_row() {
        let text = fs::read_to_string(root().join(DOCUMENT)).unwrap();
        let wrong = text.replacen("two_pages_can_be_had_one_by_one_and_again", "three_pages", 1);
        assert_ne!(wrong, text);
        let (_, complaints) = check(root(), &wrong, None);
        assert_eq!(complaints, ["T1: `host::upstream::alloc::three_pages`: tests/upstream/alloc.rs has no such test"]);
        // None ran, so each row with tests complains.
        let (document, complaints) = check(root(), &text, Some("ok host::something_else\n1 passed, 0 failed\n"));
        let tests: usize = document.rows.iter().map(|row| row.tests.len()).sum();
        assert_eq!(complaints.len(), tests);
        assert_eq!(
            complaints[1],
            "T2: `host::upstream::alloc::two_pages_can_be_had_one_by_one_where_nothing_may_wait`: it did not run"
        );
    }
}
