//! Two commands at once in one checkout.

use crate::stubs::{Shown, Stubs};

/// An emulator that fails if another one runs beside it.
const ALONE: &str = r#"
mkdir "$STUBS/at-work" || exit 1
sleep 0.5
rmdir "$STUBS/at-work"
echo 'All 0 statements hold.'
exit 33
"#;

#[test]
fn the_second_waits_and_says_for_whom() {
    let stubs = Stubs::new(ALONE);
    let both = [stubs.xtask("demo --arch x86_64"), stubs.xtask("demo --arch=x86_64")].map(|mut run| run.spawn());
    let shown = both.map(|run| Shown::from(run.and_then(std::process::Child::wait_with_output).expect("it runs")));
    assert!(shown.iter().all(|shown| shown.status == Some(0)), "{shown:?}");
    let waited: Vec<&Shown> =
        shown.iter().filter(|shown| shown.err.contains("waiting for `cargo xtask demo --arch")).collect();
    assert!(waited.len() == 1 && waited[0].err.contains("(process "), "{shown:?}");
}
