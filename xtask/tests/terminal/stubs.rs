//! A machine of stubs: a folder that stands first on the search path, and a target directory beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A toolchain that has the targets.
const RUSTC: &str = r#"
case "$*" in
"--print sysroot") echo "$STUBS/sysroot" ;;
"--print target-libdir"*) echo "$STUBS/lib" ;;
esac
"#;

/// A cargo that leaves empty kernels where real ones would be, the later ones after what a file says; what its tests do, and what its
/// viewer says, is in files.
const CARGO: &str = r#"
verb=$1 target= directory= package= json= optimised=
while [ $# -gt 0 ]; do
    case $1 in
    --target) target="$target$2 " ;;
    --target-dir) directory=$2 ;;
    --package) package="$package$2 " ;;
    --workspace) package="$1 " ;;
    --release) optimised=1 ;;
    --message-format=json*) json=1 ;;
    esac
    shift
done
echo "$verb $package$target" >> "$STUBS/cargo.log"
[ ! -e "$STUBS/does-not-build" ] || { echo "error: it does not build" >&2; exit 101; }
case $verb in
test) . "$STUBS/suite" ;;
run) cat "$STUBS/decoded" ;;
build)
    for one in $target; do
        mkdir -p "$directory/$one/release"
        for built in $package; do
            kernel=$directory/$one/release/$built
            : > "$kernel"
            [ -z "$json" ] || echo "{\"reason\":\"compiler-artifact\",\"executable\":\"$kernel\"}"
        done
        [ ! -e "$STUBS/between" ] || . "$STUBS/between"
    done ;;
esac
"#;

/// What precedes every emulator: the words of the kernel's command line, and a log.
pub(crate) const QEMU: &str = r#"
words=
while [ $# -gt 0 ]; do
    case $1 in
    -append) words=$2 ;;
    file,id=defmt,path=*) echo log > "${1#file,id=defmt,path=}" ;;
    -D) : > "$2" ;;
    esac
    shift
done
has() { case " $words " in *" $1 "*) true ;; *) false ;; esac; }
"#;

/// A tour that says what the real one says last.
pub(crate) const TOUR: &str = "echo 'ok     a statement'; echo 'All 1 statements hold.'; exit 33";

/// The stubs of one test.
#[derive(Debug)]
pub(crate) struct Stubs(PathBuf);

impl Stubs {
    /// New ones, with an x86_64 emulator that does this, and none for aarch64.
    pub(crate) fn new(emulator: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stubs = Self(std::env::temp_dir().join(format!("xtask-terminal-{}-{number}", std::process::id())));
        stubs.write("lib/libcore-0.rlib", "");
        stubs.write("decoded", "INFO  a message (src/lib.rs:1)\n");
        stubs.program("rustc", RUSTC);
        stubs.program("cargo", CARGO);
        stubs.emulator("x86_64", emulator);
        // Whatever goes wrong here, nothing is installed.
        for name in ["apt-get", "dpkg", "sudo", "rustup"] {
            stubs.program(name, "exit 1");
        }
        stubs
    }

    /// Adds or replaces an emulator.
    pub(crate) fn emulator(&self, arch: &str, script: &str) {
        self.program(&format!("qemu-system-{arch}"), &format!("{QEMU}{script}"));
    }

    /// Adds or replaces a file.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("it is below the folder")).expect("the folder is ours");
        fs::write(path, text).expect("the folder is ours");
    }

    /// Adds or replaces a program.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let name = format!("bin/{name}");
        self.write(&name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    /// What cargo was asked to do: a line of verb, package and target each.
    pub(crate) fn asked_of_cargo(&self) -> String {
        fs::read_to_string(self.0.join("cargo.log")).unwrap_or_default()
    }

    /// Where a file or folder is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The target directory.
    pub(crate) fn target(&self) -> PathBuf {
        self.0.join("target")
    }

    /// `cargo xtask` with these arguments, to be started.
    pub(crate) fn xtask(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments.split_whitespace())
            .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", self.target())
            .env("PATH", format!("{}:/usr/bin:/bin", self.0.join("bin").display()))
            .env("STUBS", &self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `cargo xtask` to its end.
    pub(crate) fn run(&self, arguments: &str) -> Shown {
        Shown::from(self.xtask(arguments).output().expect("xtask starts"))
    }
}

impl Drop for Stubs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a run has shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Shown {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Shown {
    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// The last of them.
    pub(crate) fn last(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }

    /// The last lines of it, joined where they were broken.
    pub(crate) fn reason(&self) -> String {
        let start = self.out.find("\nexit status").unwrap_or(self.out.len());
        self.out[start..].split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The folder that a path is in, as text.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
