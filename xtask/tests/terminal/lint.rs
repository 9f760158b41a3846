//! `cargo xtask lint`: what is linted, and how it ends.

use crate::stubs::Stubs;

#[test]
fn the_whole_workspace_is_linted_for_the_host_and_the_kernels_for_their_targets() {
    let stubs = Stubs::new("");
    let shown = stubs.run("lint");
    assert_eq!(shown.status, Some(0), "{shown:?}");
    let asked = stubs.asked_of_cargo();
    // They run at once.
    let mut asked: Vec<&str> = asked.lines().collect();
    asked.sort_unstable();
    let [host, bare] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(host.starts_with("clippy --workspace "), "{host}");
    assert!(bare.trim_end().ends_with(" x86_64-unknown-none aarch64-unknown-none-softfloat"), "{bare}");
}

#[test]
fn complaints_are_summed_up_last() {
    let stubs = Stubs::new("");
    stubs.write("does-not-build", "");
    let shown = stubs.run("lint");
    assert_eq!(shown.status, Some(1), "{shown:?}");
    let last = shown.err.split("xtask: ").last().unwrap_or_default().replace("\n  ", " ");
    let expected = "clippy complained about the code for the host, bare metal";
    assert_eq!(last.trim_end(), expected, "{shown:?}");
}
