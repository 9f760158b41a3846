//! Any bytes as numbers that a program passes: `tests/fuzzed/numbers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_arena_fuzz::run("numbers", bytes));
