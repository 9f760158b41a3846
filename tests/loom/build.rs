//! Has the library's sources take loom's atomics: in this package alone, whatever else is built beside it.
//!
//! The name is the project's own. `--cfg loom`, which a kernel may be built with for models of its own, reaches all of
//! its dependencies, and one that has no loom among its own would not build.

fn main() {
    println!("cargo::rustc-cfg=kernel_arena_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
