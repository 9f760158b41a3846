//! Any bytes as the lives of groups: `tests/groups/decoded.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_arena_fuzz::run("groups", bytes));
