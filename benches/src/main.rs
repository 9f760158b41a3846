//! Measures the heap beside other allocators: the same work for each, in one process, in turns.
//!
//! Every allocator is called through `GlobalAlloc` on a static, by a call that is not inlined, as a program calls its global
//! allocator; this program's own is the system's. What is printed is the median over rounds in which all took their turn, in
//! nanoseconds, and how ours compares to the best of the others: ratios travel, times do not.
//!
//! ```text
//! cargo run --release -p kernel-arena-benches --features peers-c [-- --quick] [--case NAME] [--only NAME]
//! ```
//! With `--ops N` as well, `--case` and `--only` run that one case once: for a profiler.

mod cases;
mod measure;
mod memory;
mod options;
mod peers;
mod random;
mod table;

use std::process::ExitCode;

use options::{Mode, Options};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    let peers: Vec<_> = peers::all().into_iter().filter(|peer| options.wants_peer(peer.name)).collect();
    let cases: Vec<_> = cases::ALL.iter().filter(|case| options.wants_case(case.name)).collect();
    match options.mode {
        Mode::Once(operations) => {
            for (peer, case) in peers.iter().flat_map(|peer| cases.iter().map(move |case| (peer, case))) {
                let time = (peer.run)(case.work, operations);
                println!("{} {}: {:.2} ns", peer.name, case.name, measure::nanos(time, operations));
            }
        }
        Mode::Memory => match peers.as_slice() {
            [peer] => println!("{}", memory::measure(peer)),
            _ => eprintln!("--memory wants --only NAME"),
        },
        Mode::Table => {
            let medians = measure::all(&peers, &cases, &options);
            table::print(&peers, &cases, &medians);
            if options.wants_case("memory") {
                memory::print(&peers);
            }
        }
    }
    if !cfg!(feature = "peers-c") {
        println!("\nWithout the feature `peers-c`: mimalloc, jemalloc and snmalloc are left out.");
    }
    ExitCode::SUCCESS
}
