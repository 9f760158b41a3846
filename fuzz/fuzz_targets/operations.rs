//! Any bytes as operations of an arena on the software machine, and what comes in between: `tests/properties/decoded.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_arena_fuzz::run("operations", bytes));
