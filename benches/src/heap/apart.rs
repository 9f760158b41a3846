//! What is measured of each allocator in a process of its own, where nobody else's memory is: many objects, up to 3 GiB of them;
//! how long their lives take, and how many bytes stay resident for each of theirs, while they live and afterwards.

use std::alloc::Layout;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use super::jobs::{Subject, layout, mixed_layout};
use super::peers::{Peer, lend};
use crate::harness::{Role, median};
use crate::random::Random;
use crate::rows::{Row, Shape};

const GIB: usize = 1 << 30;
/// What is left alone of what the machine has free.
const SPARE: usize = 2 * GIB;

/// Many objects, taken one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many {
    name: &'static str,
    /// Bytes of each; `None` for 8 to 2048, at random.
    bytes: Option<usize>,
    count: usize,
    then: Then,
}

/// What becomes of them.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// They are given back, the last first. A list would take memory, so each names the one before.
    Emptied,
    /// So many of them are replaced, each at random; then they are given back in the order in which they were taken.
    Replaced { times: usize, at: Option<f64> },
}

const fn fill(name: &'static str, bytes: Option<usize>, mean: usize) -> Many {
    Many { name, bytes, count: 3 * GIB / mean, then: Then::Emptied }
}

const CASES: [Many; 7] = [
    Many { name: "100000 of 64 B", bytes: Some(64), count: 100_000, then: Then::Replaced { times: 300_000, at: None } },
    Many {
        name: "64 MiB of 8 to 2048 B",
        bytes: None,
        count: 1 << 16,
        then: Then::Replaced { times: 3 << 16, at: None },
    },
    Many { name: "1600 of 40 KiB", bytes: Some(40 << 10), count: 1600, then: Then::Replaced { times: 5000, at: None } },
    Many {
        name: "10^7 of 64 B",
        bytes: Some(64),
        count: 10_000_000,
        then: Then::Replaced { times: 5_000_000, at: Some(1e7) },
    },
    fill("3 GiB of 64 B", Some(64), 64),
    fill("3 GiB of 8 to 2048 B", None, 1028),
    fill("3 GiB of 40 KiB", Some(40 << 10), 40 << 10),
];

/// What one allocator did in a case.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outcome {
    /// Nanoseconds an object's life.
    life: f64,
    /// Nanoseconds a replacement.
    replaced: f64,
    /// Resident bytes a live byte.
    full: f64,
    /// The same when none is live any more.
    empty: f64,
}

impl Many {
    /// Bytes of all of them, about.
    fn total(&self) -> usize {
        self.count * self.bytes.unwrap_or(1028)
    }

    fn next(&self, random: &mut Random) -> Layout {
        match self.bytes {
            Some(bytes) => layout(bytes),
            None => match self.then {
                // With room for what they name.
                Then::Emptied => layout(16 + random.below(2033)),
                Then::Replaced { .. } => mixed_layout(random),
            },
        }
    }

    /// Does it in this process, for the first time; says what came of it as words.
    pub(super) fn run<S: Subject>(self) -> String {
        let outcome = match self.then {
            Then::Emptied => self.fill_and_empty::<S>(),
            Then::Replaced { times, .. } => self.replace::<S>(times),
        };
        let Outcome { life, replaced, full, empty } = outcome;
        format!("{life} {replaced} {full} {empty}")
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    fn fill_and_empty<S: Subject>(self) -> Outcome {
        let mut random = Random::new(3);
        let (mut last, mut bytes) = (std::ptr::null_mut::<u8>(), 0);
        let before = resident();
        let started = Instant::now();
        for _ in 0..self.count {
            let layout = self.next(&mut random);
            let object = take::<S>(layout);
            let head = object.cast::<(*mut u8, usize)>();
            if layout.size() >= 16 {
                // SAFETY: it has room for both, and is aligned for them.
                unsafe { head.write((last, layout.size())) };
            }
            (last, bytes) = (object, bytes + layout.size());
        }
        let taken = started.elapsed();
        let full = resident() - before;
        let started = Instant::now();
        while !last.is_null() {
            // SAFETY: written above, and live until here.
            let (next, size) = unsafe { last.cast::<(*mut u8, usize)>().read() };
            // SAFETY: taken above with that size.
            unsafe { S::free(last, black_box(layout(size))) };
            last = next;
        }
        let life = (taken + started.elapsed()).as_secs_f64() * 1e9 / self.count as f64;
        let (full, empty) = (full / bytes as f64, (resident() - before) / bytes as f64);
        Outcome { life, replaced: f64::NAN, full, empty }
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes")]
    fn replace<S: Subject>(self, times: usize) -> Outcome {
        let mut random = Random::new(3);
        // The list is there, and resident, before anything is counted.
        let mut live = vec![(std::ptr::dangling_mut::<u8>(), 1_usize); self.count];
        let before = resident();
        let one = |random: &mut Random| {
            let layout = self.next(random);
            (take::<S>(layout), layout.size())
        };
        let started = Instant::now();
        for place in &mut live {
            *place = one(&mut random);
        }
        let taken = started.elapsed();
        let started = Instant::now();
        for _ in 0..times {
            let place = &mut live[random.below(self.count)];
            // SAFETY: it is live until here.
            unsafe { S::free(place.0, black_box(layout(place.1))) };
            *place = one(&mut random);
        }
        let replaced = started.elapsed().as_secs_f64() * 1e9 / times as f64;
        let bytes = live.iter().map(|(_, size)| *size).sum::<usize>() as f64;
        let full = (resident() - before) / bytes;
        let started = Instant::now();
        for (object, size) in &live {
            // SAFETY: it is live until here.
            unsafe { S::free(*object, black_box(layout(*size))) };
        }
        let life = (taken + started.elapsed()).as_secs_f64() * 1e9 / self.count as f64;
        Outcome { life, replaced, full, empty: (resident() - before) / bytes }
    }

    /// Does it in processes of their own, in turns, and makes rows of it.
    fn rows(&self, peers: &[Peer], rounds: usize) -> Vec<Row> {
        let those = || peers.iter().filter(|peer| !peer.linear);
        let mut outcomes: Vec<(&Peer, Vec<Outcome>)> = those().map(|peer| (peer, Vec::new())).collect();
        for _ in 0..rounds {
            for (peer, outcomes) in &mut outcomes {
                outcomes.extend(self.ask(peer));
            }
        }
        outcomes.retain(|(peer, outcomes)| {
            if outcomes.is_empty() {
                println!("{}: {} did not come to the end", self.name, peer.name);
            }
            !outcomes.is_empty()
        });
        let name = self.name;
        let of = |case: String, shape: Shape, figure: fn(&Outcome) -> f64| {
            let figures = outcomes
                .iter()
                .map(|(peer, outcomes)| (*peer, median(&mut outcomes.iter().map(figure).collect::<Vec<_>>())));
            rows_of(&case, shape, &figures.collect::<Vec<_>>())
        };
        let mut rows = match self.then {
            Then::Emptied => of(format!("{name}, taken and given back"), Shape::Timed, |outcome| outcome.life),
            Then::Replaced { at: Some(at), .. } => {
                let mut rows = of("64 B, one of many replaced".to_owned(), Shape::Timed, |outcome| outcome.replaced);
                for row in &mut rows {
                    (row.axis, row.at) = (Some("live objects".to_owned()), Some(at));
                }
                rows
            }
            Then::Replaced { at: None, .. } => Vec::new(),
        };
        rows.extend(of(format!("resident bytes a live byte, {name}"), Shape::Memory, |outcome| outcome.full));
        rows.extend(of(format!("the same after all were freed, {name}"), Shape::Memory, |outcome| outcome.empty));
        rows
    }

    fn ask(&self, peer: &Peer) -> Option<Outcome> {
        let program = std::env::current_exe().ok()?;
        let output = Command::new(program).args(["--apart", peer.name, self.name]).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        let mut words = said.split_whitespace().map(|word| word.parse().ok());
        let mut word = || words.next().flatten();
        Some(Outcome { life: word()?, replaced: word()?, full: word()?, empty: word()? })
    }
}

fn rows_of(case: &str, shape: Shape, figures: &[(&Peer, f64)]) -> Vec<Row> {
    let best_of =
        |role: Role| figures.iter().filter(|(peer, _)| peer.role == role).map(|(_, figure)| *figure).reduce(f64::min);
    let (limit, best) = (best_of(Role::Limit), best_of(Role::Peer));
    let is_timed = shape == Shape::Timed;
    // Of next to nothing a ratio says nothing, and a limit of time is none of memory.
    let by = |figure: f64, other: Option<f64>| other.filter(|other| *other > 0.5).map(|other| figure / other);
    let row = |(peer, figure): &(&Peer, f64)| Row {
        group: "heap".to_owned(),
        case: case.to_owned(),
        subject: peer.name.to_owned(),
        threads: 1,
        ns_median: Some(*figure).filter(|_| is_timed),
        ns_p999: None,
        ratio_to_limit: by(*figure, limit.filter(|_| is_timed)),
        ratio_to_best_peer: by(*figure, best),
        shape,
        is_limit: peer.role == Role::Limit,
        axis: None,
        at: None,
        figure: Some(*figure).filter(|_| !is_timed),
        recorded: None,
    };
    figures.iter().filter(|(peer, _)| is_timed || peer.role != Role::Limit).map(row).collect()
}

/// Takes an object, and writes to each of its pages.
fn take<S: Subject>(layout: Layout) -> *mut u8 {
    let object = S::alloc(black_box(layout));
    assert!(!object.is_null(), "out of memory");
    for at in (0..layout.size()).step_by(4096) {
        // SAFETY: within the object.
        let page = unsafe { object.add(at) };
        // SAFETY: as above.
        unsafe { page.write(1) };
    }
    object
}

/// All rows of those cases that are wanted, and for which the machine has memory.
pub(crate) fn rows(peers: &[Peer], rounds: usize, wants: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| wants(case.name)) {
        let (wanted, free) = (case.total() + SPARE, available());
        if free < wanted {
            println!("{} is left out: it wants {} MiB of memory, and {} are free", case.name, wanted >> 20, free >> 20);
            continue;
        }
        eprintln!("heap: {}", case.name);
        rows.extend(case.rows(peers, rounds));
    }
    rows
}

/// A case of one allocator in this process, as words; nothing of what is not known.
pub(crate) fn run(peers: &[Peer], name: &str, case: &str) -> Option<String> {
    let peer = peers.iter().find(|peer| peer.name == name)?;
    let case = CASES.iter().find(|known| known.name == case)?;
    lend(case.total() + GIB);
    Some((peer.many)(*case))
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
    pages * 4096.0
}

/// Bytes that programs can still have; nothing where the system does not say.
fn available() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::peers;

    #[test]
    fn each_allocator_does_what_it_is_asked_for() {
        for then in [Then::Emptied, Then::Replaced { times: 3000, at: None }] {
            let case = Many { name: "some", bytes: None, count: 1000, then };
            for peer in peers::all() {
                let said = (peer.many)(case);
                let words: Vec<f64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
                assert!(words.len() == 4 && words[0] > 0.0, "{}: {said}", peer.name);
            }
        }
    }

    #[test]
    fn cases_have_names_of_their_own() {
        for case in &CASES {
            assert_eq!(CASES.iter().filter(|other| other.name == case.name).count(), 1, "{}", case.name);
        }
    }
}
