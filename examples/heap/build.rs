//! Passes on the kernels' linker script.

fn main() {
    println!("cargo::rustc-link-arg-bins=-T{}", std::env::var("DEP_EXAMPLE_KERNEL_SCRIPT").unwrap());
}
