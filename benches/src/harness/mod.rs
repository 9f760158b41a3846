//! One way of measuring for everything that is timed.
//!
//! A *case* is one operation, done by several *subjects*: the library, other crates, and the limit, which is the least that any of
//! them could do on this machine. In each round every subject has a turn of about the same length, so that whatever else the
//! machine does meets all alike; and what one thread does is told in the processor's time that it had. What is told is the
//! median of the rounds, each of which is a mean over thousands of operations; and, from a turn in which single operations are
//! timed, what 999 of 1000 stay below.
//!
//! Times belong to this machine. Ratios travel.

mod statistics;
mod threads;
mod work;

use std::time::{Duration, Instant};

use crate::rows::{Row, Shape};

pub(crate) use statistics::{median, quantile};
pub(crate) use threads::{Patience, Start, both};
pub(crate) use work::{Alone, Both, Operation, Work, timed_alone};

/// How many single operations are timed.
const SINGLES: usize = 20_000;

/// What a subject is in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The library.
    Ours,
    /// Another crate.
    Peer,
    /// What the machine allows.
    Limit,
}

/// Somebody who can do a case.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) work: Box<dyn Work>,
}

/// The library's name in the rows.
pub(crate) const OURS: &str = "kernel-arena";

/// The library, in a case.
pub(crate) fn ours(work: impl Work + 'static) -> Subject {
    Subject { name: OURS, role: Role::Ours, work: Box::new(work) }
}

/// Another crate.
pub(crate) fn peer(name: &'static str, work: impl Work + 'static) -> Subject {
    Subject { name, role: Role::Peer, work: Box::new(work) }
}

/// What the machine allows.
pub(crate) fn limit(name: &'static str, work: impl Work + 'static) -> Subject {
    Subject { name, role: Role::Limit, work: Box::new(work) }
}

/// What is measured of all subjects at once.
pub(crate) struct Case {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) threads: usize,
    /// A point of a curve, if it is one: along which axis, and where.
    pub(crate) at: Option<(&'static str, f64)>,
    pub(crate) subjects: Vec<Subject>,
}

/// How much time is spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long a subject's turn takes, about.
    pub(crate) turn: Duration,
}

impl Case {
    /// Measures all subjects, in turns.
    pub(crate) fn measure(mut self, effort: Effort) -> Vec<Row> {
        let mut singles: Vec<Vec<f64>> = Vec::new();
        let counts: Vec<usize> =
            self.subjects.iter_mut().map(|subject| operations(&mut *subject.work, effort.turn)).collect();
        let mut times = vec![Vec::new(); self.subjects.len()];
        for _ in 0..effort.rounds {
            for ((subject, count), times) in self.subjects.iter_mut().zip(&counts).zip(&mut times) {
                times.push(nanoseconds(subject.work.batch(*count), *count));
            }
        }
        for (subject, count) in self.subjects.iter_mut().zip(&counts) {
            let mut times = vec![f64::NAN; SINGLES.min(count * effort.rounds).max(1)];
            subject.work.singles(&mut times);
            singles.push(times);
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        let of = |role: Role| {
            let those = self.subjects.iter().zip(&medians).filter(move |(subject, _)| subject.role == role);
            those.map(|(_, median)| *median).reduce(f64::min)
        };
        let (limit, best) = (of(Role::Limit), of(Role::Peer));
        let rows = self.subjects.iter().zip(&medians).zip(&mut singles).map(|((subject, median), singles)| Row {
            group: self.group.to_owned(),
            case: self.name.clone(),
            subject: subject.name.to_owned(),
            threads: self.threads,
            ns_median: Some(*median),
            ns_p999: Some(quantile(singles, 0.999)).filter(|worst| worst.is_finite()),
            ratio_to_limit: limit.map(|limit| median / limit),
            ratio_to_best_peer: best.map(|best| median / best),
            shape: Shape::Timed,
            is_limit: subject.role == Role::Limit,
            axis: self.at.map(|(axis, _)| axis.to_owned()),
            at: self.at.map(|(_, at)| at),
            figure: None,
            recorded: None,
        });
        rows.collect()
    }
}

/// How many operations take about so long, where nothing else has the processor: of two batches the shorter counts, and what is
/// done once, when a subject is first asked, is over by then. Counts that are too low would measure how long it takes to begin.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count far below 2^64")]
#[expect(clippy::cast_precision_loss, reason = "as above")]
fn operations(work: &mut dyn Work, turn: Duration) -> usize {
    let step = work.step();
    let mut count = step;
    work.batch(step);
    loop {
        let begun = Instant::now();
        let time = work.batch(count).min(work.batch(count));
        if time * 4 >= turn || begun.elapsed() > turn * 16 {
            let wanted = count as f64 * turn.as_secs_f64() / time.as_secs_f64().max(1e-9);
            return (wanted as usize).clamp(step, count.max(step) * 8).next_multiple_of(step);
        }
        count *= if time * 64 < turn { 8 } else { 2 };
    }
}

/// Nanoseconds an operation.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn nanoseconds(time: Duration, operations: usize) -> f64 {
    time.as_secs_f64() * 1e9 / operations as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many nanoseconds an operation, by its own word.
    struct Slow(u64);

    impl Work for Slow {
        fn batch(&mut self, operations: usize) -> Duration {
            Duration::from_nanos(self.0 * operations as u64)
        }
        fn singles(&mut self, times: &mut [f64]) {
            times.fill(10.0 * self.0 as f64);
        }
    }

    #[test]
    fn ratios_are_to_the_limit_and_to_the_best_peer() {
        let subjects = vec![ours(Slow(20)), peer("a", Slow(80)), peer("b", Slow(40)), limit("l", Slow(10))];
        let case = Case { group: "g", name: "c".to_owned(), threads: 1, at: None, subjects };
        let rows = case.measure(Effort { rounds: 3, turn: Duration::from_micros(10) });
        let ours = &rows[0];
        assert_eq!((ours.ns_median, ours.ns_p999), (Some(20.0), Some(200.0)));
        assert_eq!((ours.ratio_to_limit, ours.ratio_to_best_peer), (Some(2.0), Some(0.5)));
        assert_eq!(rows[1].ratio_to_best_peer, Some(2.0));
    }

    #[test]
    fn without_peers_there_is_no_ratio_to_them() {
        let case = Case { group: "g", name: "c".to_owned(), threads: 1, at: None, subjects: vec![ours(Slow(5))] };
        let rows = case.measure(Effort { rounds: 1, turn: Duration::from_micros(1) });
        assert_eq!((rows[0].ratio_to_limit, rows[0].ratio_to_best_peer), (None, None));
    }

    /// The first time it makes something, and now and then somebody else has the processor.
    struct Late(u64);

    impl Work for Late {
        fn batch(&mut self, operations: usize) -> Duration {
            self.0 += 1;
            let lost = if self.0 == 1 || self.0.is_multiple_of(2) { 1_000_000 } else { 0 };
            Duration::from_nanos(lost + 100 * operations as u64)
        }
    }

    #[test]
    fn what_is_done_once_or_by_others_makes_no_turn_shorter() {
        assert_eq!(operations(&mut Late(0), Duration::from_micros(100)), 1000);
    }

    #[test]
    fn a_turn_has_as_many_operations_as_it_takes() {
        assert_eq!(operations(&mut Slow(100), Duration::from_micros(100)), 1000);
    }
}
