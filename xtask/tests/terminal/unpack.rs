//! The set-up where apt does not install: the packages are unpacked, used, and found again.
//!
//! With an apt of our own on a search path that has no emulator, so nothing is fetched. Only where xtask would run apt, which
//! is where dpkg keeps its list.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stubs::{QEMU, Shown, Stubs, TOUR};

/// An apt that would have to remove something, and has one package to download.
const APT_GET: &str = r#"
echo "$*" >> "$STUBS/apt.log"
while [ $# -gt 0 ]; do
    case $1 in
    -c) work=${2%/*} ;;
    update) [ -z "$work" ] || [ -e "$STUBS/no-network" ] || : > "$work/lists/here_Packages" ;;
    --simulate) echo "E: Packages need to be removed but remove is disabled." >&2; exit 100 ;;
    --print-uris) echo "'http://nowhere/emulator.deb' emulator.deb 1 SHA256:0" ;;
    --download-only) : > "$work/archives/emulator.deb" ;;
    esac
    shift
done
"#;

/// Stubs with such an apt, and a package that holds an emulator for aarch64; nothing if xtask would not run apt here.
fn stubs() -> Option<Stubs> {
    if !Path::new("/var/lib/dpkg/status").is_file() {
        return None;
    }
    let stubs = Stubs::new(TOUR);
    let emulator = format!("#!/bin/sh\n[ \"$1\" != --version ] || exit 0\n{QEMU}{TOUR}\n");
    stubs.write("package/usr/bin/qemu-system-aarch64", &emulator);
    stubs.write("package/usr/share/qemu/firmware", "firmware");
    let folder = stubs.path("package");
    assert!(run(Command::new("chmod").arg("755").arg(folder.join("usr/bin/qemu-system-aarch64"))));
    assert!(run(Command::new("tar").arg("-cf").arg(stubs.path("package.tar")).arg("-C").arg(&folder).arg("./usr")));
    stubs.program("apt-get", APT_GET);
    stubs.program("dpkg-deb", "cat \"$STUBS/package.tar\"");
    for tool in ["id", "env", "tar", "cat", "mkdir", "nice"] {
        let found =
            ["/usr/bin", "/bin"].map(|folder| PathBuf::from(folder).join(tool)).into_iter().find(|file| file.is_file());
        symlink(found.expect("every system has it"), stubs.path("bin").join(tool)).expect("the folder is ours");
    }
    Some(stubs)
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// Runs the demo on aarch64, with nothing on the search path but the stubs.
fn demo(stubs: &Stubs) -> Shown {
    let mut xtask = stubs.xtask("demo --arch aarch64");
    xtask.env("PATH", stubs.path("bin")).output().expect("xtask starts").into()
}

/// How often apt was run since it was last asked.
fn runs_of_apt(stubs: &Stubs) -> usize {
    let log = stubs.path("apt.log");
    let text = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(log);
    text.lines().count()
}

#[test]
fn what_is_unpacked_is_used_and_found_again_as_long_as_it_is_whole() {
    let Some(stubs) = stubs() else { return };
    let shown = demo(&stubs);
    assert_eq!(shown.status, Some(0), "{shown:?}");
    assert!(shown.last().starts_with("aarch64  passed"), "{shown:?}");
    assert!(runs_of_apt(&stubs) > 0);

    let shown = demo(&stubs);
    assert_eq!((shown.status, runs_of_apt(&stubs)), (Some(0), 0), "{shown:?}");
    assert!(shown.err.starts_with("setup: from ") && shown.err.contains("qemu-system-aarch64"), "{shown:?}");

    fs::write(stubs.target().join("packages/usr/share/qemu/firmware"), "cut").expect("it is there");
    let shown = demo(&stubs);
    assert_eq!(shown.status, Some(0), "{shown:?}");
    assert!(runs_of_apt(&stubs) > 0, "a file is shorter than it was");
    assert!(!stubs.target().join("setup/work").exists(), "nothing else is left");
}

#[test]
fn what_cannot_be_unpacked_leaves_nothing_half() {
    let Some(stubs) = stubs() else { return };
    stubs.program("dpkg-deb", "head -c 700 \"$STUBS/package.tar\"; echo 'a bad package' >&2; exit 2");
    let shown = demo(&stubs);
    assert_eq!(shown.status, Some(3), "{shown:?}");
    assert!(shown.err.contains("a bad package") && shown.err.contains("apt-get install"), "{shown:?}");
    for folder in ["packages", "setup/work/unpacked"] {
        assert!(!stubs.target().join(folder).exists(), "{folder}: {shown:?}");
    }
    stubs.program("dpkg-deb", "cat \"$STUBS/package.tar\"");
    assert_eq!(demo(&stubs).status, Some(0), "the next run begins anew");
}

#[test]
fn without_the_network_that_is_said() {
    let Some(stubs) = stubs() else { return };
    stubs.write("no-network", "");
    let shown = demo(&stubs);
    assert_eq!(shown.status, Some(3), "{shown:?}");
    assert!(shown.err.contains("is the network there?"), "{shown:?}");
}
