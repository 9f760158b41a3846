//! `cargo xtask test`: all tests, one line each, and one summary.

use crate::arch::Arch;
use crate::cli::{Length, Part, TestMode};
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::verdict::Report;
use crate::workspace::Workspace;
use crate::{claims, hashbrown, heap, host, models, races, steps};

/// Runs or lists the tests of a part.
///
/// # Errors
///
/// Something needed is missing; in list mode also: something does not build.
pub(crate) fn run(workspace: &Workspace, part: Part, mode: TestMode, length: Length) -> Result<Status, Stop> {
    // Everything is looked for first: no hour of tests should end in "QEMU is missing".
    let host_part = part != Part::Qemu;
    let route = match part {
        Part::Host => setup::ensure(workspace, &[Want::Python]).map(|_| None),
        Part::Qemu => setup::ensure_route(workspace, &[Want::Qemu, Want::Kernels]).map(Some),
        Part::All => setup::ensure_route(workspace, &[Want::Qemu, Want::Kernels, Want::Python]).map(Some),
    }?;
    match mode {
        TestMode::List => {
            let mut names = Vec::new();
            if host_part {
                names.extend(host::list(workspace)?);
                names.extend(models::list());
                if length == Length::Long {
                    names.extend(hashbrown::list(workspace)?);
                }
            }
            if let Some(route) = &route {
                for arch in Arch::ALL {
                    names.extend(claims::list(workspace, route, arch)?);
                    names.extend(steps::list(workspace, route, arch)?);
                    names.extend(races::list(workspace, route, arch)?);
                    names.extend(heap::list(workspace, route, arch, length)?);
                }
            }
            names.iter().for_each(|name| println!("{name}"));
            Ok(if names.is_empty() { Status::Failed } else { Status::Success })
        }
        TestMode::Run => {
            let mut report = Report::default();
            if host_part {
                host::run(workspace, &mut report);
                models::run(workspace, &mut report);
                if length == Length::Long {
                    hashbrown::run(workspace, &mut report);
                }
            }
            if let Some(route) = &route {
                for arch in Arch::ALL {
                    eprintln!("== {} kernels", arch.name());
                    claims::run(workspace, route, arch, &mut report);
                    steps::run(workspace, route, arch, &mut report);
                    races::run(workspace, route, arch, length, &mut report);
                    heap::run(workspace, route, arch, length, &mut report);
                }
            }
            Ok(report.finish())
        }
    }
}
