//! The terminal: 80 columns, colours where they are wanted and understood, and pipes that may close at any time.
//!
//! What scripts read (verdicts, summaries, command lines, what the kernel says) goes to standard output; what is only for
//! whoever waits goes to standard error, indented or behind `==`. Nothing here is wider than [`COLUMNS`], but for words,
//! such as paths, that cannot be broken.

use std::io::{self, IsTerminal};

/// The width that everything fits.
pub(crate) const COLUMNS: usize = 80;

/// How text stands out (ECMA-48, 8.3.117).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// A title.
    Bold,
    /// What is less important.
    Dim,
    /// A failure.
    Red,
    /// A success.
    Green,
    /// What neither passed nor failed.
    Yellow,
}

/// Whether text stands out at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// As the terminal has them.
    On,
    /// Text alone.
    Off,
}

impl Colours {
    /// Those of standard output.
    pub(crate) fn of_output() -> Self {
        Self::decide(io::stdout().is_terminal(), |name| std::env::var(name).ok())
    }

    /// Those of standard error.
    pub(crate) fn of_error() -> Self {
        Self::decide(io::stderr().is_terminal(), |name| std::env::var(name).ok())
    }

    /// By the conventions of <https://no-color.org> and <https://bixense.com/clicolors>.
    fn decide(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is = |name: &str, wanted: &str| variable(name).is_some_and(|value| value == wanted);
        let is_wanted = match () {
            () if is_set("NO_COLOR") => false,
            () if is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
            () => is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb"),
        };
        if is_wanted { Self::On } else { Self::Off }
    }

    /// The text, standing out if that is wanted.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "1;31",
            Paint::Green => "32",
            Paint::Yellow => "33",
        };
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

/// Prints the title of what comes next to standard error.
pub(crate) fn title(text: &str) {
    eprintln!("{}", Colours::of_error().paint(Paint::Bold, &format!("== {text}")));
}

/// Prints a remark on what goes on to standard error.
pub(crate) fn note(text: &str) {
    for line in wrapped(text, 3, 5) {
        eprintln!("{}", Colours::of_error().paint(Paint::Dim, &line));
    }
}

/// Breaks a text between words into lines of at most [`COLUMNS`], the first indented by `first`, the others by `rest`.
pub(crate) fn wrapped(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(first);
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && columns(&line) + 1 + columns(word) > COLUMNS {
            lines.push(std::mem::replace(&mut line, " ".repeat(rest)));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// How many columns a line takes.
pub(crate) fn columns(line: &str) -> usize {
    plain(line).chars().count()
}

/// A line without its colours.
pub(crate) fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("\x1b[") {
        text.push_str(before);
        rest = behind.split_once(|char: char| char.is_ascii_alphabetic()).map_or("", |(_parameters, behind)| behind);
    }
    text.push_str(rest);
    text
}

/// Lets a pipe that is closed (`| head`) end xtask as it ends other programs: at once, and without a word.
///
/// Rust's programs are started with the signal ignored, and then panic when they print. Children are not concerned: the
/// standard library gives them the signal's default in any case.
pub(crate) fn end_with_the_pipe() {
    #[cfg(unix)]
    {
        use std::ffi::c_int;

        const SIGPIPE: c_int = 13;
        const SIG_DFL: usize = 0;
        unsafe extern "C" {
            fn signal(signal: c_int, handler: usize) -> usize;
        }
        // SAFETY: this is no handler of ours, but the signal's default, and no other thread runs yet.
        unsafe { signal(SIGPIPE, SIG_DFL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let decide = |is_terminal, variables: &[(&str, &str)]| {
            let variable = |name: &str| variables.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
            Colours::decide(is_terminal, variable) == Colours::On
        };
        for (is_terminal, variables, expected) in [
            (true, &[] as &[(&str, &str)], true),
            (false, &[], false),
            (true, &[("TERM", "xterm"), ("NO_COLOR", ""), ("CLICOLOR", "1")], true),
            (true, &[("TERM", "dumb")], false),
            (true, &[("CLICOLOR", "0")], false),
            (true, &[("NO_COLOR", "1")], false),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ] {
            assert_eq!(decide(is_terminal, variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn painted_text_takes_the_columns_of_plain_text() {
        let painted = Colours::On.paint(Paint::Red, "FAILED") + " x";
        assert_eq!((columns(&painted), plain(&painted).as_str()), (8, "FAILED x"));
        assert_eq!(Colours::Off.paint(Paint::Red, "FAILED"), "FAILED");
        assert_eq!(columns("─ ü"), 3);
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let lines = wrapped(&"word ".repeat(40), 3, 5);
        assert!(lines.len() == 3 && lines.iter().all(|line| columns(line) <= COLUMNS), "{lines:?}");
        assert!(lines[0].starts_with("   word") && lines[1].starts_with("     word"), "{lines:?}");
        let path = "/x".repeat(60);
        assert_eq!(wrapped(&format!("in {path}"), 0, 2), ["in".to_owned(), format!("  {path}")]);
    }
}
