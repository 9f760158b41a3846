//! `cargo xtask test`: what runs, what is counted, and in which order it is said.

use crate::stubs::{Stubs, TOUR};

/// A kernel of three tests that runs what it is told, and logs no exception.
const CLAIMS: &str = r#"
if has list; then printf 'test %s\n' first second third; exit 33; fi
passed=0
for test in first second third; do
    if has first || has second || has third; then has $test || continue; fi
    echo "ok $test"
    passed=$((passed + 1))
done
echo "exceptions 0"
echo "$passed passed, 0 failed"
exit 33
"#;

#[test]
fn one_claim_can_be_named() {
    let stubs = Stubs::new(CLAIMS);
    for filter in ["claims --arch x86_64 second", "x86_64::claims::second", "claims --arch x86_64 secon"] {
        let shown = stubs.run(&format!("test {filter}"));
        assert_eq!(shown.out, "ok x86_64::claims::second\n1 passed, 0 failed\n", "{filter}: {shown:?}");
        assert_eq!(shown.status, Some(0), "{filter}");
    }
    let listed = stubs.run("test claims --arch x86_64 --list ir");
    assert_eq!(listed.out, "x86_64::claims::first\nx86_64::claims::third\n", "{listed:?}");
}

#[test]
fn a_whole_kernel_can_be_named() {
    let stubs = Stubs::new(CLAIMS);
    stubs.write("decoded", "INFO  before the wild accesses\nINFO  wild accesses found 0 then 0\nWARN  violation 1\nINFO  after the wild accesses\n");
    let shown = stubs.run("test claims --arch x86_64");
    let names: Vec<&str> = shown.lines();
    let expected = [
        "ok x86_64::claims::first",
        "ok x86_64::claims::second",
        "ok x86_64::claims::third",
        "ok x86_64::claims::exceptions agree with QEMU's log",
        "ok x86_64::claims::defmt stream decodes",
        "5 passed, 0 failed",
    ];
    assert_eq!(names, expected, "{shown:?}");
    assert_eq!(shown.status, Some(0));
    assert!(!stubs.asked_of_cargo().contains("aarch64"), "the other machine is left alone");
}

#[test]
fn a_filter_that_fits_nothing_is_told() {
    let shown = Stubs::new(CLAIMS).run("test claims --arch x86_64 fourth");
    assert_eq!((shown.status, shown.out.as_str()), (Some(1), ""), "{shown:?}");
    assert!(shown.err.contains("no test here has `fourth` in its name"), "{shown:?}");
}

#[test]
fn what_did_not_run_stands_below_the_cause_and_is_counted() {
    let dies =
        CLAIMS.replace("for test in first second third; do", "echo 'ok first'; echo dead >&2; exit 1; for test in; do");
    let shown = Stubs::new(&dies).run("test claims --arch x86_64");
    assert_eq!(shown.status, Some(1), "{shown:?}");
    let lines = shown.lines();
    let place = |text: &str| {
        lines.iter().position(|line| line.starts_with(text)).unwrap_or_else(|| panic!("{text}: {shown:?}"))
    };
    let cause = place("FAILED x86_64::claims");
    for test in ["second", "third", "exceptions agree", "defmt stream decodes"] {
        assert!(cause < place(&format!("not run x86_64::claims::{test}")), "{shown:?}");
    }
    assert_eq!(lines[lines.len() - 2..], ["4 not run", "1 passed, 1 failed"], "{shown:?}");
}

#[test]
fn what_does_not_build_has_no_tests_that_ran() {
    let stubs = Stubs::new(CLAIMS);
    stubs.write("does-not-build", "");
    let shown = stubs.run("test claims --arch x86_64");
    assert_eq!(shown.status, Some(1), "{shown:?}");
    let lines = shown.lines();
    assert_eq!(lines[0], "FAILED x86_64::claims", "{shown:?}");
    assert_eq!(lines[lines.len() - 2..], ["no test ran of x86_64::claims", "0 passed, 1 failed"], "{shown:?}");
}

#[test]
fn garbage_is_no_pass_here_either() {
    let shown = Stubs::new("echo garbage; exit 33").run("test kernels --arch x86_64");
    assert_eq!((shown.status, shown.last()), (Some(1), "0 passed, 13 failed"), "{shown:?}");
}

#[test]
fn without_a_package_nothing_is_adopted() {
    let shown = Stubs::new("").run("test adopt --arch x86_64");
    assert_eq!((shown.status, shown.last()), (Some(1), "0 passed, 2 failed"), "{shown:?}");
    let before = |name: &str| shown.out.split_once(name).map(|(before, _)| before);
    let why = "FAILED x86_64::adopt: the package\n";
    assert!(before("not run x86_64::adopt::linked").is_some_and(|before| before.contains(why)), "{shown:?}");
    assert!(before("not run adopt::oldest dependencies").is_some(), "{shown:?}");
}

#[test]
fn a_demo_that_is_too_wide_fails() {
    let wide = TOUR.replace("a statement", &"x".repeat(80));
    let shown = Stubs::new(&wide).run("test demo --arch x86_64 columns");
    assert_eq!((shown.status, shown.last()), (Some(1), "0 passed, 1 failed"), "{shown:?}");
    let shown = Stubs::new(TOUR).run("test demo --arch x86_64 columns");
    assert_eq!(shown.out, "ok x86_64::demo::every line fits 80 columns\n1 passed, 0 failed\n", "{shown:?}");
}

/// A suite of one test, that passes if an optimised one has begun beside one that is not.
const SUITE: &str = r#"
: > "$STUBS/began-$optimised"
tries=0
until [ -e "$STUBS/began-" ] && [ -e "$STUBS/began-1" ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || exit 101
    sleep 0.1
done
echo '     Running tests/x.rs (target/debug/deps/x-0123456789abcdef)'
printf 'running 1 test\ntest one ... ok\n\n'
echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'
"#;

#[test]
fn suites_of_all_lanes_run_at_once_and_each_is_counted() {
    let stubs = Stubs::new("");
    stubs.write("suite", SUITE);
    stubs.program("python3", "exit 1");
    let shown = stubs.run("test host");
    for prefix in ["", "all-features::", "bpf::", "release::", "loom::", "shuttle::"] {
        assert!(shown.out.contains(&format!("ok {prefix}x::one\n")), "{prefix}: {shown:?}");
    }
    let place = |name: &str| shown.out.find(name).unwrap_or_else(|| panic!("{name}: {shown:?}"));
    assert!(place("ok bpf::") < place("ok release::") && place("ok shuttle::") < place("FAILED model::"), "{shown:?}");
    let models = shown.out.matches("\nFAILED model::").count();
    assert!(models > 20, "{shown:?}");
    assert_eq!(shown.last(), format!("7 passed, {} failed", models + 1), "the models, and the package: {shown:?}");
}

/// A kernel of one test, that passes if the other machine's runs beside it.
const BOTH: &str = r#"
: > "$STUBS/booted-${0##*-}"
tries=0
until [ -e "$STUBS/booted-x86_64" ] && [ -e "$STUBS/booted-aarch64" ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || exit 1
    sleep 0.1
done
printf 'ok one\nexceptions 0\n1 passed, 0 failed\n'
exit 33
"#;

#[test]
fn kernels_of_one_cpu_run_on_both_machines_at_once() {
    let stubs = Stubs::new(BOTH);
    stubs.emulator("aarch64", BOTH);
    let shown = stubs.run("test steps");
    let agreement = "exceptions agree with QEMU's log";
    let expected = [
        "ok x86_64::steps::one".to_owned(),
        format!("ok x86_64::steps::{agreement}"),
        "ok aarch64::steps::one".to_owned(),
        format!("ok aarch64::steps::{agreement}"),
        "4 passed, 0 failed".to_owned(),
    ];
    assert_eq!(shown.lines(), expected, "{shown:?}");
}
