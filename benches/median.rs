//! How long one of many operations takes.

use std::time::{Duration, Instant};

/// How long a round takes, about.
const ROUND: Duration = Duration::from_millis(50);
/// Of how many rounds the median is told.
pub const ROUNDS: usize = 11;

/// What one of so many operations costs that `work` does, in nanoseconds: the median of the rounds.
pub fn median(operations: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (started, mut done) = (Instant::now(), 0);
            while started.elapsed() < ROUND {
                (0..64).for_each(|_| work());
                done += 64 * operations;
            }
            #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 operations")]
            let done = done as f64;
            started.elapsed().as_secs_f64() * 1e9 / done
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
