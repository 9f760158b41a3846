//! Any bytes as operations on a pool: `tests/pool/decoded.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_arena_fuzz::run("pool", bytes));
