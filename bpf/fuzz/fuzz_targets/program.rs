//! Any bytes as instructions: checked, and run if they pass. A run ends, for a reason that has a name.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/plain/mod.rs"]
#[expect(dead_code, reason = "the runner's tests use all of it")]
mod plain;
#[path = "../../tests/objects/through.rs"]
#[expect(dead_code, reason = "each target uses a part")]
mod through;

fuzz_target!(|bytes: &[u8]| {
    through::code_through(bytes);
});
