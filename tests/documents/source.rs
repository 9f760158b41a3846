//! What the library's source declares, read as text: rustfmt puts every item where a look at its margin finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use super::{files, read};

/// What the library offers.
#[derive(Default)]
pub(crate) struct Source {
    /// Public functions that can refuse, by name (`Type::function`, or `function`), and what their answer is.
    pub(crate) fallible: BTreeMap<String, String>,
    /// Everything that can be named as `Type::member`: functions, constants and variants, of traits too.
    pub(crate) members: BTreeSet<(String, String)>,
    /// Modules, and everything that is declared at the margin.
    pub(crate) items: BTreeSet<String>,
    /// Every word of the source, comments left out, and of the examples and tests.
    pub(crate) words: BTreeSet<String>,
}

impl Source {
    /// Read once for all tests.
    pub(crate) fn once() -> &'static Self {
        static SOURCE: LazyLock<Source> = LazyLock::new(Source::read);
        &SOURCE
    }

    /// Reads the library, and the words of everything else.
    fn read() -> Self {
        let mut source = Self::default();
        for path in files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let text = read(&path);
            if path.starts_with("tests/documents") {
                continue; // What is named here need not exist.
            }
            let code = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
            source.words.extend(code.flat_map(words).map(str::to_owned));
            // What is only compiled for models, or for benches, is nobody's to call.
            let is_public = !["slab/modelled.rs", "arena/bench.rs"].iter().any(|file| path.ends_with(file));
            if (path.starts_with("src") || path.starts_with("arch")) && is_public {
                source
                    .items
                    .extend(path.iter().filter_map(|part| Some(Path::new(part).file_stem()?.to_str()?.to_owned())));
                source.declarations(&text);
            }
        }
        assert!(source.fallible.len() > 40, "only {} functions that refuse found", source.fallible.len());
        source
    }

    fn declarations(&mut self, text: &str) {
        let mut lines = text.lines();
        // The type that an `impl`, a trait or a type's own braces are of, and whether all in it is public.
        let mut of: Option<(String, bool)> = None;
        while let Some(line) = lines.next() {
            let inner = line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '/', '#']));
            if line == "}" {
                of = None;
            } else if let (Some(inner), Some((name, open))) = (inner, &of) {
                let (words, open) = (declared(inner), *open || inner.starts_with("pub "));
                if let Some(member) = words {
                    self.members.insert((name.clone(), member.to_owned()));
                    self.note(format!("{name}::{member}"), open, inner, &mut lines);
                } else if let Some(variant) = words_of(inner).next().filter(|word| word.starts_with(char::is_uppercase))
                {
                    self.members.insert((name.clone(), variant.to_owned()));
                }
            } else if !line.starts_with([' ', '/', '#']) && !line.is_empty() {
                let head = line.trim_start_matches("unsafe ");
                if head.starts_with("impl") {
                    let whole = whole(head, &mut lines);
                    of = (!whole.ends_with("{}")).then(|| (implementor(&whole).to_owned(), false));
                } else if let Some(item) = declared(line) {
                    self.items.insert(item.to_owned());
                    let is_trait = words_of(line).any(|word| word == "trait");
                    if line.ends_with('{') && words_of(line).any(|word| ["trait", "enum", "struct"].contains(&word)) {
                        of = Some((item.to_owned(), is_trait && line.starts_with("pub ")));
                    }
                    self.note(item.to_owned(), line.starts_with("pub "), line, &mut lines);
                }
            }
        }
    }

    /// Notes a public function that can refuse.
    fn note<'a>(&mut self, name: String, is_public: bool, line: &'a str, rest: &mut impl Iterator<Item = &'a str>) {
        if !is_public || !words_of(line).any(|word| word == "fn") {
            return;
        }
        let head = whole(line, rest);
        let answer = head.rsplit_once("-> ").map_or("", |(_, answer)| answer.trim_end_matches([' ', '{', ';', '}']));
        if answer.starts_with("Result<") || answer.starts_with("Option<") {
            self.fallible.insert(name, answer.to_owned());
        }
    }
}

/// The identifiers of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The words of a line up to its first bracket.
fn words_of(line: &str) -> impl Iterator<Item = &str> {
    words(line.split(['(', '<', '{', '=', ':', ',']).next().unwrap_or_default())
}

/// The name that a line declares.
fn declared(line: &str) -> Option<&str> {
    let kinds = ["fn", "const", "type", "struct", "enum", "trait", "static", "mod"];
    let mut words = words_of(line).peekable();
    while let Some(word) = words.next() {
        // `const fn`: the function is what is declared.
        if kinds.contains(&word) && words.peek().is_some_and(|next| !["fn", "unsafe"].contains(next)) {
            return words.next();
        }
    }
    None
}

/// A head that may go on over the next lines, up to its brace or semicolon.
fn whole<'a>(line: &'a str, rest: &mut impl Iterator<Item = &'a str>) -> String {
    let mut head = line.to_owned();
    while !head.ends_with(['{', ';', '}']) {
        let Some(next) = rest.next() else { break };
        head = format!("{head} {}", next.trim());
    }
    head
}

/// Of which type an `impl` is.
fn implementor(head: &str) -> &str {
    let mut depth = 0;
    let generics = head.trim_start_matches("impl");
    let end = generics.find(|c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0
    });
    let rest = if generics.starts_with('<') { &generics[end.map_or(0, |end| end + 1)..] } else { generics };
    let rest = rest.split_once(" for ").map_or(rest, |(_, of)| of);
    let path = rest.trim_start_matches([' ', '&', '*']).split(['<', ' ', '{']).next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or_default()
}
