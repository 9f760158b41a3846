//! The groups of tests: what is built, listed and run as one.

use crate::arch::Arch;
use crate::cli::{Length, Tests};
use crate::kernels::{self, Bench, Kernel, by_cpus, claims, counts, minimal, programs, races, steps, tour};
use crate::part::{Part, Selection};
use crate::route::Route;
use crate::setup::Want;
use crate::status::Stop;
use crate::suites::{SUITES, Suite};
use crate::verdict::Report;
use crate::workspace::Workspace;
use crate::{adopt, hashbrown, host, models};

/// A group of tests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Group {
    /// A way of running `cargo test`.
    Suite(&'static Suite),
    /// The protocol models.
    Models,
    /// The package in another kernel, as far as the host can tell.
    Adopt,
    /// The published tests of another crate.
    Hashbrown,
    /// The package in another kernel, compiled for a machine.
    AdoptOn(Arch),
    /// A kernel on a machine.
    Kernel(Part, Arch),
}

/// Groups that run one after the other, and beside those of other lanes: they build into other directories, for which cargo
/// has a lock each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Those whose verdicts are printed as they come.
    First,
    /// Suites that are built optimised.
    Optimised,
    /// What is built apart from this workspace, or not at all.
    Apart,
}

/// What the groups need: the checkout, and if there are kernels among them, the way to build those.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) route: Option<&'a Route>,
    pub(crate) length: Length,
    /// The groups that run after the one that is run, if all of each runs.
    pub(crate) following: &'a [Group],
}

impl Group {
    /// Those that were asked for, in the order in which they run. Of those whose tests a filter cannot name, none.
    pub(crate) fn of(tests: &Tests) -> Vec<Self> {
        let mut groups = Vec::new();
        if tests.part.has(Part::Host) {
            let now = |suite: &&Suite| suite.only.is_none_or(|length| length == tests.length);
            groups.extend(SUITES.iter().filter(now).map(Self::Suite));
        }
        if tests.part.has(Part::Models) {
            groups.push(Self::Models);
        }
        if tests.part.has(Part::Host) || tests.part == Part::Adopt {
            groups.push(Self::Adopt);
        }
        if tests.part.has(Part::Host) && tests.length == Length::Long {
            groups.push(Self::Hashbrown);
        }
        let kernels = [
            Part::Minimal,
            Part::Claims,
            Part::Demo,
            Part::Counts,
            Part::Steps,
            Part::Races,
            Part::Heap,
            Part::Programs,
            Part::Bytecode,
            Part::Scheduler,
        ];
        for arch in Arch::ALL.into_iter().filter(|arch| tests.arches.contains(arch)) {
            if tests.part.has(Part::Adopt) {
                groups.push(Self::AdoptOn(arch));
            }
            groups.extend(
                kernels.into_iter().filter(|kernel| tests.part.has(*kernel)).map(|kernel| Self::Kernel(kernel, arch)),
            );
        }
        // A filter with a group's own prefix means that group: the others need not be built to be searched.
        let own = |group: &Self, filter: &String| group.prefix().is_some_and(|prefix| filter.starts_with(&prefix));
        let all_own = tests.filters.iter().all(|filter| groups.iter().any(|group| own(group, filter)));
        if !tests.filters.is_empty() && all_own {
            groups.retain(|group| tests.filters.iter().any(|filter| own(group, filter)));
        }
        groups
    }

    /// What it needs on this machine.
    pub(crate) fn wants(&self) -> Vec<Want> {
        match self {
            Self::Suite(_) | Self::Adopt | Self::Hashbrown => Vec::new(),
            Self::Models => vec![Want::Python],
            Self::AdoptOn(_) => vec![Want::Kernels],
            Self::Kernel(_, arch) => vec![Want::Qemu(*arch), Want::Kernels],
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Suite(suite) => suite.title.to_owned(),
            other => other.prefix().unwrap_or_default().trim_end_matches(':').to_owned(),
        }
    }

    /// What the names of its tests begin with, and no others.
    fn prefix(&self) -> Option<String> {
        match self {
            Self::Suite(suite) => Some(suite.prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
            Self::Models => Some(models::PREFIX.to_owned()),
            Self::Adopt => Some(adopt::PREFIX.to_owned()),
            Self::AdoptOn(arch) => Some(format!("{}::{}", arch.name(), adopt::PREFIX)),
            Self::Hashbrown => Some(hashbrown::PREFIX.to_owned()),
            Self::Kernel(part, arch) => {
                let (name, _) = Part::NAMES.iter().find(|(_, named)| named == part)?;
                Some(format!("{}::{name}", arch.name()))
            }
        }
    }

    /// Beside which others it may run: nothing in those that do is about time.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Models | Self::Adopt | Self::AdoptOn(_) => Lane::Apart,
            Self::Suite(suite) if suite.is_optimised() => Lane::Optimised,
            Self::Suite(_) | Self::Hashbrown | Self::Kernel(..) => Lane::First,
        }
    }

    /// Whether it is a kernel that never has more than one CPU.
    pub(crate) const fn takes_one_cpu(&self) -> bool {
        matches!(self, Self::Kernel(Part::Minimal | Part::Counts | Part::Steps, _))
    }

    /// Whether it is the same kernel on another machine.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Kernel(one, here), Self::Kernel(two, there)) if one == two && here != there)
    }

    /// The kernel that it is about, and where that runs.
    pub(crate) fn kernel(&self) -> Option<(Kernel, Arch)> {
        match self {
            Self::Kernel(part, arch) => kernels::of_part(*part).map(|kernel| (kernel, *arch)),
            _ => None,
        }
    }

    /// The names of its tests.
    ///
    /// # Errors
    ///
    /// It does not build.
    pub(crate) fn list(&self, site: &Site<'_>) -> Result<Vec<String>, Stop> {
        match self {
            Self::Suite(suite) => host::list(site.workspace, suite),
            Self::Models => Ok(models::list()),
            Self::Adopt => Ok(adopt::list()),
            Self::AdoptOn(arch) => Ok(adopt::list_on(*arch, site.length)),
            Self::Hashbrown => hashbrown::list(site.workspace),
            Self::Kernel(part, arch) => {
                let selection = Selection::All;
                let bench = site.bench(*arch, &selection, &[])?;
                match part {
                    Part::Claims => claims::list(&bench),
                    Part::Steps => steps::list(&bench),
                    Part::Races => races::list(&bench),
                    Part::Counts => counts::list(&bench),
                    Part::Heap => by_cpus::HEAP.list(&bench),
                    Part::Minimal => minimal::list(&bench),
                    Part::Programs => programs::list(&bench),
                    Part::Bytecode => by_cpus::BYTECODE.list(&bench),
                    Part::Scheduler => by_cpus::SCHEDULER.list(&bench),
                    _ => Ok(tour::list(&bench)),
                }
            }
        }
    }

    /// Runs those of its tests that are selected, and reports.
    ///
    /// # Errors
    ///
    /// There is no way to build kernels.
    pub(crate) fn run(&self, site: &Site<'_>, selection: &Selection, report: &mut Report) -> Result<(), Stop> {
        match self {
            Self::Suite(suite) => host::run(site.workspace, suite, selection, report),
            Self::Models => models::run(site.workspace, selection, report),
            Self::Adopt => adopt::run(site.workspace, selection, report),
            Self::AdoptOn(arch) => {
                adopt::run_on(site.workspace, site.route()?, (*arch, site.length), selection, report);
            }
            Self::Hashbrown => hashbrown::run(site.workspace, selection, report),
            Self::Kernel(part, arch) => {
                let following: Vec<_> = site.following.iter().filter_map(Self::kernel).collect();
                let bench = site.bench(*arch, selection, &following)?;
                match part {
                    Part::Claims => claims::run(&bench, report),
                    Part::Steps => steps::run(&bench, report),
                    Part::Races => races::run(&bench, report),
                    Part::Counts => counts::run(&bench, report),
                    Part::Heap => by_cpus::HEAP.run(&bench, report),
                    Part::Minimal => minimal::run(&bench, report),
                    Part::Programs => programs::run(&bench, report),
                    Part::Bytecode => by_cpus::BYTECODE.run(&bench, report),
                    Part::Scheduler => by_cpus::SCHEDULER.run(&bench, report),
                    _ => tour::run(&bench, report),
                }
            }
        }
        Ok(())
    }
}

impl<'a> Site<'a> {
    fn bench<'b>(
        &'b self,
        arch: Arch,
        selection: &'b Selection,
        following: &'b [(Kernel, Arch)],
    ) -> Result<Bench<'b>, Stop> {
        Ok(Bench { workspace: self.workspace, route: self.route()?, arch, length: self.length, selection, following })
    }

    fn route(&self) -> Result<&'a Route, Stop> {
        self.route.ok_or_else(|| Stop::not_ready("no Rust here can build kernels"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Task};

    fn tests(line: &str) -> Tests {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        let Ok(Task::Test(tests)) = cli::parse(&words) else { panic!("{line}") };
        tests
    }

    fn groups(line: &str) -> Vec<String> {
        let name = |group: &Group| match group {
            Group::Suite(suite) => suite.title.to_owned(),
            other => other.prefix().unwrap_or_default(),
        };
        Group::of(&tests(line)).iter().map(name).collect()
    }

    #[test]
    fn a_part_and_a_machine_choose_the_groups() {
        assert_eq!(groups("test models"), ["model::"]);
        assert_eq!(groups("test races"), ["x86_64::races", "aarch64::races"]);
        assert_eq!(groups("test races --arch arm64"), ["aarch64::races"]);
        assert_eq!(groups("test adopt --arch x86_64"), ["adopt::", "x86_64::adopt::"]);
        assert_eq!(groups("test kernels").len(), 20);
        assert_eq!(groups("test host").len() + 22, groups("test").len());
        let long = groups("test host --long");
        assert!(long.contains(&"hashbrown::".to_owned()) && long.contains(&"loom models, further".to_owned()));
        assert!(!long.contains(&"loom models".to_owned()));
    }

    #[test]
    fn a_full_name_needs_its_own_group_alone() {
        assert_eq!(groups("test aarch64::claims::a_claim"), ["aarch64::claims"]);
        assert_eq!(groups("test loom::a model::b"), ["loom models", "model::"]);
        assert_eq!(groups("test adopt::lock"), ["adopt::"]);
        assert_eq!(groups("test a_claim").len(), groups("test").len());
    }

    #[test]
    fn only_one_lane_has_emulators_and_none_builds_where_another_does() {
        let groups = Group::of(&Tests { length: Length::Long, ..tests("test") });
        let lane = |lane| groups.iter().filter(move |group| group.lane() == lane);
        assert!(lane(Lane::First).any(|group| matches!(group, Group::Kernel(..))));
        assert!(lane(Lane::Optimised).all(|group| matches!(group, Group::Suite(suite) if suite.is_optimised())));
        assert!(lane(Lane::Optimised).count() >= 3);
        assert!(lane(Lane::First).all(|group| !matches!(group, Group::Suite(suite) if suite.is_optimised())));
    }

    #[test]
    fn only_the_emulators_asked_for_are_wanted() {
        let wants = Group::Kernel(Part::Claims, Arch::X86_64).wants();
        assert_eq!(wants, [Want::Qemu(Arch::X86_64), Want::Kernels]);
    }
}
