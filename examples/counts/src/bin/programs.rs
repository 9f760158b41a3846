//! A kernel that is weighed, never booted: see `counts::weights`.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
support::entry!(counts::weights::programs);

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!("this is a kernel for bare metal: `cargo xtask bench kernel` weighs it");
    std::process::ExitCode::from(2)
}
