//! What a folder of unpacked packages holds, so that a later run can tell that it is whole.
//!
//! The list is written last, before the folder gets its name; what has the list was complete then. Files may have gone
//! missing or been cut short since, so each is looked at, which takes milliseconds. More than is listed does no harm:
//! Python leaves its bytecode beside its library.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The list, in the folder.
const LIST: &str = "INVENTORY";
/// Its first line: a folder that another version of this program left is made anew.
const HEAD: &str = "packages unpacked by cargo xtask setup, layout 1";

/// Writes the list of all regular files below `root`, and gives their size in bytes.
///
/// # Errors
///
/// The folder cannot be read, or not written to.
pub(super) fn write(root: &Path) -> io::Result<u64> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let (mut text, mut total) = (format!("{HEAD}\n"), 0);
    for (path, size) in files {
        total += size;
        let path = path.strip_prefix(root).unwrap_or(&path);
        // Nothing fails to be written to a string.
        let _ = writeln!(text, "{size} {}", path.display());
    }
    fs::write(root.join(LIST), text)?;
    Ok(total)
}

/// Whether the folder holds everything that its list names.
pub(super) fn is_whole(root: &Path) -> bool {
    let Ok(text) = fs::read_to_string(root.join(LIST)) else { return false };
    let mut lines = text.lines();
    lines.next() == Some(HEAD) && lines.all(|line| is_there(root, line).is_some_and(|is| is))
}

fn is_there(root: &Path, line: &str) -> Option<bool> {
    let (size, path) = line.split_once(' ')?;
    let metadata = fs::metadata(root.join(path)).ok()?;
    Some(metadata.is_file() && metadata.len() == size.parse::<u64>().ok()?)
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_until_something_is_gone_or_cut() {
        let root = std::env::temp_dir().join(format!("xtask-inventory-{}", std::process::id()));
        let file = root.join("usr").join("a file");
        fs::create_dir_all(root.join("usr")).expect("a folder");
        fs::write(&file, "12345").expect("a file");
        assert!(!is_whole(&root), "there is no list yet");
        assert_eq!(write(&root).ok(), Some(5));
        assert!(is_whole(&root));
        fs::write(root.join("usr").join("more"), "").expect("a file");
        assert!(is_whole(&root), "more does no harm");
        fs::write(&file, "123").expect("a file");
        assert!(!is_whole(&root), "a file is shorter");
        fs::remove_file(&file).expect("it is there");
        assert!(!is_whole(&root), "a file is gone");
        fs::write(root.join(LIST), "another layout\n").expect("a file");
        assert!(!is_whole(&root), "the layout is another");
        fs::remove_dir_all(&root).expect("it is there");
    }
}
