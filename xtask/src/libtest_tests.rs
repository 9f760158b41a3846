//! Tests of the reader, on output of real runs (shortened).

use super::*;

/// Two unit tests, one of them failing; a crash; an integration test; doc tests of all kinds.
const RUN: &str = "
   Compiling lt-demo v0.1.0 (/home/me/lt)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.65s
     Running unittests src/lib.rs (target/debug/deps/lt_demo-e76d397044b69e52)

running 4 tests
test tests::good ... ok
test tests::ign ... ignored, why ... not
test tests::bad ... FAILED
test tests::pan - should panic ... ok

failures:

---- tests::bad stdout ----
test tests::fake ... ok
test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
thread 'tests::bad' panicked at src/lib.rs:24:41:
numbers


failures:
    tests::bad

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.06s

error: test failed, to rerun pass `--lib`
     Running tests/crash.rs (target/debug/deps/crash-06b347258417d544)

running 2 tests
last words
error: test failed, to rerun pass `--test crash`

Caused by:
  process didn't exit successfully: `target/debug/deps/crash-06b347258417d544` (signal: 6, SIGABRT: process abort signal)
     Running tests/host.rs (target/debug/deps/host-80b5d082aa2a98e9)

running 1 test
test upstream::t01 ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests lt_demo

running 3 tests
test src/lib.rs - f (line 11) - compile ... ok
test src/lib.rs - f (line 14) ... ignored
test src/lib.rs - (line 2) ... ok

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.13s


running 1 test
test src/lib.rs - f (line 8) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s

all doctests ran in 0.35s; merged doctests compilation took 0.18s
error: 2 targets failed:
    `--lib`
    `--test crash`
";

fn read(prefix: &str, text: &str, success: bool) -> Vec<Found> {
    let mut reader = Reader::new(prefix);
    let mut found: Vec<Found> = text.lines().flat_map(|line| reader.line(line)).collect();
    found.extend(reader.end(success));
    found
}

fn verdicts(prefix: &str, text: &str, success: bool) -> Vec<String> {
    let mark = |verdict: &Verdict| match verdict.result {
        Outcome::Passed => '+',
        Outcome::Failed(_) => '-',
        Outcome::Ignored => '~',
    };
    read(prefix, text, success)
        .iter()
        .filter_map(|found| match found {
            Found::Verdict(verdict) => Some(format!("{}{}", mark(verdict), verdict.name)),
            _ => None,
        })
        .collect()
}

#[test]
fn every_test_gets_one_verdict_under_its_full_name() {
    assert_eq!(
        verdicts("", RUN, false),
        [
            "+lt_demo::tests::good",
            "~lt_demo::tests::ign",
            "-lt_demo::tests::bad",
            "+lt_demo::tests::pan",
            "-crash",
            "+host::upstream::t01",
            "+doc::src/lib.rs - f (line 11)",
            "~doc::src/lib.rs - f (line 14)",
            "+doc::src/lib.rs - (line 2)",
            "+doc::src/lib.rs - f (line 8)",
        ]
    );
}

#[test]
fn captured_text_explains_and_is_not_believed() {
    let found = read("", RUN, false);
    let explanations: Vec<&Vec<String>> = found
        .iter()
        .filter_map(|found| if let Found::Explanation(lines) = found { Some(lines) } else { None })
        .collect();
    assert_eq!(explanations.len(), 1);
    assert!(explanations[0].contains(&"numbers".to_owned()));
    assert!(explanations[0].contains(&"test tests::fake ... ok".to_owned()));
    assert!(!explanations[0].contains(&"    tests::bad".to_owned()));
}

#[test]
fn a_crash_shows_what_the_binary_said() {
    let crash = read("", RUN, false).into_iter().find_map(|found| match found {
        Found::Verdict(Verdict { name, result: Outcome::Failed(why) }) if name == "crash" => Some(why),
        _ => None,
    });
    let why = crash.expect("the crash is reported");
    assert!(why[0].contains("after 0 of 2 tests"), "{}", why[0]);
    assert!(why.contains(&"last words".to_owned()));
}

#[test]
fn cargo_s_own_words_are_passed_on() {
    let found = read("", RUN, false);
    for words in ["   Compiling lt-demo v0.1.0 (/home/me/lt)", "error: test failed, to rerun pass `--lib`"] {
        assert!(found.contains(&Found::Cargo(words.to_owned())), "{words}");
    }
}

#[test]
fn a_suite_s_prefix_comes_first() {
    let text = "     Running tests/host.rs (target/loom/debug/deps/host-80b5d082aa2a98e9)\nrunning 1 test\n\
                test a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";
    assert_eq!(verdicts("loom::", text, true), ["+loom::host::a"]);
}

#[test]
fn a_failed_build_is_a_failure() {
    let text = "   Compiling lt-demo v0.1.0\nerror[E0308]: mismatched types\nerror: could not compile `lt-demo`\n";
    assert_eq!(verdicts("", text, false), ["-cargo test"]);
}

#[test]
fn silence_is_a_failure() {
    assert_eq!(verdicts("", "    Finished `test` profile\n", true), ["-cargo test"]);
}

#[test]
fn a_binary_that_never_sums_up_is_a_failure() {
    let text = "     Running tests/host.rs (target/debug/deps/host-80b5d082aa2a98e9)\nrunning 2 tests\ntest a ... ok\n";
    assert_eq!(verdicts("", text, false), ["+host::a", "-host"]);
    assert_eq!(verdicts("", text, true), ["+host::a", "-host"]);
}

#[test]
fn a_summary_that_contradicts_the_lines_is_a_failure() {
    let text = "     Running tests/host.rs (target/debug/deps/host-80b5d082aa2a98e9)\nrunning 2 tests\ntest a ... ok\n\
                test b ... sok\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
    assert_eq!(verdicts("", text, true), ["+host::a", "-host"]);
}

#[test]
fn lists_carry_the_same_names() {
    let text = "    Finished `test` profile\n     Running unittests src/lib.rs (target/debug/deps/lt_demo-e76d397044b69e52)\n\
                tests::bad: test\ntests::pan: test\n\n2 tests, 0 benchmarks\n   Doc-tests lt_demo\n\
                src/lib.rs - f (line 11): test\n\n1 test, 0 benchmarks\n";
    let lines: Vec<String> = text.lines().map(String::from).collect();
    assert_eq!(list("", &lines), ["lt_demo::tests::bad", "lt_demo::tests::pan", "doc::src/lib.rs - f (line 11)"]);
}

#[test]
fn a_test_that_takes_long_is_named_while_it_runs() {
    let mut reader = Reader::new("");
    reader.line("running 2 tests");
    let found = reader.line("test slab::churn has been running for over 60 seconds");
    assert_eq!(found, [Found::Cargo("   test slab::churn has been running for over 60 seconds".to_owned())]);
    assert_eq!(reader.line("a test said: has been running for over 60 seconds"), []);
    assert!(matches!(reader.line("test slab::churn ... ok").as_slice(), [Found::Verdict(_)]));
}
