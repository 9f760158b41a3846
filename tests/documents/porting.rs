//! The code in `docs/PORTING.md` is that of the kernels in `examples/minimal`, which are booted, and is as short as it says.
//!
//! A block that is not compiled as documentation follows a comment with the file that it is from: a whole file, or lines of it.

use std::path::Path;

use super::{files, read};

const GUIDE: &str = "docs/PORTING.md";
/// The most lines of glue that a kernel may need, heap included, without blanks and comments.
const MOST_LINES: usize = 40;

#[test]
fn code_in_the_porting_guide_is_that_of_the_kernels() {
    let text = read(Path::new(GUIDE));
    let mut whole = 0;
    for (before, rest) in
        text.match_indices("```rust,ignore\n").map(|(at, fence)| (&text[..at], &text[at + fence.len()..]))
    {
        let file = before.lines().next_back().and_then(|line| line.strip_prefix("<!-- ")?.strip_suffix(" -->"));
        let file = file.unwrap_or_else(|| panic!("{GUIDE}: no file is named before a block of code"));
        let (quoted, _) = rest.split_once("```\n").expect("a block ends");
        let code = read(Path::new(file));
        assert!(!quoted.trim().is_empty() && code.contains(quoted), "{GUIDE}: this is not in {file}:\n{quoted}");
        whole += usize::from(code == quoted);
    }
    assert_eq!(whole, 2, "the glue of each architecture, whole");
}

#[test]
fn the_glue_is_as_short_as_it_says() {
    for arch in ["x86_64", "aarch64"] {
        let folder = format!("examples/minimal/src/{arch}");
        let glue = lines_of(&format!("{folder}/arena.rs")).len();
        // The kernel that was there before knows the library by these lines alone.
        let own = files().into_iter().filter(|file| file.starts_with(format!("{folder}/kernel")));
        let own: Vec<String> = own.flat_map(|file| lines_of(&file.display().to_string())).collect();
        assert!(own.len() > 100, "{arch}: only {} lines of a kernel found", own.len());
        assert!(!own.iter().any(|line| line.contains("kernel_arena")), "{arch}: glue is outside of arena.rs");
        let calls = own.iter().filter(|line| line.contains("arena")).count();
        assert!(glue + calls <= MOST_LINES, "{arch}: {glue} lines of glue, and {calls} in the kernel");
        let said = format!("{glue} lines for {arch}");
        let guide = read(Path::new(GUIDE)).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(guide.contains(&said), "{GUIDE} does not say \"{said}\"");
    }
}

/// The lines of a file that are neither blank nor a comment.
fn lines_of(file: &str) -> Vec<String> {
    let text = read(Path::new(file));
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
    lines.map(str::to_owned).collect()
}
