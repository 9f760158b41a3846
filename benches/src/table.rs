//! Prints medians as a table.

use crate::cases::Case;
use crate::peers::Peer;

/// A row a case: ours, ours by the best of the others, and all the others.
pub(crate) fn print(peers: &[Peer], cases: &[&Case], medians: &[Vec<f64>]) {
    print!("\n| ns an operation |");
    for (number, peer) in peers.iter().enumerate() {
        print!(" {} |", peer.name);
        if number == 0 {
            print!(" by the best other |");
        }
    }
    println!("\n|---|{}", "---:|".repeat(peers.len() + 1));
    for (case, row) in cases.iter().zip(medians) {
        print!("| {} |", case.name);
        let best = row.iter().skip(1).copied().fold(f64::INFINITY, f64::min);
        for (number, median) in row.iter().enumerate() {
            print!(" {} |", figures(*median));
            if number == 0 {
                print!(" {:.2} |", median / best);
            }
        }
        println!();
    }
}

/// Three figures or so.
pub(crate) fn figures(value: f64) -> String {
    match value {
        _ if value.is_nan() => "-".to_owned(),
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
