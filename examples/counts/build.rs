//! Passes on the kernels' linker script; for a host there is none.

fn main() {
    if let Ok(script) = std::env::var("DEP_EXAMPLE_KERNEL_SCRIPT") {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}
