//! The parts of the tests, and which tests of them are wanted.

use std::collections::BTreeSet;

/// Which tests, by what they run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All.
    All,
    /// Those that need no QEMU.
    Host,
    /// The protocol models among them.
    Models,
    /// Those that run in QEMU.
    Kernels,
    /// The package in another kernel: what the host can tell of it, and what is compiled for the machines.
    Adopt,
    /// One kernel's.
    Claims,
    /// One kernel's.
    Steps,
    /// One kernel's.
    Races,
    /// One kernel's.
    Heap,
    /// One kernel's.
    Demo,
    /// One kernel's.
    Minimal,
    /// One kernel's.
    Programs,
    /// One kernel's.
    Bytecode,
    /// One kernel's.
    Scheduler,
    /// One kernel's.
    Counts,
}

impl Part {
    /// What they are called on the command line.
    pub(crate) const NAMES: [(&'static str, Self); 16] = [
        ("all", Self::All),
        ("host", Self::Host),
        ("models", Self::Models),
        ("kernels", Self::Kernels),
        ("qemu", Self::Kernels),
        ("adopt", Self::Adopt),
        ("claims", Self::Claims),
        ("steps", Self::Steps),
        ("races", Self::Races),
        ("heap", Self::Heap),
        ("demo", Self::Demo),
        ("minimal", Self::Minimal),
        ("programs", Self::Programs),
        ("bytecode", Self::Bytecode),
        ("scheduler", Self::Scheduler),
        ("counts", Self::Counts),
    ];

    /// The part of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
    }

    /// Whether it contains another one.
    pub(crate) fn has(self, other: Self) -> bool {
        let is_of_host = |part| matches!(part, Self::Host | Self::Models);
        match self {
            Self::All => true,
            Self::Host => is_of_host(other),
            Self::Kernels => !is_of_host(other) && !matches!(other, Self::All | Self::Adopt),
            _ => self == other,
        }
    }
}

/// Which tests of a group are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All.
    All,
    /// Those with these full names.
    Named(BTreeSet<String>),
}

impl Selection {
    /// Those of these names that contain one of the filters. Where one is the whole name of a test, it means that test.
    pub(crate) fn new(names: Vec<String>, filters: &[String]) -> Self {
        let names: BTreeSet<String> = names.into_iter().collect();
        let wanted = filters.iter().flat_map(|filter| match names.get(filter) {
            Some(name) => vec![name.clone()],
            None => names.iter().filter(|name| name.contains(filter.as_str())).cloned().collect(),
        });
        Self::Named(wanted.collect())
    }

    /// Whether it has the test of this full name.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }

    /// The names in it that begin with this, and without it; none if that would be all.
    pub(crate) fn behind(&self, prefix: &str) -> Option<Vec<&str>> {
        match self {
            Self::All => None,
            Self::Named(names) => Some(names.iter().filter_map(|name| name.strip_prefix(prefix)).collect()),
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Named(names) if names.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(filters: &[&str]) -> Vec<String> {
        let names = ["k::frees", "k::frees::twice", "k::heals", "host::frees"].map(String::from).to_vec();
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        match Selection::new(names, &filters) {
            Selection::All => panic!("a selection by names"),
            Selection::Named(names) => names.into_iter().collect(),
        }
    }

    #[test]
    fn a_filter_is_a_part_of_a_name() {
        assert_eq!(select(&["frees"]), ["host::frees", "k::frees", "k::frees::twice"]);
        assert_eq!(select(&["twice", "heals"]), ["k::frees::twice", "k::heals"]);
        assert_eq!(select(&["nothing"]), [""; 0]);
    }

    #[test]
    fn a_whole_name_means_that_test_alone() {
        assert_eq!(select(&["k::frees"]), ["k::frees"]);
    }

    #[test]
    fn names_go_to_the_kernel_without_what_xtask_puts_before_them() {
        let selection = Selection::new(vec!["k::a".to_owned(), "l::b".to_owned()], &[String::new()]);
        assert_eq!(selection.behind("k::"), Some(vec!["a"]));
        assert_eq!(Selection::All.behind("k::"), None);
    }

    #[test]
    fn parts_contain_their_parts() {
        assert!(Part::All.has(Part::Models) && Part::All.has(Part::Steps));
        assert!(Part::Host.has(Part::Models) && !Part::Host.has(Part::Claims));
        assert!(Part::Kernels.has(Part::Demo) && !Part::Kernels.has(Part::Host) && !Part::Kernels.has(Part::Adopt));
        assert!(Part::Claims.has(Part::Claims) && !Part::Claims.has(Part::Heap));
    }
}
