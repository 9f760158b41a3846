//! The documents: every number that a comment cites is explained, and every link leads somewhere.
//!
//! Rules (I, S, O) and claims (T, N, U) are cited as a letter and a number wherever they are relied on or tested. What each means
//! stands in `docs/MODEL.md`, `docs/HEAP.md` and `docs/UPSTREAM-PARITY.md`, as the first cell of a table or the bold start of an
//! item. That each claim has its tests is what `cargo xtask parity` checks.
//! That each function which can refuse has its row is in `calls`, that what is named exists in `spans`, that the code of
//! `docs/PORTING.md` is what is booted in `porting`, that each ordering has its row in `orderings`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "documents/calls.rs"]
mod calls;
#[path = "documents/orderings.rs"]
mod orderings;
#[path = "documents/porting.rs"]
mod porting;
#[path = "documents/source.rs"]
mod source;
#[path = "documents/spans.rs"]
mod spans;
#[path = "documents/tokens.rs"]
mod tokens;

/// Which document explains which letters.
const EXPLAINED: [(&str, &[char]); 3] =
    [("docs/MODEL.md", &['I', 'S']), ("docs/HEAP.md", &['O']), ("docs/UPSTREAM-PARITY.md", &['T', 'N', 'U'])];
/// Where comments and documents are.
const CITING: [&str; 11] = [
    "src",
    "arch",
    "tests",
    "examples",
    "benches",
    "tools",
    "xtask",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

#[test]
fn every_number_that_is_cited_is_explained() {
    let explained = explained();
    let unexplained: BTreeMap<_, _> = cited().into_iter().filter(|(number, _)| !explained.contains(number)).collect();
    assert!(unexplained.is_empty(), "cited, and explained in none of docs/: {unexplained:#?}");
}

#[test]
fn every_link_between_documents_leads_to_a_file() {
    let mut links = 0;
    for path in files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let directory = root().join(path.parent().expect("a file is in a directory"));
        for target in targets(&read(&path)) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            if !file.contains("://") {
                links += 1;
                let file = if file.is_empty() { root().join(&path) } else { directory.join(file) };
                assert!(file.exists(), "{}: no {target}", path.display());
                let is_there = heading.is_empty() || anchors(&read(&file)).any(|anchor| anchor == heading);
                assert!(is_there, "{}: {target} has no such heading", path.display());
            }
        }
    }
    assert!(links >= 10, "only {links} links found");
}

/// The numbers that the documents explain.
fn explained() -> BTreeSet<String> {
    let mut explained = BTreeSet::new();
    for (document, letters) in EXPLAINED {
        let text = read(Path::new(document));
        let before = explained.len();
        for line in text.lines() {
            let cell = line.strip_prefix("| ").and_then(|rest| rest.split_once(" |"));
            let item = line.strip_prefix("- **").and_then(|rest| rest.split_once("** "));
            if let Some((number, _)) = cell.or(item).filter(|(word, _)| is_number(word) && word.starts_with(letters)) {
                assert!(explained.insert(number.to_owned()), "{document}: {number} is explained twice");
            }
        }
        assert!(explained.len() >= before + 6, "{document}: what it explains is not found");
    }
    explained
}

/// The numbers that are cited, and where.
fn cited() -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut cited = BTreeMap::<_, BTreeSet<_>>::new();
    for path in files() {
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        for line in read(&path).lines() {
            // Of code only comments: constants may have such names.
            let text = if is_code { line.split_once("//").map_or("", |(_, comment)| comment) } else { line };
            for word in
                text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').map(|w| w.trim_end_matches('.'))
            {
                if is_number(word) && word.starts_with(['I', 'S', 'O', 'T', 'N', 'U']) {
                    cited.entry(word.to_owned()).or_default().insert(path.clone());
                }
            }
        }
    }
    assert!(cited.len() > 60, "only {} numbers found", cited.len());
    cited
}

/// A capital and one to three digits.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or_default();
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where the links of a text in Markdown lead: `[…](here)`, and `[…]: here`.
fn targets(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let defined = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).map(|(_, target)| target);
    inline.chain(defined).collect()
}

/// What the headings of a text are linked by.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches(['#', ' ']));
    headings.map(|heading| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    })
}

/// All files of comments and documents, relative to the root.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = CITING.iter().map(PathBuf::from).collect();
    while let Some(path) = open.pop() {
        if root().join(&path).is_dir() {
            let entries = fs::read_dir(root().join(&path)).expect("a directory can be read");
            open.extend(entries.map(|entry| path.join(entry.expect("its entries, too").file_name())));
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
