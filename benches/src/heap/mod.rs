//! The heap beside other allocators: the same work for each, in one process, in turns.
//!
//! Every allocator is called through `GlobalAlloc` on a static, by a call that is not inlined, as a program calls its global
//! allocator; this program's own is the system's. The limit is a free list that one thread has, where no other gives back
//! what it took. What wants very many objects, or tells resident bytes, is done in processes of their own (`apart`).

mod apart;
mod jobs;
mod peers;

use std::time::Duration;

use crate::harness::{Case, Effort, Role, Subject, Work};
use crate::rows::Row;
use jobs::Job;
use peers::Peer;

/// The cases that are no curves.
const CASES: [(&str, Job); 16] = [
    ("16 B pair", Job::Pair { bytes: 16 }),
    ("64 B pair", Job::Pair { bytes: 64 }),
    ("256 B pair", Job::Pair { bytes: 256 }),
    ("1024 B pair", Job::Pair { bytes: 1024 }),
    ("1000 of 64 B, freed in random order", Job::Burst { objects: 1000 }),
    ("100000 of 64 B, freed in random order", Job::Burst { objects: 100_000 }),
    ("10000 live of 8 to 2048 B, one replaced", Job::Mixed),
    ("64 B pair, two threads", Job::TwoPairs { bytes: 64 }),
    ("10000 live each, two threads", Job::TwoMixed),
    ("64 B, handed over", Job::Handed { bytes: 64 }),
    ("512 B, handed over", Job::Handed { bytes: 512 }),
    ("12 KiB, written", Job::Touched { bytes: 12 << 10 }),
    ("40 KiB, written", Job::Touched { bytes: 40 << 10 }),
    ("200 KiB, written", Job::Touched { bytes: 200 << 10 }),
    ("1 MiB, written", Job::Touched { bytes: 1 << 20 }),
    ("64 B, threads that come and go", Job::ShortThreads { bytes: 64 }),
];

/// How many objects are live along the curve.
const LIVE: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// A case of one allocator.
struct Allocator {
    peer: Peer,
    job: Job,
}

impl Work for Allocator {
    fn batch(&mut self, operations: usize) -> Duration {
        (self.peer.run)(self.job, operations)
    }

    fn singles(&mut self, times: &mut [f64]) {
        (self.peer.singles)(self.job, times);
    }

    fn step(&self) -> usize {
        self.job.step()
    }
}

/// All cases.
pub(crate) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    let mut cases: Vec<Box<dyn FnOnce() -> Case>> = Vec::new();
    for (name, job) in CASES {
        cases.push(Box::new(move || case(name, job, None)));
    }
    for objects in LIVE {
        #[expect(clippy::cast_precision_loss, reason = "few objects")]
        let at = objects as f64;
        cases.push(Box::new(move || {
            case("64 B, one of many replaced", Job::Live { objects }, Some(("live objects", at)))
        }));
    }
    cases
}

fn case(name: &str, job: Job, at: Option<(&'static str, f64)>) -> Case {
    let can =
        |peer: &Peer| (!peer.linear || !job.is_large()) && (peer.role != Role::Limit || job.keeps_to_its_thread());
    let subjects = peers::all().into_iter().filter(can).map(|peer| {
        (peer.check)();
        Subject { name: peer.name, role: peer.role, work: Box::new(Allocator { peer, job }) }
    });
    Case { group: "heap", name: name.to_owned(), threads: job.threads(), at, subjects: subjects.collect() }
}

/// What is measured of each allocator in a process of its own.
pub(crate) fn rows_apart(effort: Effort, wants: impl Fn(&str) -> bool) -> Vec<Row> {
    // A round takes seconds.
    apart::rows(&peers::all(), if effort.rounds < 10 { 1 } else { 3 }, wants)
}

/// A case of one allocator in this process, which was made for it.
pub(crate) fn run_apart(name: &str, case: &str) -> Option<String> {
    apart::run(&peers::all(), name, case)
}
