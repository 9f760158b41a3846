//! Resident bytes a live byte: 64 MiB of objects of mixed sizes, replaced at random three times over; and what stays resident of
//! each once all are given back.
//!
//! Each allocator is measured in a process of its own, where nobody else's pages are.

use std::process::Command;

use super::jobs::{Subject, mixed_layout};
use super::peers::Peer;
use crate::random::Random;

/// How many objects, about 1028 bytes each.
const OBJECTS: usize = 1 << 16;

/// Objects that are live, and how to end them.
pub(crate) struct Live {
    bytes: usize,
    end: Box<dyn FnOnce()>,
}

/// Fills the allocator.
pub(crate) fn fill<S: Subject>() -> Live {
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
    let bytes = live.iter().map(|(_, layout)| layout.size()).sum();
    let end = Box::new(move || {
        for (object, layout) in &live {
            // SAFETY: it is live until here.
            unsafe { S::free(*object, *layout) };
        }
        // The list itself stays, as it was before.
        std::mem::forget(live);
    });
    Live { bytes, end }
}

/// Resident bytes a live byte of one allocator, in this process: with all of them live, and with none.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
pub(crate) fn measure(peer: &Peer) -> [f64; 2] {
    // The list of objects is as large for all, and the system's.
    let before = resident() + (OBJECTS * size_of::<(*mut u8, std::alloc::Layout)>()) as f64;
    let live = (peer.fill)();
    let bytes = live.bytes as f64;
    let full = (resident() - before) / bytes;
    (live.end)();
    [full, (resident() - before) / bytes]
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
    pages * 4096.0
}

/// Measures all, each in a process of its own.
pub(crate) fn all(peers: &[Peer]) -> Vec<(&'static str, [f64; 2])> {
    let ask = |peer: &Peer| {
        let program = std::env::current_exe().ok()?;
        let output = Command::new(program).args(["--memory", peer.name]).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        let mut words = said.split_whitespace().map(|word| word.parse().ok());
        Some((peer.name, [words.next()??, words.next()??]))
    };
    peers.iter().filter(|peer| !peer.linear).filter_map(ask).collect()
}
