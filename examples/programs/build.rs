//! Passes on the linker script, and has the program that the kernel runs at hand as a file of constants.

use std::path::PathBuf;
use std::{env, fs};

/// Where whoever builds the kernel has put the program's ELF file. Without it there is none: enough to check and to lint.
const GUEST: &str = "KERNEL_ARENA_GUESTS";

fn main() {
    println!("cargo::rerun-if-env-changed={GUEST}");
    if let Ok(script) = env::var("DEP_EXAMPLE_KERNEL_SCRIPT") {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    let target = env::var("TARGET").expect("cargo sets it");
    let program = env::var_os(GUEST).map(|directory| PathBuf::from(directory).join(target).join("release/guests"));
    let bytes = program.and_then(|program| {
        println!("cargo::rerun-if-changed={}", program.display());
        fs::read(program).ok()
    });
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("guests.elf"), bytes.unwrap_or_default()).expect("the directory is there to be written to");
}
