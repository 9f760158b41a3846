//! The feature `log`: creation, destruction and drained violations are logged, and nothing on the fault path.

use std::cell::RefCell;
use std::sync::Once;

use kernel_arena::ArenaPtr;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::machine::{Format, Machine};

thread_local! {
    /// What this thread has logged since it began to listen; none if it does not.
    static HEARD: RefCell<Option<Vec<(Level, String)>>> = const { RefCell::new(None) };
}

/// Writes down what the library logs, for threads that listen.
struct Listener;

impl Log for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("kernel_arena") {
            HEARD.with_borrow_mut(|heard| {
                if let Some(heard) = heard {
                    heard.push((record.level(), record.args().to_string()));
                }
            });
        }
    }

    fn flush(&self) {}
}

/// Has this thread listen from now on.
fn listen() {
    static LISTENER: Once = Once::new();

    LISTENER.call_once(|| {
        log::set_logger(&Listener).expect("no other test sets a logger");
        log::set_max_level(LevelFilter::Trace);
    });
    HEARD.set(Some(Vec::new()));
}

/// What has been logged since the last time.
fn heard() -> Vec<(Level, String)> {
    HEARD.replace(Some(Vec::new())).expect("this thread listens")
}

fn creation_destruction_and_drained_violations_are_logged<F: Format>() {
    listen();
    let m = Machine::<F>::builder().extent(1, 64).build();
    let base = m.arena().layout().base();
    let frames = m.arena().layout().table_frames().get();
    assert_eq!(heard(), [(Level::Info, format!("arena at {base}: 64 pages, {frames} frames of tables"))]);

    m.alloc(3);
    m.write(0, ArenaPtr::new(0x20_0008).unwrap(), 7).unwrap();
    assert_eq!(heard(), [], "the fault path logs nothing, nor does an allocation");

    let violation = m.arena().take_violation().expect("the access was wild");
    assert_eq!(heard(), [(Level::Warn, format!("violation 0: {violation:?}"))]);
    assert_eq!((m.arena().take_violation(), heard()), (None, Vec::new()));

    m.finish();
    assert_eq!(heard(), [(Level::Info, format!("arena at {base} destroyed: 3 pages were still in use"))]);
}

each_format!(creation_destruction_and_drained_violations_are_logged);
