//! The host's test suites: each a way of running `cargo test`.
//!
//! To add one, add an entry to [`SUITES`]: a suite that is built with other flags gets a target directory of its own,
//! so that the suites do not throw away each other's builds, and a prefix, so that their names cannot be confused.

use crate::cli::Length;

/// A way of running `cargo test`.
#[derive(Debug)]
pub(crate) struct Suite {
    /// What it is, for the progress line.
    pub(crate) title: &'static str,
    /// What its tests' names begin with.
    pub(crate) prefix: &'static str,
    /// Arguments for `cargo test`.
    pub(crate) arguments: &'static [&'static str],
    /// Environment variables.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Its target directory, below the common one; empty for that itself.
    pub(crate) target: &'static str,
    /// Whether it is of the fast tests only, or of the long ones only.
    pub(crate) only: Option<Length>,
}

impl Suite {
    /// Whether it is built optimised, which has a directory of its own.
    pub(crate) fn is_optimised(&self) -> bool {
        self.arguments.contains(&"--release")
    }
}

/// All suites, in the order in which they run.
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        title: "host tests",
        prefix: "",
        // The machine's tests and the documents are the same with all features, below.
        arguments: &["--package", "kernel-arena", "--package", "xtask", "--lib", "--bins", "--test", "terminal"],
        environment: &[],
        target: "",
        only: Some(Length::Fast),
    },
    Suite {
        title: "host tests, further",
        prefix: "",
        arguments: &["--package", "kernel-arena", "--package", "xtask"],
        environment: &[],
        target: "",
        only: Some(Length::Long),
    },
    Suite {
        title: "host tests with all features",
        prefix: "all-features::",
        arguments: &["--package", "kernel-arena", "--all-features", "--lib", "--tests"],
        // Else defmt's macros leave nothing of the library's messages, and a logger that is missing is not missed.
        environment: &[("DEFMT_LOG", "trace")],
        target: "",
        only: None,
    },
    Suite {
        title: "documents with all features",
        prefix: "all-features::",
        arguments: &["--package", "kernel-arena", "--all-features", "--doc"],
        // Their programs have no logger.
        environment: &[("DEFMT_LOG", "off")],
        target: "",
        only: None,
    },
    Suite {
        title: "bytecode and its runner",
        prefix: "bpf::",
        arguments: &["--package", "kernel-arena-bpf"],
        environment: &[],
        target: "",
        only: None,
    },
    Suite {
        title: "programs, optimised: how much stack calls take",
        prefix: "release::",
        arguments: &["--release", "--package", "kernel-arena", "--features", "std", "--test", "hosted"],
        environment: &[],
        target: "",
        only: None,
    },
    Suite {
        title: "loom models",
        prefix: "loom::",
        arguments: &["--release", "--package", "kernel-arena-loom"],
        environment: &[],
        target: "",
        only: Some(Length::Fast),
    },
    Suite {
        title: "loom models, further",
        prefix: "loom::",
        arguments: &["--release", "--package", "kernel-arena-loom", "--features", "long"],
        environment: &[],
        target: "",
        only: Some(Length::Long),
    },
    Suite {
        title: "random runs",
        prefix: "shuttle::",
        arguments: &["--release", "--package", "kernel-arena-shuttle"],
        environment: &[],
        target: "",
        only: Some(Length::Fast),
    },
    Suite {
        title: "random runs, a hundred times as many",
        prefix: "shuttle::",
        arguments: &["--release", "--package", "kernel-arena-shuttle", "--features", "long"],
        environment: &[],
        target: "",
        only: Some(Length::Long),
    },
];
