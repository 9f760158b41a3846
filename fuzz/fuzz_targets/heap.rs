//! Any bytes as the life of a heap: `tests/heap/decoded.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_arena_fuzz::run("heap", bytes));
