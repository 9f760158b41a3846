//! Tests that want a process of their own: the test program runs that one test again, as a child.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

/// Names the test that the child is to run.
const VARIABLE: &str = "KERNEL_ARENA_CHILD";
/// A child that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` in a process of its own, which has to succeed. `test` is the calling test's path in the program.
pub(crate) fn in_a_child(test: &str, body: impl FnOnce()) {
    in_a_child_of(Command::new(env::current_exe().unwrap()), test, body);
}

/// The same in a process that `command` starts: this program, or a shell that limits it first.
pub(crate) fn in_a_child_of(mut command: Command, test: &str, body: impl FnOnce()) {
    if env::var(VARIABLE).is_ok_and(|name| name == test) {
        return body();
    }
    let arguments = ["--exact", test, "--nocapture", "--test-threads", "1"];
    let child = command.args(arguments).env(VARIABLE, test).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = wait(child.spawn().unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{test}: {}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "{test} is not this test's path: {out}");
}

/// What a child says; one that hangs is killed.
fn wait(mut child: Child) -> Output {
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}
