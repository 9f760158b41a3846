//! Work that can be timed: an operation, on one thread or on two at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Start, median};

/// What a subject does in a case.
pub(crate) trait Work {
    /// Does so many operations, on each thread, and says how long that took.
    fn batch(&mut self, operations: usize) -> Duration;

    /// Does an operation for each of these, and says how many nanoseconds each took, the clock's own taken off. Where operations
    /// cannot be told apart, it leaves them as they are.
    fn singles(&mut self, times: &mut [f64]) {
        let _ = times;
    }

    /// Operations come in multiples of this.
    fn step(&self) -> usize {
        1
    }
}

/// What is done again and again. Closures are called; what takes about as long as a call implements this itself, inlined.
pub(crate) trait Operation {
    fn run(&mut self);
}

impl<F: FnMut()> Operation for F {
    #[inline]
    fn run(&mut self) {
        self();
    }
}

/// An operation on this thread.
pub(crate) struct Alone<O>(pub(crate) O);

impl<O: Operation> Work for Alone<O> {
    fn batch(&mut self, operations: usize) -> Duration {
        let started = processor_time();
        (0..operations).for_each(|_| self.0.run());
        processor_time().saturating_sub(started)
    }

    fn singles(&mut self, times: &mut [f64]) {
        timed_alone(times, || self.0.run());
    }
}

/// Operations on two threads at once: an operation of each is one of the pair.
pub(crate) struct Both<O>([Line<O>; 2]);

/// What a thread writes at each operation, on cache lines that the other thread has nothing on.
#[repr(align(128))]
struct Line<O>(O);

impl<O> Both<O> {
    pub(crate) fn new(work: [O; 2]) -> Self {
        Self(work.map(Line))
    }
}

impl<O: Operation + Send> Work for Both<O> {
    fn batch(&mut self, operations: usize) -> Duration {
        let start = Start::default();
        let run = |work: &mut O| {
            start.wait();
            let started = Instant::now();
            (0..operations).for_each(|_| work.run());
            started.elapsed()
        };
        let [Line(first), Line(second)] = &mut self.0;
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(second));
            run(first).max(other.join().expect("no operation panics"))
        })
    }

    fn singles(&mut self, times: &mut [f64]) {
        let is_over = AtomicBool::new(false);
        let [Line(first), Line(second)] = &mut self.0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    second.run();
                }
            });
            timed_alone(times, || first.run());
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

/// How long this thread has had a processor: what it waits for one, where others want it too, is none of its work. Where two
/// threads work at once this would not do, for who waits for the other is not always there.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `time` alone.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0, "each thread has such a clock");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

/// Times single operations.
#[expect(clippy::cast_precision_loss, reason = "an operation takes no days")]
pub(crate) fn timed_alone(times: &mut [f64], mut work: impl FnMut()) {
    let mut clock = [0.0; 101];
    for time in &mut clock {
        let started = Instant::now();
        *time = started.elapsed().as_nanos() as f64;
    }
    let clock = median(&mut clock);
    for time in times {
        let started = Instant::now();
        work();
        *time = (started.elapsed().as_nanos() as f64 - clock).max(0.0);
    }
}
