//! The kernels: which there are, how long they usually take, and how they are built.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::arch::Arch;
use crate::route::Route;
use crate::workspace::Workspace;

/// A hung kernel is given this many times its usual time.
const PATIENCE: u32 = 20;
/// No kernel is given up on before this, however short it usually is: the host may be busy.
const LEAST_LIMIT: Duration = Duration::from_secs(60);

/// A kernel of the workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// Its package and its binary.
    pub(crate) name: &'static str,
    /// How long it usually runs, boot included, in seconds.
    usual_seconds: u64,
}

/// Shows what the library is for.
pub(crate) const DEMO: Kernel = Kernel { name: "demo", usual_seconds: 1 };
/// The demo's command line for text without colours.
pub(crate) const PLAIN: &[&str] = &["plain"];
/// Tests the library's claims on the emulated machine.
pub(crate) const CLAIMS: Kernel = Kernel { name: "claims", usual_seconds: 5 };

impl Kernel {
    /// How long a run may take before it counts as hung.
    pub(crate) fn limit(self) -> Duration {
        (Duration::from_secs(self.usual_seconds) * PATIENCE).max(LEAST_LIMIT)
    }

    /// Builds it, with cargo's progress on stderr, and says where it is.
    ///
    /// # Errors
    ///
    /// One line about why there is no kernel; the compiler's own messages are on stderr by then.
    pub(crate) fn build(self, workspace: &Workspace, route: &Route, arch: Arch) -> Result<PathBuf, String> {
        let mut cargo = route.cargo(workspace, "build", arch);
        cargo.args(["--package", self.name]).stdin(Stdio::null());
        match cargo.status() {
            Ok(status) if status.success() => {}
            Ok(_) => {
                return Err(format!("the kernel `{}` does not build for {}", self.name, arch.target()));
            }
            Err(error) => return Err(format!("cargo did not run: {error}")),
        }
        let kernel = workspace.kernel(arch, self.name);
        if kernel.is_file() { Ok(kernel) } else { Err(format!("the build left no {}", kernel.display())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_below_a_minute() {
        assert_eq!(DEMO.limit(), Duration::from_secs(60));
        assert_eq!(CLAIMS.limit(), Duration::from_secs(100));
    }
}
