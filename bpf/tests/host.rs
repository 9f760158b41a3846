//! The runner on the host: on plain bytes, and on an arena on the software machine that the library's tests have.

#![expect(clippy::cast_possible_truncation, reason = "instructions and their results are cut to size everywhere")]

#[macro_use]
#[path = "../../tests/machine/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the library's tests use all of it")]
mod machine;
#[path = "../../tests/machine/accessor.rs"]
mod accessor;

mod assembler;
mod plain;
mod refusals;
mod runs;
mod vectors;
mod window;
