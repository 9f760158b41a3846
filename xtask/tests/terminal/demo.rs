//! `cargo xtask demo`: how it ends, and what its last lines say.

use std::io::{BufRead, BufReader, Read};

use crate::stubs::{Shown, Stubs, TOUR, text};

#[test]
fn both_machines_have_the_last_lines() {
    let stubs = Stubs::new(TOUR);
    stubs.emulator("aarch64", TOUR);
    let shown = stubs.run("demo");
    assert_eq!(shown.status, Some(0), "{shown:?}");
    let lines = shown.lines();
    let [.., advice, x86, arm] = lines.as_slice() else { panic!("{shown:?}") };
    assert!(advice.contains("demo --log"), "{shown:?}");
    assert!(x86.starts_with("x86_64   passed: 1 statements"), "{shown:?}");
    assert!(arm.starts_with("aarch64  passed: 1 statements"), "{shown:?}");
    assert!(shown.out.contains("x86_64-unknown-none/release/demo.defmt"), "the log's file: {shown:?}");
    assert!(!stubs.asked_of_cargo().contains("defmt-view"), "nothing decodes what nobody wants to see");
}

#[test]
fn the_first_machine_runs_while_the_second_s_kernel_is_built() {
    let stubs = Stubs::new(&format!(": > \"$STUBS/ran\"; {TOUR}"));
    stubs.emulator("aarch64", TOUR);
    // The build goes on when the first machine has run, and fails if that does not happen.
    let wait = "n=0; until [ -e \"$STUBS/ran\" ]; do n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done";
    stubs.write("between", wait);
    let shown = stubs.run("demo");
    assert_eq!(shown.status, Some(0), "{shown:?}");
    let tours = ["x86_64: the demo", "aarch64: the demo"].map(|tour| shown.err.find(tour).expect("both are shown"));
    assert!(tours.is_sorted(), "{shown:?}");
}

#[test]
fn the_log_is_shown_before_the_last_lines() {
    let stubs = Stubs::new(TOUR);
    let long = "INFO  ".to_owned() + &"word ".repeat(40);
    stubs.write("decoded", &long);
    let shown = stubs.run("demo --arch x86_64 --log");
    assert_eq!(shown.status, Some(0), "{shown:?}");
    assert!(shown.last().starts_with("x86_64   passed"), "{shown:?}");
    let lines = shown.lines();
    let shown_log: Vec<&&str> = lines.iter().filter(|line| line.contains("word")).collect();
    assert!(shown_log.len() > 2 && shown_log.iter().all(|line| line.len() <= 80), "{shown:?}");
    let whole = stubs.target().join("kernels/x86_64-unknown-none/release/demo.log");
    assert!(shown.out.contains(&text(&whole)), "{shown:?}");
    assert_eq!(std::fs::read_to_string(whole).expect("it was written"), format!("{long}\n"));
}

#[test]
fn garbage_is_never_called_passed() {
    for emulator in ["echo garbage; exit 33", "exit 33", "echo 'All 7 statements hold.'; exit 33"] {
        let shown = Stubs::new(emulator).run("demo --arch x86_64");
        assert_eq!(shown.status, Some(1), "{emulator}: {shown:?}");
        assert!(!shown.out.contains("passed:"), "{emulator}: {shown:?}");
        assert!(shown.reason().starts_with("exit status 1: x86_64: "), "{emulator}: {shown:?}");
    }
}

#[test]
fn a_failure_of_qemu_s_has_no_log_and_says_why() {
    let stubs = Stubs::new("echo 'no memory for you' >&2; exit 1");
    let shown = stubs.run("demo --arch x86_64 --log");
    assert_eq!(shown.status, Some(4), "{shown:?}");
    assert!(shown.reason().starts_with("exit status 4: x86_64: QEMU ended by itself"), "{shown:?}");
    assert!(shown.reason().ends_with("no memory for you"), "{shown:?}");
    assert!(!shown.err.contains("logged") && !shown.out.contains("INFO"), "{shown:?}");
}

#[test]
fn one_machine_s_failure_does_not_hide_the_other_s_result() {
    let stubs = Stubs::new("echo boo; exit 35");
    stubs.emulator("aarch64", TOUR);
    let shown = stubs.run("demo");
    assert_eq!(shown.status, Some(1), "{shown:?}");
    assert!(shown.out.contains("\naarch64  passed: "), "{shown:?}");
    assert_eq!(shown.reason(), "exit status 1: x86_64: the kernel says that it failed", "{shown:?}");
}

#[test]
fn a_kernel_that_does_not_build_is_said_last() {
    let stubs = Stubs::new(TOUR);
    stubs.write("does-not-build", "");
    let shown = stubs.run("demo --arch x86_64");
    assert_eq!(shown.status, Some(3), "{shown:?}");
    assert!(shown.reason().contains("the kernel `demo` does not build"), "{shown:?}");
}

#[test]
fn the_command_lines_are_of_kernels_that_are_there() {
    let stubs = Stubs::new("exit 1");
    let shown = stubs.run("demo --arch amd64 --print-qemu");
    assert_eq!(shown.status, Some(0), "{shown:?}");
    let kernel = stubs.target().join("kernels/x86_64-unknown-none/release/demo");
    assert!(kernel.is_file() && shown.out.trim_end().ends_with(&text(&kernel)), "{shown:?}");
    // This output is no terminal.
    assert!(shown.out.contains(" -append plain "), "{shown:?}");
    assert_eq!(shown.out.lines().count(), 1, "{shown:?}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let stubs = Stubs::new("while echo a line; do :; done");
    let mut child = stubs.xtask("demo --arch x86_64").spawn().expect("it starts");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("a line");
    drop(output);
    let mut complaints = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut complaints).expect("text");
    let status = child.wait().expect("it ends");
    assert!(!status.success() && !complaints.contains("panicked"), "{status}: {complaints}");
    assert!(complaints.lines().all(|line| line.starts_with("==")), "{complaints}");
}

#[test]
fn colours_can_be_had_without_a_terminal() {
    let stubs = Stubs::new(TOUR);
    let shown: Shown = stubs.xtask("demo --arch x86_64").env("CLICOLOR_FORCE", "1").output().expect("it runs").into();
    assert!(shown.out.contains("\x1b[32mpassed\x1b[0m"), "{shown:?}");
    assert!(!stubs.run("demo --arch x86_64").out.contains('\x1b'));
}
