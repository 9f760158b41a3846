//! Has the library's sources take the model's atomics, as that of `tests/loom` does; here they are shuttle's.

fn main() {
    println!("cargo::rustc-cfg=kernel_arena_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
