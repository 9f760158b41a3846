//! Whether there is a test of a name, by the source: rustfmt puts everything where a look at its lines finds it.

use std::fs;
use std::path::{Path, PathBuf};

use super::names::Name;

/// Macros that make tests of the functions whose names they are given.
const LISTS: [&str; 5] = ["each_format!", "on_each_source!", "claims!", "checks!", "races!"];

/// Whether there is such a test.
///
/// # Errors
///
/// Where it should be, and is not.
pub(super) fn has(root: &Path, name: &Name) -> Result<(), String> {
    let parts = name.parts();
    let Some((function, place)) = parts.split_last() else { return Err("it is no name".to_owned()) };
    if let [kernel] = place {
        return has_check(root, kernel, function);
    }
    let candidates = files_of(place);
    let file = candidates.iter().find(|file| root.join(file).is_file());
    let file = file.ok_or_else(|| format!("there is no {}", listed(&candidates)))?;
    let text = fs::read_to_string(root.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
    let is_there = is_test(&text, function) || is_in_a_list(&text, function);
    is_there.then_some(()).ok_or_else(|| format!("{} has no such test", file.display()))
}

/// Where the tests of a module may be.
fn files_of(place: &[&str]) -> Vec<PathBuf> {
    let (folder, modules) = match place {
        ["bpf", "host", modules @ ..] => ("bpf/tests", modules),
        ["bpf", modules @ ..] => ("bpf/tests", modules),
        ["loom", "loom", modules @ ..] => ("tests/loom", modules),
        ["kernel_arena", "arch", "backends", modules @ .., "tests"] => ("arch", modules),
        ["kernel_arena", modules @ .., "tests"] => ("src", modules),
        ["host", modules @ ..] => ("tests", modules),
        other => ("tests", other),
    };
    let path = modules.iter().fold(PathBuf::from(folder), |path, module| path.join(module));
    vec![path.with_extension("rs"), path.join("mod.rs")]
}

fn listed(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ")
}

/// Whether a kernel has such a check in one of its lists.
fn has_check(root: &Path, kernel: &str, check: &str) -> Result<(), String> {
    let folder = root.join("examples").join(kernel).join("src");
    if !folder.is_dir() {
        return Err(format!("there is no kernel `{kernel}`"));
    }
    let mut open = vec![folder];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && fs::read_to_string(&path).is_ok_and(|text| is_in_a_list(&text, check))
        {
            return Ok(());
        }
    }
    Err(format!("no list of checks in examples/{kernel}/src has it"))
}

/// Whether a function is a test by its attribute, which stands in the lines above it.
fn is_test(text: &str, function: &str) -> bool {
    let head = format!("fn {function}(");
    let mut is_marked = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with(&head) && is_marked {
            return true;
        }
        is_marked = line == "#[test]" || is_marked && (line.starts_with("#[") || line.starts_with("//"));
    }
    false
}

/// Whether one of the macros gets its name.
fn is_in_a_list(text: &str, function: &str) -> bool {
    let mut rest = text;
    while let Some((start, list)) =
        LISTS.iter().filter_map(|list| rest.find(list).map(|start| (start, list))).min_by_key(|(start, _)| *start)
    {
        let is_at_margin = rest[..start].ends_with('\n') || start == 0;
        rest = &rest[start + list.len()..];
        let names = rest.split([')', ']', '}']).next().unwrap_or_default();
        let code = names.lines().map(|line| line.split("//").next().unwrap_or_default());
        let mut words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        if is_at_margin && words.any(|word| word == function) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_told_by_its_attribute() {
        let text = "#[test]\nfn a() {}\n\n#[test]\n#[should_panic]\n// Why.\nfn b() {\n    fn c() {}\n}\n\nfn d() {}\n";
        assert_eq!(["a", "b", "c", "d", "e"].map(|name| is_test(text, name)), [true, true, false, false, false]);
    }

    #[test]
    fn a_test_is_told_by_its_list() {
        let text = "fn a() {}\neach_format!(a);\neach_format!(\n    b,\n    // c,\n    d,\n);\nfn e() { checks!(f) }\n\
                    races! {\n    g in 48 pages,\n}\nfn h() {}\nchecks![i, j];\n";
        for (name, expected) in [
            ("a", true),
            ("b", true),
            ("c", false),
            ("d", true),
            ("e", false),
            ("f", false),
            ("g", true),
            ("h", false),
            ("i", true),
            ("j", true),
        ] {
            assert_eq!(is_in_a_list(text, name), expected, "{name}");
        }
    }

    #[test]
    fn each_sort_of_name_leads_to_its_file() {
        for (place, file) in [
            ("host::upstream::alloc", "tests/upstream/alloc.rs"),
            ("bpf::host::window::holes", "bpf/tests/window/holes.rs"),
            ("bpf::objects::list", "bpf/tests/objects/list.rs"),
            ("loom::loom::views", "tests/loom/views.rs"),
            ("kernel_arena::arch::backends::aarch64::control::tests", "arch/aarch64/control.rs"),
            ("kernel_arena::slab::classes::tests", "src/slab/classes.rs"),
            ("hosted::programs", "tests/hosted/programs.rs"),
        ] {
            assert_eq!(files_of(&place.split("::").collect::<Vec<_>>())[0], Path::new(file), "{place}");
        }
    }
}
