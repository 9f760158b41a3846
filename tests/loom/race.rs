//! Operations on two or three CPUs at once, each of them once as the first to run.
//!
//! Loom finds out what to reorder by the last access to each atomic. A load that another CPU's load and exchange follow
//! is forgotten, and with it the order in which the exchange comes first. So each model is explored once for each CPU
//! going first: what is missed in one order is found in another.

use std::sync::Arc;

use loom::thread::JoinHandle;

use crate::machine::on_cpu;

/// Which CPU goes first: it runs on the model's own thread, and the others are spawned.
pub(crate) type First = u16;

/// Runs `work` on another CPU, with what they share.
pub(crate) fn spawn<T: 'static, R: 'static>(
    cpu: u16,
    shared: &Arc<T>,
    work: impl FnOnce(&T) -> R + 'static,
) -> JoinHandle<R> {
    let shared = Arc::clone(shared);
    loom::thread::spawn(move || on_cpu(cpu, || work(&shared)))
}

fn join<R>(handle: JoinHandle<R>) -> R {
    handle.join().expect("a CPU that does not panic")
}

/// Runs `zero` on CPU 0 and `one` on CPU 1, at once.
pub(crate) fn race<T: 'static, R: 'static, S: 'static>(
    first: First,
    shared: &Arc<T>,
    zero: impl FnOnce(&T) -> R + 'static,
    one: impl FnOnce(&T) -> S + 'static,
) -> (R, S) {
    if first == 0 {
        let one = spawn(1, shared, one);
        (on_cpu(0, || zero(shared)), join(one))
    } else {
        let zero = spawn(0, shared, zero);
        let one = on_cpu(1, || one(shared));
        (join(zero), one)
    }
}

/// Runs `zero` on CPU 0, `one` on CPU 1 and `two` on CPU 2, at once.
pub(crate) fn race_of_three<U: 'static, R: 'static, S: 'static, T: 'static>(
    first: First,
    shared: &Arc<U>,
    zero: impl FnOnce(&U) -> R + 'static,
    one: impl FnOnce(&U) -> S + 'static,
    two: impl FnOnce(&U) -> T + 'static,
) -> (R, S, T) {
    match first {
        0 => {
            let (one, two) = (spawn(1, shared, one), spawn(2, shared, two));
            (on_cpu(0, || zero(shared)), join(one), join(two))
        }
        1 => {
            let (two, zero) = (spawn(2, shared, two), spawn(0, shared, zero));
            let one = on_cpu(1, || one(shared));
            (join(zero), one, join(two))
        }
        _ => {
            let (zero, one) = (spawn(0, shared, zero), spawn(1, shared, one));
            let two = on_cpu(2, || two(shared));
            (join(zero), join(one), two)
        }
    }
}
