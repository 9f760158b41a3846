//! Resident bytes a live byte: 64 MiB of objects of mixed sizes, replaced at random three times over.
//!
//! Each allocator is measured in a process of its own, where nobody else's pages are.

use std::process::Command;

use crate::cases::{Subject, mixed_layout};
use crate::peers::Peer;
use crate::random::Random;

/// How many objects, about 1028 bytes each.
const OBJECTS: usize = 1 << 16;

/// Fills the allocator and says how many bytes are live.
pub(crate) fn fill<S: Subject>() -> usize {
    let mut random = Random::new(3);
    let one = |random: &mut Random| {
        let layout = mixed_layout(random);
        let object = S::alloc(layout);
        assert!(!object.is_null(), "out of memory");
        // SAFETY: that is its size.
        unsafe { object.write_bytes(1, layout.size()) };
        (object, layout)
    };
    let mut live: Vec<_> = (0..OBJECTS).map(|_| one(&mut random)).collect();
    for _ in 0..3 * OBJECTS {
        let number = random.below(OBJECTS);
        let (object, layout) = live[number];
        // SAFETY: it is live until here.
        unsafe { S::free(object, layout) };
        live[number] = one(&mut random);
    }
    live.iter().map(|(_, layout)| layout.size()).sum()
}

/// Resident bytes a live byte of one allocator, in this process.
pub(crate) fn measure(peer: &Peer) -> f64 {
    // The list of objects is as large for all, and the system's.
    let before = resident() + (OBJECTS * size_of::<(*mut u8, std::alloc::Layout)>()) as f64;
    let live = (peer.fill)();
    (resident() - before) / live as f64
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
    pages * 4096.0
}

/// Measures all, each in a process of its own, and prints what they say.
pub(crate) fn print(peers: &[Peer]) {
    println!("\n| | resident bytes a live byte |\n|---|---:|");
    for peer in peers.iter().filter(|peer| !peer.linear) {
        let output = std::env::current_exe()
            .and_then(|program| Command::new(program).args(["--memory", "--only", peer.name]).output());
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let ratio = said.lines().next().and_then(|line| line.parse::<f64>().ok()).unwrap_or(f64::NAN);
        println!("| {} | {ratio:.3} |", peer.name);
    }
}
