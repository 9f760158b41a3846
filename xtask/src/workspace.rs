//! Where things are: the checkout, the target directories, the kernels.

use std::env;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::child;
use crate::status::Stop;

/// Where the launchers of unpacked packages are, below [`Workspace::packages`].
pub(crate) const LAUNCHERS: &str = "run";

/// The directories of this checkout, all absolute.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the workspace that this xtask belongs to.
    ///
    /// Cargo says so at run time; a binary started by hand falls back to where it was built.
    pub(crate) fn find() -> Result<Self, Stop> {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let Some(root) = package.parent().filter(|root| root.join("Cargo.toml").is_file()) else {
            return Err(Stop::not_ready(format!(
                "no workspace above {}: run this as `cargo xtask` inside the checkout",
                package.display()
            )));
        };
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => env::current_dir()
                .map_err(|error| Stop::not_ready(format!("no current directory: {error}")))?
                .join(directory),
            None => root.join("target"),
        };
        Ok(Self { root: root.to_path_buf(), target })
    }

    /// The checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory below the target directory; an empty name means the target directory itself.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.target.clone() } else { self.target.join(name) }
    }

    /// The target directory of the kernels: their own, so that neither route disturbs the host's builds.
    pub(crate) fn kernels(&self) -> PathBuf {
        self.target("kernels")
    }

    /// The target directory of those that are built with aarch64's atomic instructions.
    pub(crate) fn kernels_lse(&self) -> PathBuf {
        self.target("kernels-lse")
    }

    /// The folder of packages that could not be installed and were unpacked instead.
    pub(crate) fn packages(&self) -> PathBuf {
        self.target("packages")
    }

    /// The launcher of an unpacked program, whether or not it is there.
    pub(crate) fn launcher(&self, name: &str) -> PathBuf {
        self.packages().join(LAUNCHERS).join(name)
    }

    /// What to run to run this program: its name, if it is on the search path; else its launcher, if it was unpacked.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let launcher = self.launcher(name);
        if child::find_program(name).is_none() && launcher.is_file() { launcher } else { PathBuf::from(name) }
    }

    /// The file that QEMU logs a kernel's exceptions to.
    pub(crate) fn exception_log(&self, arch: Arch, name: &str) -> PathBuf {
        self.kernels().join(format!("{}-{name}.int.log", arch.name()))
    }

    /// A protocol model.
    pub(crate) fn model(&self, file: &str) -> PathBuf {
        self.root.join("docs").join("model").join(file)
    }
}
