//! The machine's own tests: that an arena can live on it, and that it notices when the rules are broken.

mod accesses;
mod basics;
mod catches;
mod interrupts;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a test that must fail says when it does.
pub(crate) fn failure(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("the machine notices nothing");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .expect("a panic has a message")
}
