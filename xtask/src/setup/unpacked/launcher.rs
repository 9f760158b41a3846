//! Launchers: for each unpacked program a script of its name that runs it with the unpacked libraries.
//!
//! A program finds its data beside itself, but the loader looks for libraries in the system's folders, unless the
//! variable `LD_LIBRARY_PATH` says more. The script sets it for the program alone; what the user has set comes first.
//! All else of xtask, and a person who copies a printed command line, need only the script's path. The folder may move.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::workspace::LAUNCHERS;

/// Where packages put programs.
const PROGRAMS: [&str; 2] = ["bin", "usr/bin"];
/// Where packages put libraries.
const LIBRARIES: [&str; 2] = ["usr/lib", "lib"];

/// Makes a launcher for every program below `root`.
///
/// # Errors
///
/// A folder cannot be read, or a script not written.
pub(super) fn write(root: &Path) -> io::Result<()> {
    let libraries = libraries(root)?;
    let launchers = root.join(LAUNCHERS);
    fs::create_dir_all(&launchers)?;
    for folder in PROGRAMS {
        for program in entries(&root.join(folder))?.into_iter().filter(|path| path.is_file()) {
            if let Some(name) = program.file_name().and_then(OsStr::to_str) {
                let launcher = launchers.join(name);
                fs::write(&launcher, script(&format!("{folder}/{name}"), &libraries))?;
                fs::set_permissions(&launcher, fs::metadata(&program)?.permissions())?;
            }
        }
    }
    Ok(())
}

/// A launcher, for a program and folders of libraries below the folder that is above the launcher's.
fn script(program: &str, libraries: &[String]) -> String {
    let folders: Vec<String> = libraries.iter().map(|folder| format!("$root/{folder}")).collect();
    format!(
        "#!/bin/sh\n\
         root=$(cd -- \"${{0%/*}}/..\" && pwd -P) || exit\n\
         export LD_LIBRARY_PATH=\"${{LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}}{}\"\n\
         exec \"$root/{program}\" \"$@\"\n",
        folders.join(":")
    )
}

/// The folders below `root` that the loader would look into if they were the system's: `usr/lib/x86_64-linux-gnu` and
/// its like, and what lies in there for the alternatives system or a program's private use to point at.
fn libraries(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in LIBRARIES {
        for machine in entries(&root.join(folder))?.into_iter().filter(|path| is_machine(path)) {
            found.push(machine.clone());
            found.extend(entries(&machine)?.into_iter().filter(|path| holds_libraries(path)));
        }
    }
    Ok(found.iter().filter_map(|path| Some(path.strip_prefix(root).ok()?.to_str()?.to_owned())).collect())
}

/// Whether a folder's name is that of a machine, as `x86_64-linux-gnu` or `arm-linux-gnueabihf`.
fn is_machine(path: &Path) -> bool {
    path.is_dir() && path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.contains("-linux-gnu"))
}

fn holds_libraries(folder: &Path) -> bool {
    let is_library = |path: &Path| {
        path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("lib") && name.contains(".so"))
    };
    folder.is_dir() && entries(folder).is_ok_and(|entries| entries.iter().any(|path| is_library(path)))
}

/// What a folder holds, in the order of names; nothing if it is not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_launcher_runs_its_program_with_the_libraries_wherever_the_folder_is() {
        let base = std::env::temp_dir().join(format!("xtask launcher-{}", std::process::id()));
        let (made, moved) = (base.join("made"), base.join("moved here"));
        for folder in ["usr/bin", "usr/lib/x86_64-linux-gnu/private", "usr/lib/x86_64-linux-gnu/data", "lib"] {
            fs::create_dir_all(made.join(folder)).expect("a folder");
        }
        fs::write(made.join("usr/lib/x86_64-linux-gnu/private/libx.so.1"), "").expect("a file");
        fs::copy("/bin/sh", made.join("usr/bin/shell")).expect("there is a shell");
        write(&made).expect("it can be written");
        fs::rename(&made, &moved).expect("it can be moved");

        let run = |variable: Option<&str>| {
            let mut command = Command::new(moved.join("run/shell"));
            command.args(["-c", "echo \"$LD_LIBRARY_PATH $1\"", "-", "an argument"]).env_remove("LD_LIBRARY_PATH");
            command.envs(variable.map(|value| ("LD_LIBRARY_PATH", value)));
            String::from_utf8(command.output().expect("it runs").stdout).expect("text")
        };
        let machine = moved.canonicalize().expect("it is there").join("usr/lib/x86_64-linux-gnu");
        let libraries = format!("{0}:{0}/private", machine.display());
        assert_eq!(run(None), format!("{libraries} an argument\n"));
        assert_eq!(run(Some("/mine")), format!("/mine:{libraries} an argument\n"));
        fs::remove_dir_all(&base).expect("it is there");
    }
}
