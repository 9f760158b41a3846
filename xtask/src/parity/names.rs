//! The names of tests: as a run prints them, and without what tells one run of a test from another.

/// What a run puts before the name of a test: a machine, or how a suite is built.
const BEFORE: [&str; 4] = ["x86_64", "aarch64", "all-features", "release"];
/// What stands behind it where one function is tested several times: page-table formats, and where a pool's pages come from.
const BEHIND: [&str; 4] = ["x86_64", "aarch64", "portable", "region"];

/// A test's name, in parts: where it is, and last its function.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(Vec<String>);

impl Name {
    /// The name as the document has it.
    pub(super) fn new(name: &str) -> Self {
        Self(name.split("::").map(str::to_owned).collect())
    }

    /// The name of the test that a run calls so.
    pub(super) fn of_run(printed: &str) -> Self {
        let mut parts: Vec<String> = printed.split("::").map(str::to_owned).collect();
        if parts.len() > 1 && BEFORE.contains(&parts[0].as_str()) {
            parts.remove(0);
        }
        if parts.len() > 1 && parts.last().is_some_and(|last| BEHIND.contains(&last.as_str())) {
            parts.pop();
        }
        let is_cpus = |part: &String| part.split_once("_cpu").is_some_and(|(count, _)| count.parse::<u32>().is_ok());
        if parts.len() > 2 && is_cpus(&parts[1]) {
            parts.remove(1);
        }
        Self(parts)
    }

    pub(super) fn parts(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_test_have_one_name() {
        for (printed, name) in [
            ("host::upstream::alloc::a_claim::portable", "host::upstream::alloc::a_claim"),
            ("all-features::host::pool::blocks::a_claim::region", "host::pool::blocks::a_claim"),
            (
                "kernel_arena::arch::backends::aarch64::control::tests::a",
                "kernel_arena::arch::backends::aarch64::control::tests::a",
            ),
            ("x86_64::claims::a_claim", "claims::a_claim"),
            ("aarch64::heap::1_cpu::a_claim", "heap::a_claim"),
            ("x86_64::bytecode::2_cpus::a_claim", "bytecode::a_claim"),
            ("loom::loom::views::a_claim", "loom::loom::views::a_claim"),
            ("x86_64", "x86_64"),
        ] {
            assert_eq!(Name::of_run(printed), Name::new(name), "{printed}");
        }
    }
}
