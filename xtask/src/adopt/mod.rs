//! Adopts the library as others do: from the package that would be published, in a kernel of edition 2018.
//!
//! Such a kernel has the old resolver, under which a dependency can switch on features of the kernel's own dependencies, and
//! a lock file that holds whatever a manifest names, built or not. So the kernel is made anew for each feature of the library,
//! its lock file is counted, and it is compiled: with none of the features, and with all, for both machines, where what needs
//! an operating system is found out; with each alone on the host, which has a core library, and in the long tests for the
//! machines, too. With one set of features it is linked. The library is also compiled with the oldest dependencies that its
//! manifest allows ([`oldest`]).

mod cargo;
mod kernel;
mod oldest;
mod package;

use std::time::Instant;

use crate::arch::Arch;
use crate::cli::Length;
use crate::part::Selection;
use crate::route::Route;
use crate::term;
use crate::verdict::{Outcome, Report, Verdict};
use crate::workspace::Workspace;

use cargo::Said;
use kernel::{ADOPTIONS, Adoption, LINKED, LOOM};

/// What the names of the tests begin with; of those of a machine after its name.
pub(crate) const PREFIX: &str = "adopt::";

/// What can be seen without a compiler for the machines.
pub(crate) fn run(workspace: &Workspace, selection: &Selection, report: &mut Report) {
    let mut trial = Trial::begin("adopt", workspace, selection, report);
    for adoption in &ADOPTIONS {
        trial.add(lock_name(adoption), || adoption.check_lock_file(workspace));
    }
    for adoption in ADOPTIONS.iter().filter(|adoption| adoption.has_one_feature()) {
        trial.add(host_name(adoption), || adoption.check_on_host(workspace));
    }
    trial.add(loom_name(), || LOOM.check_under_loom(workspace));
    trial.add(oldest_name(), || oldest::check_on_host(workspace));
    trial.end();
}

/// The names of these tests.
pub(crate) fn list() -> Vec<String> {
    let mut names: Vec<_> = ADOPTIONS.iter().map(lock_name).collect();
    names.extend(ADOPTIONS.iter().filter(|adoption| adoption.has_one_feature()).map(host_name));
    names.extend([loom_name(), oldest_name()]);
    names
}

/// What is compiled for one of the machines.
pub(crate) fn run_on(
    workspace: &Workspace,
    route: &Route,
    (arch, length): (Arch, Length),
    selection: &Selection,
    report: &mut Report,
) {
    let mut trial = Trial::begin(&format!("{}::adopt", arch.name()), workspace, selection, report);
    for adoption in compiled_for(length) {
        trial.add(check_name(arch, adoption), || adoption.compile(workspace, route, arch));
    }
    trial.add(link_name(arch), || LINKED.link(workspace, route, arch));
    trial.add(oldest_name_on(arch), || oldest::check(workspace, route, arch));
    trial.end();
}

/// With which features the library is compiled for a machine: none and all of them, and only in the long tests each alone.
fn compiled_for(length: Length) -> impl Iterator<Item = &'static Adoption> {
    ADOPTIONS.iter().filter(move |adoption| length == Length::Long || !adoption.has_one_feature())
}

/// The names of these tests.
pub(crate) fn list_on(arch: Arch, length: Length) -> Vec<String> {
    let mut names: Vec<_> = compiled_for(length).map(|adoption| check_name(arch, adoption)).collect();
    names.extend([link_name(arch), oldest_name_on(arch)]);
    names
}

fn lock_name(adoption: &Adoption) -> String {
    format!("{PREFIX}lock file, {}", adoption.name)
}

fn host_name(adoption: &Adoption) -> String {
    format!("{PREFIX}compiled, {}", adoption.name)
}

fn loom_name() -> String {
    format!("{PREFIX}under --cfg loom")
}

fn oldest_name() -> String {
    format!("{PREFIX}oldest dependencies")
}

fn check_name(arch: Arch, adoption: &Adoption) -> String {
    format!("{}::{PREFIX}compiled, {}", arch.name(), adoption.name)
}

fn link_name(arch: Arch) -> String {
    format!("{}::{PREFIX}linked, {}", arch.name(), LINKED.name)
}

fn oldest_name_on(arch: Arch) -> String {
    format!("{}::{}", arch.name(), oldest_name())
}

/// A row of tests on one package.
struct Trial<'a> {
    is_packed: bool,
    selection: &'a Selection,
    report: &'a mut Report,
    started: Instant,
}

impl<'a> Trial<'a> {
    /// Packs and unpacks. If that fails, it is a failure of its own, and no test runs.
    fn begin(title: &str, workspace: &Workspace, selection: &'a Selection, report: &'a mut Report) -> Self {
        term::title(title);
        let started = Instant::now();
        let packed = package::unpack(workspace);
        let is_packed = packed.is_ok();
        if let Err(why) = packed {
            report.add(&Verdict { name: format!("{title}: the package"), result: Outcome::Failed(why) });
        }
        Self { is_packed, selection, report, started }
    }

    /// Runs a test if it is wanted.
    fn add(&mut self, name: String, test: impl FnOnce() -> Result<(), Said>) {
        if !self.selection.has(&name) {
            return;
        }
        if !self.is_packed {
            return self.report.not_run(&name);
        }
        let result = match test() {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        };
        self.report.add(&Verdict { name, result });
    }

    fn end(self) {
        term::note(&format!("adoption: {:.1} s", self.started.elapsed().as_secs_f64()));
    }
}
