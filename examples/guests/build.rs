//! Where the program is linked: at an address that is nobody's in the address spaces of the example kernels.

fn main() {
    // Within the first 2 GiB on x86_64, where the code model has all addresses.
    let start = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "0x80000000",
        _ => "0x40000000",
    };
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let manifest = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-link-arg-bins=--defsym=PROGRAM_START={start}");
        println!("cargo::rustc-link-arg-bins=-T{manifest}/program.ld");
    }
    println!("cargo::rerun-if-changed=program.ld");
    println!("cargo::rerun-if-changed=build.rs");
}
