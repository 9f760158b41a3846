//! Whatever comes as bytes: what the fuzz targets of `fuzz/` call, and the replay of the corpora that they have kept.
//!
//! A target is a function of bytes that panics where something is wrong. It decodes them into what the property test of that
//! part makes by chance, operations and what comes in between, and plays that against the same map, with the same accounts at
//! its end; so a fuzzer, which sees what code is reached, looks where chance does not come.
//!
//! What a fuzzer has found is looked at by putting its file into the corpus: the replay tells the file, and what its bytes mean.

mod faults;
#[cfg(feature = "zerocopy")]
mod numbers;
#[cfg(test)]
mod replay;

use std::fmt::Debug;

use arbitrary::{Result, Unstructured};

/// What a target does with bytes.
type Target = fn(&[u8]);

/// All targets, by name.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("operations", crate::properties::operations),
    ("slab", crate::slab::life),
    ("heap", crate::heap::life),
    ("pool", crate::pool::tasks),
    ("groups", crate::groups::tasks),
    ("faults", faults::faults),
    #[cfg(feature = "zerocopy")]
    ("numbers", numbers::numbers),
];

/// Values until the bytes end, but no more than `most`.
pub(crate) fn sequence<T>(
    from: &mut Unstructured,
    most: usize,
    one: impl Fn(&mut Unstructured) -> Result<T>,
) -> Result<Vec<T>> {
    let mut values = Vec::new();
    while !from.is_empty() && values.len() < most {
        values.push(one(from)?);
    }
    Ok(values)
}

/// Once in so many times.
pub(crate) fn one_in(from: &mut Unstructured, times: u8) -> Result<bool> {
    Ok(from.int_in_range(0..=times - 1)? == times - 1)
}

/// Prints what the bytes meant if the test fails.
pub(crate) struct Shown<T: Debug>(pub(crate) T);

impl<T: Debug> Drop for Shown<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the bytes meant {:#?}", self.0);
        }
    }
}
