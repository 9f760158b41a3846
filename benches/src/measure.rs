//! Rounds in which all take turns, so that whatever else the machine does meets all alike.

use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::options::Options;
use crate::peers::Peer;

/// Nanoseconds an operation.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn nanos(time: Duration, operations: usize) -> f64 {
    time.as_secs_f64() * 1e9 / operations as f64
}

/// The figures, medians unless asked otherwise: a row for each case, a column for each peer.
pub(crate) fn all(peers: &[Peer], cases: &[&Case], options: &Options) -> Vec<Vec<f64>> {
    cases
        .iter()
        .map(|case| {
            eprintln!("{} …", case.name);
            let counts: Vec<_> = peers.iter().map(|peer| operations(peer, case, options.turn)).collect();
            let mut times = vec![Vec::new(); peers.len()];
            for round in 0..options.rounds {
                for ((peer, count), times) in peers.iter().zip(&counts).zip(&mut times) {
                    match count {
                        Count::Turn(count) => times.push(nanos((peer.run)(case.work, *count), *count)),
                        Count::Slow(nanos) if round == 0 => times.push(*nanos),
                        Count::Slow(_) | Count::LeftOut => {}
                    }
                }
            }
            let figure = if options.fastest { fastest } else { median };
            times.iter_mut().map(|times| figure(times)).collect()
        })
        .collect()
}

/// What a peer does in a turn.
enum Count {
    /// Nothing: it would take minutes.
    LeftOut,
    /// So many operations take about a turn.
    Turn(usize),
    /// The fewest possible took many turns: the nanoseconds an operation, and that will do.
    Slow(f64),
}

/// How many operations take about so long.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count far below 2^64")]
#[expect(clippy::cast_precision_loss, reason = "as above")]
fn operations(peer: &Peer, case: &Case, turn: Duration) -> Count {
    let step = case.work.step();
    if peer.linear && case.work.is_large() {
        return Count::LeftOut;
    }
    let mut count = step;
    loop {
        let begun = Instant::now();
        let time = (peer.run)(case.work, count);
        // With all that it took to prepare it.
        if count == step && begun.elapsed() > turn * 8 {
            return Count::Slow(nanos(time, count));
        }
        if time * 4 >= turn {
            let wanted = count as f64 * turn.as_secs_f64() / time.as_secs_f64();
            return Count::Turn((wanted as usize).next_multiple_of(step).max(step));
        }
        count *= if time * 64 < turn { 8 } else { 2 };
    }
}

fn fastest(times: &mut [f64]) -> f64 {
    times.iter().copied().reduce(f64::min).unwrap_or(f64::NAN)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
