//! `cargo xtask objects`: compiles the eBPF programs of the repository anew, where there are compilers for them.
//!
//! The objects are committed, so that nothing else needs a compiler; each is small, and the same wherever it was made. A
//! source says in a comment what it wants: `objects: with lines` keeps the lines of the source, for reports, and `objects: only
//! clang-22` is for what the others cannot compile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child;
use crate::status::{Status, Stop};
use crate::workspace::Workspace;

/// The folders of sources, from the root of the checkout. The objects are in `objects` below each.
const FOLDERS: &[&str] = &["bpf/programs", "examples/schedule/programs"];

/// Where headers are that any source may include.
const HEADERS: &str = "bpf/programs";

/// What is made of each source.
const VARIANTS: [Variant; 5] = [
    Variant { compiler: "clang-14", cpu: "v3", space: Space::Plain },
    Variant { compiler: "clang-19", cpu: "v3", space: Space::Plain },
    Variant { compiler: "clang-19", cpu: "v4", space: Space::Own },
    Variant { compiler: "clang-22", cpu: "v4", space: Space::Plain },
    Variant { compiler: "clang-22", cpu: "v4", space: Space::Own },
];

/// A way of compiling.
#[derive(Clone, Copy, Debug)]
struct Variant {
    compiler: &'static str,
    /// Which instructions there are.
    cpu: &'static str,
    space: Space,
}

/// What pointers into the arena are to the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    /// Plain pointers.
    Plain,
    /// Pointers into an address space of its own, which it casts.
    Own,
}

/// Compiles everything, and goes on after complaints.
///
/// # Errors
///
/// A source does not compile, or its file cannot be written.
pub(crate) fn run(workspace: &Workspace) -> Result<Status, Stop> {
    let mut failed = 0;
    for variant in VARIANTS {
        if child::find_program(variant.compiler).is_none() {
            println!("not run {}: {} is not on the search path", variant.suffix(), variant.compiler);
            continue;
        }
        for source in sources(workspace.root())? {
            let text =
                fs::read_to_string(workspace.root().join(&source)).map_err(|error| unreadable(&source, &error))?;
            let wishes = Wishes::of(&text);
            if wishes.only.is_none_or(|only| variant.suffix().starts_with(only)) {
                let object = variant.object(&source);
                let made = compile(workspace.root(), variant, &source, &object, &wishes)?;
                println!("{} {}", if made { "ok" } else { "FAILED" }, object.display());
                failed += u32::from(!made);
            }
        }
    }
    if failed == 0 { Ok(Status::Success) } else { Err(Stop::failed(format!("{failed} objects were not made"))) }
}

/// All sources, from the root of the checkout.
fn sources(root: &Path) -> Result<Vec<PathBuf>, Stop> {
    let mut sources = Vec::new();
    for folder in FOLDERS.iter().map(Path::new) {
        for entry in fs::read_dir(root.join(folder)).map_err(|error| unreadable(folder, &error))? {
            let name = PathBuf::from(entry.map_err(|error| unreadable(folder, &error))?.file_name());
            if name.extension().is_some_and(|extension| extension == "c") {
                sources.push(folder.join(name));
            }
        }
    }
    sources.sort();
    Ok(sources)
}

/// Compiles a source. Paths are those of the checkout, so that an object says nothing of where that is.
fn compile(root: &Path, variant: Variant, source: &Path, object: &Path, wishes: &Wishes<'_>) -> Result<bool, Stop> {
    if let Some(folder) = root.join(object).parent() {
        fs::create_dir_all(folder).map_err(|error| unreadable(folder, &error))?;
    }
    let mut clang = Command::new(variant.compiler);
    clang.current_dir(root).args(["-target", "bpf", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror"]);
    clang.args(["-fno-common", "-fno-jump-tables", "-fdebug-compilation-dir=.", "-I", HEADERS]);
    clang.arg(format!("-mcpu={}", variant.cpu));
    clang.args((variant.space == Space::Own).then_some("-DSPACE"));
    clang.args(wishes.lines.then_some("-gline-tables-only"));
    clang.arg("-c").arg(source).arg("-o").arg(object).stdin(Stdio::null());
    let status =
        clang.status().map_err(|error| Stop::not_ready(format!("{} did not start: {error}", variant.compiler)));
    status.map(|status| status.success())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Stop {
    Stop::not_ready(format!("{}: {error}", path.display()))
}

impl Variant {
    /// What the names of its objects end with.
    fn suffix(self) -> String {
        let space = if self.space == Space::Own { ".space" } else { "" };
        format!("{}.{}{space}", self.compiler, self.cpu)
    }

    /// The object that it makes of a source.
    fn object(self, source: &Path) -> PathBuf {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        source.with_file_name("objects").join(format!("{name}.{}.o", self.suffix()))
    }
}

/// What a source wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wishes<'s> {
    /// The lines of the source are to be in the object.
    lines: bool,
    /// What the names of variants begin with that can compile it.
    only: Option<&'s str>,
}

impl<'s> Wishes<'s> {
    fn of(source: &'s str) -> Self {
        let said = source
            .lines()
            .filter_map(|line| line.split_once("objects: "))
            .map(|(_, wish)| wish.trim_end_matches(" */"));
        said.fold(Self::default(), |wishes, wish| match wish.split_once(' ') {
            Some(("only", variants)) => Self { only: Some(variants), ..wishes },
            Some(("with", "lines")) => Self { lines: true, ..wishes },
            _ => wishes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_says_what_it_wants() {
        assert_eq!(Wishes::of("int a;\n"), Wishes::default());
        let both = Wishes::of("/* A box. */\n/* objects: only clang-22 */\n/* objects: with lines */\n");
        assert_eq!(both, Wishes { lines: true, only: Some("clang-22") });
    }

    #[test]
    fn an_object_is_named_after_how_it_was_made() {
        let names = VARIANTS.map(|variant| variant.object(Path::new("bpf/programs/list.c")));
        assert_eq!(names[0], Path::new("bpf/programs/objects/list.clang-14.v3.o"));
        assert_eq!(names[4], Path::new("bpf/programs/objects/list.clang-22.v4.space.o"));
    }

    #[test]
    fn every_object_has_its_source_and_every_source_its_objects() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut expected = Vec::new();
        for source in sources(root).unwrap() {
            let text = fs::read_to_string(root.join(&source)).unwrap();
            let only = Wishes::of(&text).only.unwrap_or_default();
            let made = VARIANTS.into_iter().filter(|variant| variant.suffix().starts_with(only));
            expected.extend(made.map(|variant| variant.object(&source)));
        }
        let folders = FOLDERS.iter().map(|folder| Path::new(folder).join("objects"));
        let committed = folders.flat_map(|folder| {
            let files = fs::read_dir(root.join(&folder)).unwrap().map(|file| file.unwrap().file_name());
            files
                .map(|name| folder.join(name))
                .filter(|path| path.to_string_lossy().contains(".clang-"))
                .collect::<Vec<_>>()
        });
        let mut committed: Vec<_> = committed.collect();
        expected.sort();
        committed.sort();
        assert_eq!(expected, committed);
    }
}
