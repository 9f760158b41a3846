//! A patch as what it is made of: in a file, these lines in place of those.
//!
//! Lines are found by what they are, not by their numbers: where the code around them moves, a patch still fits, and where
//! they are there twice, or not at all, it does not. So nothing else is needed to apply one.

/// One place in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// The file, from the root of the tree.
    pub(super) file: String,
    /// The lines that are there, with what is around them.
    old: String,
    /// The lines that come in their place.
    new: String,
}

impl Edit {
    /// The edits of a patch in the unified format.
    pub(super) fn all(patch: &str) -> Result<Vec<Self>, String> {
        let mut edits: Vec<Self> = Vec::new();
        let mut file = None;
        for line in patch.lines() {
            if let Some(name) = line.strip_prefix("+++ ") {
                file = Some(name.strip_prefix("b/").unwrap_or(name).to_owned());
            } else if line.starts_with("@@") {
                let file = file.clone().ok_or("a hunk without a file")?;
                edits.push(Self { file, old: String::new(), new: String::new() });
            } else if let (Some(edit), false) = (edits.last_mut(), line.starts_with("--- ")) {
                let (old, new) = match line.split_at_checked(1) {
                    Some(("-", text)) => (Some(text), None),
                    Some(("+", text)) => (None, Some(text)),
                    Some((" ", text)) => (Some(text), Some(text)),
                    _ => return Err(format!("a line of no kind: `{line}`")),
                };
                old.iter().for_each(|text| edit.old.extend([*text, "\n"]));
                new.iter().for_each(|text| edit.new.extend([*text, "\n"]));
            }
        }
        if edits.is_empty() || edits.iter().any(|edit| edit.old == edit.new) {
            return Err("there is nothing that it changes".to_owned());
        }
        Ok(edits)
    }

    /// The file's text with the change.
    pub(super) fn applied(&self, text: &str) -> Result<String, String> {
        // Whole lines: the first of the text has a line's end before it, too.
        let (text, old) = (format!("\n{text}"), format!("\n{}", self.old));
        match text.matches(&old).count() {
            1 => Ok(text.replacen(&old, &format!("\n{}", self.new), 1)[1..].to_owned()),
            0 => Err(format!("{} has no such lines any more:\n{}", self.file, self.old)),
            count => Err(format!("{} has these lines {count} times:\n{}", self.file, self.old)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "--- a/src/x.rs\n+++ b/src/x.rs\n@@ -9,3 +9,2 @@\n fn a() {\n-    b();\n-    c();\n+    c();\n@@ -90 +90 @@\n-d\n+e\n";

    #[test]
    fn a_patch_is_a_list_of_edits() {
        let edits = Edit::all(PATCH).unwrap();
        assert_eq!(edits.len(), 2);
        assert!(edits.iter().all(|edit| edit.file == "src/x.rs"));
        assert_eq!(edits[0].applied("fn a() {\n    b();\n    c();\n}\n").unwrap(), "fn a() {\n    c();\n}\n");
        assert_eq!(edits[1].applied("x\nd\ny\n").unwrap(), "x\ne\ny\n");
    }

    #[test]
    fn lines_that_are_gone_or_there_twice_are_not_guessed_at() {
        let edits = Edit::all(PATCH).unwrap();
        assert!(edits[1].applied("x\ndd\n").is_err(), "a part of a line is no line");
        assert!(edits[1].applied("d\nx\nd\n").unwrap_err().contains("2 times"));
        assert!(edits[0].applied("fn a() {\n    c();\n    b();\n}\n").unwrap_err().contains("no such lines"));
    }

    #[test]
    fn what_changes_nothing_is_no_patch() {
        for text in
            ["", "--- a/x\n+++ b/x\n", "--- a/x\n+++ b/x\n@@ @@\n y\n", "@@ @@\n-y\n+z\n", "+++ b/x\n@@ @@\n?\n"]
        {
            assert!(Edit::all(text).is_err(), "{text}");
        }
    }
}
