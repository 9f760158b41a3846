//! Names the linker script. For a host there is none.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=link");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    let directory = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    if arch == "aarch64" {
        // From `aarch64-rt`: the sections of the image. Ours says where it lies.
        println!("cargo::rustc-link-arg-bins=-Timage.ld");
    }
    println!("cargo::rustc-link-arg-bins=-T{}", PathBuf::from(directory).join("link").join(arch + ".ld").display());
}
