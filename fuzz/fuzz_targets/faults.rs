//! Any bytes as what a processor says of faults: `tests/fuzzed/faults`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_arena_fuzz::run("faults", bytes));
