//! `docs/CALLS.md` has a row for each public function that can refuse, and for nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use super::read;
use super::source::Source;

/// Answers that are no refusals: a word, a translation or a figure that may not be there. Each is in the last table.
const LAST_TABLE: &str = "## Answers that may be `None`";

#[test]
fn every_public_function_that_can_refuse_has_a_row() {
    let (refusing, answering) = rows();
    let source = Source::once();
    for (name, answer) in &source.fallible {
        let table = if answer.starts_with("Result<") { &refusing } else { &answering };
        assert!(
            table.contains(name),
            "docs/CALLS.md has no row for {name}, which answers {answer}, or in another table"
        );
    }
}

#[test]
fn every_row_is_of_a_function_that_exists() {
    let source = Source::once();
    let (refusing, answering) = rows();
    for name in refusing.iter().chain(&answering) {
        let exists = match name.rsplit_once("::") {
            Some((of, function)) => source.members.contains(&(of.to_owned(), function.to_owned())),
            None => source.items.contains(name),
        };
        assert!(exists, "docs/CALLS.md has a row for {name}, which does not exist");
    }
}

#[test]
fn every_reason_of_an_error_has_its_cure() {
    let text = read(Path::new("docs/CALLS.md"));
    for error in
        ["AllocError", "FreeError", "ReserveError", "CreateError", "RegisterError", "RemoveError", "LayoutError"]
            .into_iter()
            .chain(["AttachError", "ViewBaseError", "LinkError", "MaskError", "PlaceError", "ChangeError"])
            .chain(["SlabError", "PoolError", "HeapError", "InitError", "MapError", "Misuse", "ValidateError"])
    {
        let variants: Vec<_> = Source::once().members.iter().filter(|(of, _)| of == error).collect();
        let named = |variant: &str| text.contains(&format!("`{variant}`"));
        let reasons = variants
            .iter()
            .filter(|(_, variant)| variant.starts_with(char::is_uppercase) && variant.chars().any(char::is_lowercase));
        assert!(!variants.is_empty(), "no {error} found");
        for (_, variant) in reasons {
            assert!(named(variant), "docs/CALLS.md does not say what cures {error}::{variant}");
        }
    }
}

/// The functions that begin the rows: of the tables of errors, and of the last one.
fn rows() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = read(Path::new("docs/CALLS.md"));
    let (refusing, answering) = text.split_once(LAST_TABLE).expect("a last table");
    (named(refusing), named(answering))
}

/// The functions in the first cells of rows.
fn named(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |")).map(|(cell, _)| cell);
    let names = cells.flat_map(|cell| cell.split(", of ").next().unwrap_or_default().split(", "));
    let names = names.map(|name| name.trim_matches('`'));
    // Reasons of errors begin rows, too.
    let is_function = |name: &&str| name.rsplit("::").next().is_some_and(|last| !last.starts_with(char::is_uppercase));
    names.filter(is_function).map(str::to_owned).collect()
}
