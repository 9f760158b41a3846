//! `docs/ORDERINGS.md` has a row for each function that orders memory, with its orderings as the source has them, and no other.
//!
//! An ordering is `Ordering::X` in Rust, and in the assembly of `arch/` an instruction that locks, acquires, releases, or is a
//! barrier or a flush. What stands in tests, comments and imports is none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use super::tokens::{Token, tokens};
use super::{files, read, root};

const TABLE: &str = "docs/ORDERINGS.md";
const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
/// How an instruction begins that orders, or makes a processor forget.
const INSTRUCTIONS: [&str; 16] = [
    "lock", "xchg", "mfence", "lfence", "sfence", "ldar", "ldaxr", "stlr", "stlxr", "cas", "swp", "dmb", "dsb", "isb",
    "tlbi", "invlpg",
];

/// Orderings by the directory, the file in it and the function.
type Sites = BTreeMap<(String, String, String), Vec<String>>;

#[test]
fn every_ordering_has_its_row() {
    let (sites, rows) = (sites(), rows());
    assert!(sites.len() > 150, "only {} functions with orderings found", sites.len());
    let mut wrong = String::new();
    for ((directory, file, function), found) in &sites {
        let found = found.join(", ");
        let skeleton = format!("under \"## {directory}\":\n| `{file}` `{function}` | {found} |  |  |");
        match rows.get(&(directory.clone(), file.clone(), function.clone())) {
            None => write!(wrong, "\nno row; say what pairs with it and what shows that it suffices, {skeleton}"),
            Some(row) if row.orderings != found => write!(wrong, "\nother orderings ({}), {skeleton}", row.orderings),
            Some(row) if row.pairs.is_empty() || row.shown.is_empty() => {
                write!(wrong, "\nnothing pairs or nothing shows it, {skeleton}")
            }
            Some(_) => Ok(()),
        }
        .expect("a string takes all");
    }
    for key @ (directory, file, function) in rows.keys().filter(|key| !sites.contains_key(*key)) {
        let line = rows[key].line;
        write!(wrong, "\na row for nothing, line {line}: {directory}/{file} has no orderings in {function}")
            .expect("a string takes all");
    }
    assert!(wrong.is_empty(), "{TABLE}:{wrong}");
}

#[test]
fn every_other_side_that_is_named_has_a_row() {
    let rows = rows();
    let functions: BTreeSet<&str> = rows.keys().map(|(_, _, function)| function.as_str()).collect();
    for row in rows.values() {
        let spans = row.pairs.split('`').skip(1).step_by(2).chain(row.shown.split('`').skip(1).step_by(2));
        for name in spans.filter(|span| span.contains("::")) {
            assert!(functions.contains(name), "{TABLE}:{}: no row for {name}", row.line);
        }
    }
}

#[test]
fn every_model_that_is_named_exists() {
    let mut named = 0;
    for (key, row) in &rows() {
        for part in row.shown.split(';').filter_map(|part| part.trim().strip_prefix("loom ")) {
            let names = part.split('(').next().unwrap_or_default().split('`').skip(1).step_by(2);
            for name in names {
                named += 1;
                let is_there = root().join(format!("tests/loom/{name}.rs")).exists();
                assert!(is_there, "{TABLE}:{}: no model {name}, of {key:?}", row.line);
            }
        }
    }
    assert!(named > 100, "only {named} names of models found");
}

/// What a row says.
struct Row {
    line: usize,
    orderings: String,
    pairs: String,
    shown: String,
}

/// The rows, each under the heading that names its directory.
fn rows() -> BTreeMap<(String, String, String), Row> {
    let mut rows = BTreeMap::new();
    let mut directory = String::new();
    for (line, text) in (1..).zip(read(Path::new(TABLE)).lines()) {
        if let Some(heading) = text.strip_prefix("## ") {
            heading.trim_matches('`').clone_into(&mut directory);
        }
        let Some((site, rest)) = text.strip_prefix("| `").and_then(|rest| rest.split_once("` | ")) else { continue };
        let (file, function) =
            site.split_once("` `").unwrap_or_else(|| panic!("{TABLE}:{line}: a file and a function"));
        let cells: Vec<&str> = rest.split(" |").map(str::trim).collect();
        let &[orderings, pairs, shown, ""] = &cells[..] else { panic!("{TABLE}:{line}: four cells") };
        let row = Row { line, orderings: orderings.to_owned(), pairs: pairs.to_owned(), shown: shown.to_owned() };
        let twice = rows.insert((directory.clone(), file.to_owned(), function.to_owned()), row);
        assert!(twice.is_none(), "{TABLE}:{line}: a second row for {directory}/{file}, {function}");
    }
    rows
}

/// What the source has, but for its tests.
fn sites() -> Sites {
    let mut sites = Sites::new();
    for path in files() {
        let is_library = path.starts_with("src") || path.starts_with("arch");
        let is_code = path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs");
        if let (true, Some(directory), Some(file)) = (is_library && is_code, path.parent(), path.file_name()) {
            let mut scan = Scan::default();
            scan.run(&tokens(&read(&path)));
            for (function, orderings) in scan.found {
                let key = (directory.display().to_string(), file.to_string_lossy().into_owned(), function);
                sites.entry(key).or_default().extend(orderings);
            }
        }
    }
    sites
}

/// What braces are around a place.
#[derive(Clone)]
enum Scope {
    /// An `impl` or a trait, by its type's name.
    Of(String),
    /// A function, or a macro of assembly.
    Function(String),
    Test,
    Other,
}

/// A walk through a file.
#[derive(Default)]
struct Scan {
    found: BTreeMap<String, Vec<String>>,
    scopes: Vec<Scope>,
    /// What the next brace opens.
    next: Option<Scope>,
    /// Brackets within a head, where a semicolon ends nothing.
    brackets: usize,
    /// Whether orderings may stand without the name of their type.
    imports_bare: bool,
}

impl Scan {
    fn run(&mut self, mut rest: &[Token<'_>]) {
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match (token, after) {
                (Token::Word("use"), [Token::Word(_), ..]) => {
                    let end = after.iter().position(|token| *token == Token::Mark(';')).unwrap_or(after.len());
                    self.imports_bare |= after[..end]
                        .windows(2)
                        .any(|two| matches!(two, [Token::Word(kind), Token::Path] if kind.ends_with("Ordering")));
                    rest = &after[end..];
                }
                (Token::Mark('#'), [Token::Mark('['), Token::Word("cfg"), ..]) => {
                    let end = after.iter().position(|token| *token == Token::Mark(']')).unwrap_or(after.len());
                    let is_not = |at| at > 1 && after[at - 2] == Token::Word("not");
                    let mut words = after[..end].iter().enumerate();
                    if words.any(|(at, token)| *token == Token::Word("test") && !is_not(at)) {
                        self.next = Some(Scope::Test);
                    }
                    rest = &after[end..];
                }
                (Token::Word("fn"), [Token::Word(name), ..]) => self.open(Scope::Function((*name).to_owned())),
                (Token::Word("macro_rules"), [Token::Mark('!'), Token::Word(name), ..])
                    if !self.scopes.iter().any(|scope| matches!(scope, Scope::Function(_))) =>
                {
                    self.open(Scope::Function(format!("{name}!")));
                }
                (Token::Word("impl"), _) => self.open(Scope::Of(implementor(after))),
                (Token::Word("trait"), [Token::Word(name), ..]) => self.open(Scope::Of((*name).to_owned())),
                (Token::Mark('{'), _) => self.scopes.push(self.next.take().unwrap_or(Scope::Other)),
                (Token::Mark('}'), _) => drop(self.scopes.pop()),
                (Token::Mark('(' | '['), _) => self.brackets += 1,
                (Token::Mark(')' | ']'), _) => self.brackets = self.brackets.saturating_sub(1),
                (Token::Mark(';'), _) if self.brackets == 0 => self.next = None,
                (Token::Word(kind), [Token::Path, Token::Word(order), ..])
                    if kind.ends_with("Ordering") && ORDERINGS.contains(order) =>
                {
                    self.note(order);
                    rest = &after[2..];
                }
                (Token::Path, [_, ..]) => rest = &after[1..],
                (Token::Word(order), _) if self.imports_bare && ORDERINGS.contains(order) => self.note(order),
                // Barriers that are functions of a crate.
                (Token::Word(barrier @ ("dsb" | "isb")), [Token::Mark('('), Token::Word(domain), ..]) => {
                    self.note(format!("{barrier} {}", domain.to_lowercase()).trim_end_matches(" sy"));
                }
                (Token::Text(text), _) => text.split("\\n").for_each(|line| self.assembly(line)),
                _ => {}
            }
        }
    }

    /// The head of what has braces. Within a function's own head nothing begins, nor within a test.
    fn open(&mut self, scope: Scope) {
        self.brackets = 0;
        if !matches!((&self.next, &scope), (Some(Scope::Test), _) | (Some(Scope::Function(_)), Scope::Of(_))) {
            self.next = Some(scope);
        }
    }

    /// A line of assembly, or any other text.
    fn assembly(&mut self, line: &str) {
        let mut words = line.split([' ', ',']).filter(|word| !word.is_empty() && !word.ends_with(':'));
        let Some(first) = words.next() else { return };
        let stem = first.trim_end_matches(char::is_numeric);
        let is_ordered = match first {
            "mov" => words.clone().any(|word| word == "cr3") && line.trim().starts_with("mov cr3"),
            "lock" | "dmb" | "dsb" | "tlbi" | "invlpg" | "isb" | "xchg" => true,
            _ => INSTRUCTIONS.iter().any(|known| stem.starts_with(known)) && line.contains('['),
        };
        if is_ordered {
            let second = words.next().filter(|_| ["lock", "dmb", "dsb", "tlbi", "mov"].contains(&first));
            self.note(&second.map_or(first.to_owned(), |second| format!("{first} {second}")));
        }
    }

    fn note(&mut self, ordering: &str) {
        if self.scopes.iter().any(|scope| matches!(scope, Scope::Test)) {
            return;
        }
        let mut of = None;
        let mut function = None;
        for scope in self.scopes.iter().chain(&self.next) {
            match scope {
                Scope::Of(name) => of = Some(name),
                Scope::Function(name) => function = Some(name),
                Scope::Test | Scope::Other => {}
            }
        }
        let name: Vec<&str> = of.into_iter().chain(function).map(String::as_str).collect();
        self.found.entry(name.join("::")).or_default().push(ordering.to_owned());
    }
}

/// The name of the type that an `impl` is of, from what follows the word.
fn implementor(rest: &[Token<'_>]) -> String {
    let head = &rest[..rest.iter().position(|token| *token == Token::Mark('{')).unwrap_or(rest.len())];
    let mut depth = 0_i32;
    let mut name = "";
    let mut is_path = false;
    for (token, next) in head.iter().zip(head[1..].iter().chain([&Token::Mark('{')])) {
        match token {
            Token::Mark('<') => depth += 1,
            Token::Mark('>') => depth -= 1,
            Token::Word("for") if depth == 0 && *next != Token::Mark('<') => name = "",
            Token::Word("where") if depth == 0 => break,
            Token::Word(word) if depth == 0 && (name.is_empty() || is_path) => name = word,
            _ => {}
        }
        is_path = *token == Token::Path;
    }
    name.to_owned()
}
