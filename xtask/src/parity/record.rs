//! What `cargo xtask test` printed: which tests ran, and how they ended.

use std::collections::BTreeMap;

use super::names::Name;

/// The tests that ran, and whether each has passed wherever it did.
#[derive(Debug)]
pub(super) struct Record(BTreeMap<Name, bool>);

impl Record {
    /// Reads verdicts; what else there is in the text is none.
    pub(super) fn read(text: &str) -> Self {
        let mut record = BTreeMap::new();
        for line in text.lines() {
            let (name, has_passed) = match line.split_once(' ') {
                Some(("ok", name)) => (name, true),
                Some(("FAILED" | "ignored", name)) => (name, false),
                _ => match line.strip_prefix("not run ") {
                    Some(name) => (name, false),
                    None => continue,
                },
            };
            *record.entry(Name::of_run(name)).or_insert(true) &= has_passed;
        }
        Self(record)
    }

    /// Whether a test ran, and passed each time.
    ///
    /// # Errors
    ///
    /// What became of it.
    pub(super) fn has_passed(&self, name: &Name) -> Result<(), String> {
        match self.0.get(name) {
            Some(true) => Ok(()),
            Some(false) => Err("it did not pass".to_owned()),
            None => Err("it did not run".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_passes_wherever_it_runs_or_it_does_not() {
        let record = Record::read(
            "ok host::a::x86_64\nok host::a::aarch64\nok host::b::x86_64\nFAILED host::b::aarch64\n    | ok host::c\n\
             ok x86_64::claims::d\nnot run aarch64::claims::d\nignored host::e\nok all-features::host::f\n3 passed, 1 failed\n",
        );
        let of = |name| record.has_passed(&Name::new(name));
        assert_eq!([of("host::a"), of("host::f")], [Ok(()), Ok(())]);
        for name in ["host::b", "claims::d", "host::e"] {
            assert_eq!(of(name), Err("it did not pass".to_owned()), "{name}");
        }
        for name in ["host::c", "claims::a", "a", "passed, 1 failed"] {
            assert_eq!(of(name), Err("it did not run".to_owned()), "{name}");
        }
    }
}
