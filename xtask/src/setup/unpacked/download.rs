//! Has apt fetch packages and all they depend on into a folder of our own, by its own resolver and checked by its own
//! keys, as whoever runs this: nothing of the system's is written, locked or run.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::status;
use crate::setup::step::{say, step};

/// Dpkg's list of packages.
const DPKG_LIST: &str = "/var/lib/dpkg/status";
/// The packages that are never unpacked: the loader that starts a program and the library that goes with it must be of
/// one version, so the system's is used, and whether it will do is seen when the programs are tried.
const LOADERS: [&str; 3] = ["libc6_", "libc-bin_", "libc6-dev_"];

/// A folder in which apt does its work.
#[derive(Debug)]
pub(super) struct Workplace {
    folder: PathBuf,
}

impl Workplace {
    /// Makes the folder, with what apt wants to know in it.
    ///
    /// # Errors
    ///
    /// Why that could not be done, for the user.
    pub(super) fn make(folder: PathBuf) -> Result<Self, String> {
        let text = folder.to_str().filter(|text| !text.contains(['"', '\n']));
        let text = text.ok_or_else(|| format!("apt cannot work in a folder of this name: {}", folder.display()))?;
        let made = || -> io::Result<()> {
            fs::create_dir_all(folder.join("lists").join("partial"))?;
            for archives in ["archives", "none"] {
                fs::create_dir_all(folder.join(archives).join("partial"))?;
            }
            let list = String::from_utf8_lossy(&fs::read(DPKG_LIST)?).into_owned();
            fs::write(folder.join("status"), status::without_families(&list, &status::FAMILIES))?;
            fs::write(folder.join("apt.conf"), configuration(text))
        };
        made().map_err(|error| format!("apt's work in {} cannot be prepared: {error}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Fetches the first of these sets of packages that apt can resolve, and says where the packages' files are.
    ///
    /// # Errors
    ///
    /// Why that could not be done, for the user.
    pub(super) fn fetch(&self, sets: &[Vec<&str>]) -> Result<Vec<PathBuf>, String> {
        let mut update = self.apt_get(&["update"]);
        update.stdin(Stdio::null());
        // Another's source that fails need not matter: what apt has is seen next.
        if let Err(failure) = step("apt fetches package lists of its own", update) {
            say(&failure.message);
        }
        if !self.has_lists() {
            return Err(
                "apt has fetched no package lists: is the network there? Run the command again when it is".to_owned()
            );
        }
        let (packages, names) = self.choose(sets)?;
        let mut download = self.install(&["--download-only"]);
        download.args(packages);
        step(&format!("apt downloads {} packages, to be unpacked", names.len()), download)
            .map_err(|failure| failure.message)?;
        Ok(names.iter().filter(|name| is_wanted(name)).map(|name| self.folder.join("archives").join(name)).collect())
    }

    /// Whether apt has fetched the list of any source's packages; it succeeds without.
    fn has_lists(&self) -> bool {
        let entries = fs::read_dir(self.folder.join("lists"));
        entries.is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
        })
    }

    /// The first of these sets that apt can resolve, and the names of the files that it would fetch.
    fn choose<'a>(&self, sets: &'a [Vec<&'a str>]) -> Result<(&'a [&'a str], Vec<String>), String> {
        let mut why = String::new();
        for packages in sets {
            match self.resolve(packages) {
                Ok(names) => return Ok((packages, names)),
                Err(complaint) => why = complaint,
            }
        }
        Err(why)
    }

    /// The names of the files that apt would fetch; what it complains of if it knows no way.
    fn resolve(&self, packages: &[&str]) -> Result<Vec<String>, String> {
        let mut command = self.install(&["--print-uris"]);
        // Those that are there already, of a run that was interrupted, count too.
        command.arg("-o").arg(format!("Dir::Cache::archives={}/none/", self.folder.display()));
        let output = command.args(packages).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("apt-get did not run: {error}"))?;
        if !output.status.success() {
            return Err(complaint(&output.stderr));
        }
        Ok(file_names(&String::from_utf8_lossy(&output.stdout)))
    }

    fn install(&self, how: &[&str]) -> Command {
        let mut command = self.apt_get(&["install", "--yes", "--no-install-recommends"]);
        command.args(how);
        command
    }

    fn apt_get(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("-q").arg("-c").arg(self.folder.join("apt.conf")).args(arguments);
        command
    }
}

/// What apt complained of, without its advice.
pub(in crate::setup) fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("E:")).collect();
    if errors.is_empty() { text.trim().to_owned() } else { errors.join("\n") }
}

/// The files in what `--print-uris` prints: `'address' name size hash`, a line each, among other lines.
fn file_names(printed: &str) -> Vec<String> {
    let lines = printed.lines().filter(|line| line.starts_with('\''));
    lines.filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}

fn is_wanted(name: &str) -> bool {
    !LOADERS.iter().any(|loader| name.starts_with(loader))
}

/// Apt's configuration: read after the system's own, whose sources and keys are kept.
fn configuration(folder: &str) -> String {
    format!(
        r#"// Everything that apt writes goes here.
Dir::State "{folder}/";
Dir::State::Lists "{folder}/lists/";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/";
Dir::Cache::archives "{folder}/archives/";
Dir::Log "{folder}/";
// Nobody else is here, and no other user's rights are needed.
Debug::NoLocking "true";
APT::Sandbox::User "";
Acquire::Retries "3";
// What other packages want to be done after an update is not for ours, nor is what people read about packages.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_writes_nowhere_but_in_its_folder() {
        let text = configuration("/a b/c");
        for entry in ["Dir::State", "Dir::State::Lists", "Dir::State::status", "Dir::Cache", "Dir::Cache::archives"] {
            assert!(text.lines().any(|line| line.starts_with(&format!("{entry} \"/a b/c/"))), "{entry}");
        }
    }

    #[test]
    fn the_system_s_loader_and_its_library_are_used() {
        assert!(is_wanted("libfdt1_1.6.1_amd64.deb"));
        assert!(!is_wanted("libc6_2.36-9_amd64.deb"));
    }

    #[test]
    fn the_files_are_those_that_apt_names() {
        let printed = "Reading package lists...\n\
            'http://x/pool/q_7.2%2bdfsg_amd64.deb' q_1%3a7.2+dfsg_amd64.deb 123 SHA256:00\n\
            'https://y/s_all.deb' s_all.deb 4 MD5Sum:00\n";
        assert_eq!(file_names(printed), ["q_1%3a7.2+dfsg_amd64.deb", "s_all.deb"]);
    }

    #[test]
    fn apt_s_errors_are_told_without_the_rest() {
        let said = b"W: a warning\nE: Unable to locate package x\nE: no candidate\n";
        assert_eq!(complaint(said), "E: Unable to locate package x\nE: no candidate");
        assert_eq!(complaint(b"killed\n"), "killed");
    }
}
