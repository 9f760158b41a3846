//! Lines that fit a terminal of 80 columns.

use alloc::string::String;
use alloc::vec::Vec;

/// The columns of the terminal that everything fits.
pub(crate) const WIDTH: usize = 80;

/// Breaks a text between words into lines that fit behind so many columns. A word that is longer stays whole.
pub(crate) fn wrapped(text: &str, column: usize) -> Vec<String> {
    let width = WIDTH.saturating_sub(column);
    let mut lines = Vec::new();
    if text.chars().count() <= width {
        return [text.into()].into();
    }
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(core::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
