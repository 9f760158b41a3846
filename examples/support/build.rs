//! Tells the kernels' own build scripts where their linker script is, as
//! `DEP_EXAMPLE_KERNEL_SCRIPT`, and the linker where that script finds the part both
//! architectures share. A kernel with a log has a script of its own, which adds defmt's. For a host there is none.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=link");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets CARGO_CFG_TARGET_ARCH");
    let with_log = if env::var_os("CARGO_FEATURE_DEFMT").is_some() { "-defmt" } else { "" };
    let scripts = PathBuf::from(manifest_dir).join("link");
    let script = scripts.join(format!("{arch}{with_log}.ld"));

    println!("cargo::rustc-link-search={}", scripts.display());
    println!("cargo::metadata=script={}", script.display());
}
