//! The kernel's binary: all of it is in the library. For a host, where there is nothing to boot, a program that says so: thus
//! the whole workspace can be built and checked there.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate minimal as _;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("this is a kernel for bare metal: `cargo xtask --help` says what builds and boots it");
    std::process::ExitCode::from(2)
}
