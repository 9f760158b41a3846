//! The kernel's entry. For a host, where there is nothing to boot, a program that says so: thus the whole workspace can
//! be built and checked there.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
support::entry!(counts::main);

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("this is a kernel for bare metal: `cargo xtask --help` says what builds and boots it");
    std::process::ExitCode::from(2)
}
