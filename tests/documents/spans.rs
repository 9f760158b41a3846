//! What the documents name in code spans exists: files, functions, types, features, packages, commands and their options.
//!
//! A span is taken for a file if it has a slash or ends like one, for a command if it begins with `cargo`, else for names.
//! `Type::member` must be declared in the library; a single word must occur in code somewhere. What is another project's is
//! listed below, so that it is looked at when it is added.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{Source, words};
use super::{files, is_number, read, root};

/// Files and directories that are not this project's, or are made by a build.
const OTHER_FILES: [&str; 3] = ["tools/testing/selftests/bpf", "target/", "/proc/"];
/// Words of languages, instructions, registers and other programs that no code here has.
const OTHER_WORDS: &str = include_str!("words.txt");
/// What is derived is declared nowhere.
const DERIVED: [&str; 1] = ["default"];
/// The options of cargo, cargo-fuzz and cargo-mutants that the documents use.
const CARGO_OPTIONS: [&str; 9] = [
    "--doc",
    "--test",
    "--release",
    "--features",
    "--all-features",
    "--locked",
    "--fuzz-dir",
    "--sanitizer",
    "--shard",
];

#[test]
fn what_code_spans_name_exists() {
    let known = Known::new();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in documents() {
        // In rows of claims are names of Linux's tests, and of tests here, at which `cargo xtask parity` looks.
        let is_claim = |line: &&str| {
            let number =
                line.strip_prefix("| ").and_then(|rest| rest.split_once(" |")).map_or("", |(number, _)| number);
            number.starts_with(['T', 'N', 'U']) && is_number(number)
        };
        // Rows of orderings name what is private, too: `orderings` looks at them.
        let is_row = |line: &&str| document.ends_with("ORDERINGS.md") && line.starts_with("| `");
        let is_other = |line: &&str| !is_claim(line) && !is_row(line);
        let text: Vec<_> = read(&document).lines().filter(is_other).map(str::to_owned).collect();
        for span in spans(&text.join("\n")) {
            seen += 1;
            if let Some(why) = known.objection(&span, &document) {
                wrong.push(format!("{}: `{span}`: {why}", document.display()));
            }
        }
    }
    assert!(seen > 500, "only {seen} code spans found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_feature_is_in_the_lists_of_features() {
    let features = features();
    let readme = read(Path::new("README.md"));
    let table: BTreeSet<String> = (readme.split("| feature | |").nth(1).expect("a table of features").lines().skip(1))
        .take_while(|line| !line.is_empty())
        .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .collect();
    assert_eq!(table, features, "README.md");
    let library = read(Path::new("src/lib.rs"));
    let list = library.split("//! # Features").nth(1).expect("a list of features").split("//! The crate").next();
    let list: BTreeSet<String> = (list.expect("its end").lines().filter(|line| line.starts_with("//! - ")))
        .flat_map(|line| line.split(": ").next().unwrap_or_default().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(list, features, "src/lib.rs");
}

#[test]
fn code_in_documents_is_compiled() {
    let library = read(Path::new("src/lib.rs"));
    for document in documents() {
        let has_code = read(&document).lines().any(|line| line.starts_with("```rust"));
        let is_included = library.contains(&format!("include_str!(\"../{}\")", document.display()));
        assert!(!has_code || is_included, "{}: what is in ```rust there is compiled by nothing", document.display());
    }
}

/// What may be named.
struct Known {
    source: &'static Source,
    /// All files of the project, relative to the root.
    tree: Vec<String>,
    /// Features, packages, and words of other projects.
    names: BTreeSet<String>,
    help: String,
}

impl Known {
    fn new() -> Self {
        let mut names = features();
        let lock = read(Path::new("Cargo.lock"));
        names.extend(
            lock.lines().filter_map(|line| Some(line.strip_prefix("name = \"")?.trim_end_matches('"').to_owned())),
        );
        let benches = read(Path::new("benches/Cargo.toml"));
        names.extend(benches.lines().filter_map(|line| Some(line.split_once(" = [")?.0.to_owned())));
        names.extend(
            OTHER_WORDS
                .lines()
                .filter(|line| !line.starts_with('#'))
                .flat_map(str::split_whitespace)
                .map(str::to_owned),
        );
        let tree = every_file().into_iter().map(|path| path.display().to_string()).collect();
        Self { source: Source::once(), tree, names, help: read(Path::new("xtask/src/cli/help.rs")) }
    }

    /// What is wrong with a span.
    fn objection(&self, span: &str, document: &Path) -> Option<String> {
        if let Some(command) = span.strip_prefix("cargo ") {
            return self.object_to_command(command);
        }
        let is_path = span.contains('/') || [".rs", ".md", ".py", ".toml"].iter().any(|end| span.ends_with(end));
        if is_path && !span.contains([' ', '(', '…', '&', '|']) {
            return (!self.has_file(span, document)).then(|| "no such file".to_owned());
        }
        let names = span.split(|c: char| !c.is_alphanumeric() && !['_', ':', '-'].contains(&c));
        let is_single = !span.contains([' ', '=', '+', '*', '^']);
        names.map(|name| name.trim_matches([':', '-'])).find_map(|name| match name.split_once("::") {
            Some(_) => self.object_to_path(name),
            None if is_single => self.object_to_word(name),
            None => None,
        })
    }

    /// `cargo xtask …`, and cargo's own.
    fn object_to_command(&self, command: &str) -> Option<String> {
        let mut words = command.split(['#', '`']).next().unwrap_or_default().split_whitespace();
        let is_own = command.starts_with("xtask");
        if is_own {
            let task = words.nth(1)?;
            let known = task.starts_with("--") || self.help.contains(&format!("cargo xtask {task}"));
            if !known {
                return Some(format!("no command {task}"));
            }
        }
        let mut before = "";
        for word in words {
            let missing = match before {
                "-p" | "--features" => !self.names.contains(word),
                _ => {
                    let options = if is_own { vec![] } else { CARGO_OPTIONS.to_vec() };
                    word.starts_with("--") && word != "--" && !self.help.contains(word) && !options.contains(&word)
                }
            };
            if missing {
                return Some(format!("no {word}"));
            }
            before = word;
        }
        None
    }

    fn has_file(&self, path: &str, document: &Path) -> bool {
        if OTHER_FILES.iter().any(|other| path.starts_with(other)) {
            return true;
        }
        let beside = document.parent().map_or_else(String::new, |parent| parent.join(path).display().to_string());
        let (start, end) = path.split_once('*').unwrap_or((path.trim_end_matches('/'), ""));
        let fits = |file: &String, start: &str| {
            if path.contains('*') {
                file.rsplit('/').any(|_| file.contains(start)) && file.ends_with(end)
            } else {
                file == start || file.starts_with(&format!("{start}/")) || file.ends_with(&format!("/{start}"))
            }
        };
        self.tree.iter().any(|file| fits(file, start) || fits(file, &beside))
    }

    fn object_to_path(&self, path: &str) -> Option<String> {
        let parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
        if ["core", "std", "alloc"].contains(parts.first()?) {
            return None;
        }
        let (last, before) = parts.split_last()?;
        if let Some(strange) = before.iter().find(|part| !self.is_declared(part)) {
            return Some(format!("no {strange}"));
        }
        match before.last() {
            Some(of) if of.starts_with(char::is_uppercase) => {
                let has = self.source.members.contains(&((*of).to_owned(), (*last).to_owned()));
                (!has && !DERIVED.contains(last)).then(|| format!("{of} has no {last}"))
            }
            _ => (!self.is_declared(last)).then(|| format!("no {last}")),
        }
    }

    fn is_declared(&self, name: &str) -> bool {
        name == "kernel_arena" || self.source.items.contains(name) || self.names.contains(name)
    }

    fn object_to_word(&self, word: &str) -> Option<String> {
        let is_name = word.len() > 2 && word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let is_known = || self.names.contains(word) || words(word).all(|part| self.source.words.contains(part));
        (is_name && !is_known()).then(|| format!("no code has {word}"))
    }
}

/// The features of the library.
fn features() -> BTreeSet<String> {
    let manifest = read(Path::new("Cargo.toml"));
    let section = manifest.split("\n[features]\n").nth(1).expect("features").split("\n[").next().unwrap_or_default();
    let names = section.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    names.map(|(name, _)| name.to_owned()).filter(|name| name != "default").collect()
}

/// The documents.
fn documents() -> Vec<PathBuf> {
    let found: Vec<_> = files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    assert!(found.len() >= 8, "only {} documents found", found.len());
    found
}

/// The code spans of a text, and of its blocks of shell the commands.
fn spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut prose = String::new();
    let mut block: Option<&str> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(language), None) => block = Some(language),
            (None, Some("sh")) if line.starts_with("cargo ") => spans.push(line.to_owned()),
            (None, Some(_)) => {}
            (None, None) => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    // A span may go on over the end of a line, but not of a paragraph.
    for paragraph in prose.split("\n\n") {
        spans.extend(paragraph.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")));
    }
    spans
}

/// Every file of the project, but for what builds make.
fn every_file() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(root().join(&directory)).expect("a directory can be read").flatten() {
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() != ".git" && entry.file_name() != "target" => {
                    open.push(path)
                }
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found
}
