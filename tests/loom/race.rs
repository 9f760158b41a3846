//! Operations on two or three CPUs at once, each of them once as the first to run.
//!
//! Loom finds out what to reorder by the last access to each atomic. A load that another CPU's load and exchange follow is
//! forgotten, and with it the order in which the exchange comes first. So each model is explored once for each CPU going first:
//! what is missed in one order is found in another.

use std::sync::Arc;

use kernel_arena::arch::Arch;
use loom::thread::JoinHandle;

use crate::machine::on_cpu;
use crate::world::ModelArena;

/// Which CPU goes first: it runs on the model's own thread, and the others are spawned.
pub(crate) type First = u16;

/// Runs `work` on another CPU.
pub(crate) fn spawn<A: Arch, R: 'static>(
    cpu: u16,
    arena: &Arc<ModelArena<A>>,
    work: impl FnOnce(&ModelArena<A>) -> R + 'static,
) -> JoinHandle<R> {
    let arena = Arc::clone(arena);
    loom::thread::spawn(move || on_cpu(cpu, || work(&arena)))
}

fn join<R>(handle: JoinHandle<R>) -> R {
    handle.join().expect("a CPU that does not panic")
}

/// Runs `zero` on CPU 0 and `one` on CPU 1, at once.
pub(crate) fn race<A: Arch, R: 'static, S: 'static>(
    first: First,
    arena: &Arc<ModelArena<A>>,
    zero: impl FnOnce(&ModelArena<A>) -> R + 'static,
    one: impl FnOnce(&ModelArena<A>) -> S + 'static,
) -> (R, S) {
    if first == 0 {
        let one = spawn(1, arena, one);
        (on_cpu(0, || zero(arena)), join(one))
    } else {
        let zero = spawn(0, arena, zero);
        let one = on_cpu(1, || one(arena));
        (join(zero), one)
    }
}

/// Runs `zero` on CPU 0, `one` on CPU 1 and `two` on CPU 2, at once.
pub(crate) fn race_of_three<A: Arch, R: 'static, S: 'static, T: 'static>(
    first: First,
    arena: &Arc<ModelArena<A>>,
    zero: impl FnOnce(&ModelArena<A>) -> R + 'static,
    one: impl FnOnce(&ModelArena<A>) -> S + 'static,
    two: impl FnOnce(&ModelArena<A>) -> T + 'static,
) -> (R, S, T) {
    match first {
        0 => {
            let (one, two) = (spawn(1, arena, one), spawn(2, arena, two));
            (on_cpu(0, || zero(arena)), join(one), join(two))
        }
        1 => {
            let (two, zero) = (spawn(2, arena, two), spawn(0, arena, zero));
            let one = on_cpu(1, || one(arena));
            (join(zero), one, join(two))
        }
        _ => {
            let (zero, one) = (spawn(0, arena, zero), spawn(1, arena, one));
            let two = on_cpu(2, || two(arena));
            (join(zero), join(one), two)
        }
    }
}
