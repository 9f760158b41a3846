//! Rust's text as words, marks and literal texts, without its comments.

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Word(&'a str),
    /// What stands between quotes, as it is written.
    Text(&'a str),
    /// `::`.
    Path,
    /// Any other character but blanks.
    Mark(char),
}

/// The pieces of a text.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if let Some(quoted) = rest.strip_prefix('"') {
            let end = end_of_text(quoted);
            found.push(Token::Text(&quoted[..end]));
            end + 2
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '\'' {
            length_of_quote(rest)
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            found.push(Token::Word(&rest[..end]));
            end
        } else if rest.starts_with("::") {
            found.push(Token::Path);
            2
        } else if rest.starts_with("->") || rest.starts_with("=>") {
            2
        } else {
            if !first.is_whitespace() {
                found.push(Token::Mark(first));
            }
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

/// Where a literal text ends whose first quote is passed.
fn end_of_text(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(text.len())
}

/// How long a character's literal is, or what begins a lifetime.
fn length_of_quote(text: &str) -> usize {
    let mut inner = text[1..].chars();
    match inner.next() {
        Some('\\') => text[3..].find('\'').map_or(text.len(), |end| end + 4),
        Some(c) if inner.next() == Some('\'') => c.len_utf8() + 2,
        _ => 1,
    }
}
