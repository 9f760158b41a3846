//! Runs hashbrown's own tests, as it was published, on this project's heap.
//!
//! Cargo fetches the crate; a copy of it below the target directory gets one module more in its library and in each of its
//! test files, which makes the heap the global allocator and asks it in the end whether it was used. Its own tests stay as they
//! are. Only its benchmarks go, for what they depend on takes longer to build than all the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::host;
use crate::part::Selection;
use crate::status::Stop;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// The version whose tests run.
const VERSION: &str = "0.17.1";
/// What the tests' names begin with.
pub(crate) const PREFIX: &str = "hashbrown::";
/// What they are called as a whole.
const TITLE: &str = "hashbrown's tests on the heap";

/// What is added to every crate of tests; `MAP` is the path of the map there.
const ADDED: &str = r#"
#[cfg(test)]
mod on_the_heap_of_kernel_arena {
    use kernel_arena::{ArenaPtr, hosted::HostHeap};

    #[global_allocator]
    static HEAP: HostHeap = HostHeap::new();

    #[test]
    fn the_heap_handed_out_what_the_tests_use() {
        let map: MAP<u64, [u64; 4]> = (0..1000).map(|key| (key, [key; 4])).collect();
        let base = HEAP.get().unwrap().slab().unwrap().to_kernel(ArenaPtr::<u8>::new(1).unwrap()).addr() - 1;
        let inside = |value| core::ptr::from_ref::<[u64; 4]>(value).addr().wrapping_sub(base) < 1 << 32;
        assert!(map.values().all(inside), "the map lies in the heap's window");
        let stats = HEAP.stats().unwrap();
        assert!(stats.live_bytes >= 40 * 1000, "the heap counts its bytes");
        assert!(stats.slab.classes.iter().any(|class| class.live > 0), "the harness's objects are the heap's, too");
    }
}
"#;

/// Runs the tests of the selection and reports each.
pub(crate) fn run(workspace: &Workspace, selection: &Selection, report: &mut Report) {
    match prepare(workspace) {
        Ok(copy) => {
            let words = host::words(PREFIX, selection);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            host::run_cargo_test(TITLE, PREFIX, cargo_test(workspace, &copy, &words), selection, report);
        }
        Err(why) => {
            report.add(&Verdict::failed(format!("{PREFIX}source"), why));
            report.none_ran(TITLE);
        }
    }
}

/// The names of the tests.
///
/// # Errors
///
/// The source cannot be had, or does not build.
pub(crate) fn list(workspace: &Workspace) -> Result<Vec<String>, Stop> {
    let copy = prepare(workspace).map_err(Stop::not_ready)?;
    host::list_cargo_test(TITLE, PREFIX, cargo_test(workspace, &copy, &["--list"]))
}

fn cargo_test(workspace: &Workspace, copy: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    child::forget_package(&mut cargo);
    cargo
        .current_dir(copy)
        .args(["test", "--no-fail-fast", "--color=never", "--lib", "--tests", "--features", "rayon,serde"])
        .arg("--target-dir")
        .arg(workspace.target("hashbrown").join("target"))
        .arg("--")
        .args(arguments)
        .env("CARGO_TERM_QUIET", "false")
        .env("CARGO_TERM_VERBOSE", "false")
        .env_remove("RUST_TEST_NOCAPTURE");
    cargo
}

/// Fetches the source, copies it, and adds the heap; gives the copy's directory.
fn prepare(workspace: &Workspace) -> Result<PathBuf, String> {
    let source = fetch(&workspace.target("hashbrown").join("fetch"))?;
    let copy = workspace.target("hashbrown").join("source");
    let done = (|| -> io::Result<()> {
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        copy_tree(&source, &copy)?;
        let manifest = fs::read_to_string(copy.join("Cargo.toml"))?;
        fs::write(copy.join("Cargo.toml"), with_heap(&manifest, workspace.root()))?;
        append(&copy.join("src").join("lib.rs"), &ADDED.replace("MAP", "crate::HashMap"))?;
        for entry in fs::read_dir(copy.join("tests"))? {
            append(&entry?.path(), &ADDED.replace("MAP", "hashbrown::HashMap"))?;
        }
        Ok(())
    })();
    done.map(|()| copy).map_err(|error| format!("hashbrown was not copied: {error}"))
}

/// Has cargo download the crate, and finds out where to.
fn fetch(directory: &Path) -> Result<PathBuf, String> {
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\nhashbrown = \"={VERSION}\"\n\n[workspace]\n"
    );
    let written = fs::create_dir_all(directory)
        .and_then(|()| fs::write(directory.join("Cargo.toml"), manifest))
        .and_then(|()| fs::write(directory.join("lib.rs"), ""));
    written.map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut cargo = Command::new("cargo");
    child::forget_package(&mut cargo);
    let output = cargo.current_dir(directory).args(["metadata", "--format-version=1"]).output();
    let output = output.map_err(|error| format!("cargo did not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    source_in(&said).ok_or_else(|| {
        format!("cargo did not fetch hashbrown {VERSION}: {}", String::from_utf8_lossy(&output.stderr).trim())
    })
}

/// The directory of the crate's source, from what `cargo metadata` printed.
fn source_in(metadata: &str) -> Option<PathBuf> {
    let end = metadata.find(&format!("/hashbrown-{VERSION}/Cargo.toml\""))?;
    let start = metadata[..end].rfind('"')? + 1;
    Some(PathBuf::from(&metadata[start..end]).join(format!("hashbrown-{VERSION}")))
}

/// The crate's manifest with the heap among its development dependencies, in a workspace of its own, without benchmarks.
fn with_heap(manifest: &str, root: &Path) -> String {
    let benchmarks = ["[[bench]]", "[dev-dependencies.criterion]"];
    let sections = manifest.split("\n\n").filter(|section| !benchmarks.iter().any(|name| section.starts_with(name)));
    let mut text = sections.collect::<Vec<_>>().join("\n\n");
    let root = root.display();
    text += &format!("\n[dev-dependencies.kernel-arena]\npath = '{root}'\nfeatures = [\"std\"]\n\n[workspace]\n");
    text
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut content = fs::read_to_string(file)?;
    content.push_str(text);
    fs::write(file, content)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::write(target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_found_in_the_metadata() {
        let said = format!(
            r#"{{"packages":[{{"name":"hashbrown","manifest_path":"/home/me/.cargo/registry/hashbrown-{VERSION}/Cargo.toml"}}]}}"#
        );
        let expected = PathBuf::from(format!("/home/me/.cargo/registry/hashbrown-{VERSION}"));
        assert_eq!(source_in(&said), Some(expected));
        assert_eq!(source_in("{}"), None);
    }

    #[test]
    fn benchmarks_go_and_the_heap_comes() {
        let manifest = "[package]\nname = \"hashbrown\"\n\n[[bench]]\nname = \"bench\"\n\n[dev-dependencies.criterion]\n\
                        version = \"0\"\n\n[dev-dependencies.rand]\nversion = \"0.9\"\n";
        let changed = with_heap(manifest, Path::new("/checkout"));
        assert!(!changed.contains("bench") && !changed.contains("criterion"), "{changed}");
        assert!(changed.contains("[dev-dependencies.rand]\nversion = \"0.9\"\n"), "{changed}");
        assert!(changed.contains("[dev-dependencies.kernel-arena]\npath = '/checkout'\n"), "{changed}");
        assert!(changed.ends_with("[workspace]\n"));
    }
}
