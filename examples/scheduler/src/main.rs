//! The kernel's binary; the rest is its library.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
support::entry!(scheduler::main);

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("this is a kernel for bare metal: `cargo xtask --help` says what builds and boots it");
    std::process::ExitCode::from(2)
}
