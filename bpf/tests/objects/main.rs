//! Objects on the host: those of `programs/` loaded and run on the software machine that the library's tests have, with the
//! kernel at work on the same structures; and objects that somebody has broken.

#[macro_use]
#[path = "../../../tests/machine/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the library's tests use all of it")]
mod machine;
#[path = "../../../tests/machine/accessor.rs"]
mod accessor;
#[path = "../plain/mod.rs"]
#[expect(dead_code, clippy::cast_possible_truncation, reason = "the runner's tests use all of it, cut to size")]
mod plain;

mod broken;
mod ground;
mod host_calls;
mod in_rust;
mod list;
mod mutated;
mod plain_c;
mod reports;
mod sizes;
mod table;
mod through;
