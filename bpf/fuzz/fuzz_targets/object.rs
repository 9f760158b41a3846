//! Any bytes as an object: parsed, loaded, checked, run and reported on. It may be refused anywhere, and panics nowhere.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/plain/mod.rs"]
#[expect(dead_code, reason = "the runner's tests use all of it")]
mod plain;
#[path = "../../tests/objects/through.rs"]
#[expect(dead_code, reason = "each target uses a part")]
mod through;

fuzz_target!(|bytes: &[u8]| {
    through::through(bytes);
});
