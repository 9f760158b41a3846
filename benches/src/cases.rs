//! What is measured.
//!
//! An *operation* is an object's whole life: taken and given back, or, where many are live, one given back and another taken
//! in its place. The first byte of each object is written. Layouts pass through `black_box`, so that nothing is worked out
//! beforehand.

use std::alloc::Layout;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::random::Random;

mod threads;

/// An allocator, as the cases see it.
pub(crate) trait Subject {
    fn alloc(layout: Layout) -> *mut u8;
    /// # Safety
    /// The object came from [`alloc`](Self::alloc) with this layout, and nobody uses it.
    unsafe fn free(object: *mut u8, layout: Layout);
}

/// A case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
}

/// What a case does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Take an object of so many bytes, give it back.
    Pair { bytes: usize },
    /// The same, every page of it written to.
    Touched { bytes: usize },
    /// Take so many objects of 64 bytes, give them back in a random order.
    Burst { objects: usize },
    /// Of 10 000 live objects of 8 to 2048 bytes, replace one at random.
    Mixed,
    /// Two threads at once, each its own [`Pair`](Self::Pair).
    TwoPairs { bytes: usize },
    /// Two threads at once, each its own [`Mixed`](Self::Mixed).
    TwoMixed,
    /// One thread takes objects of so many bytes, another gives them back.
    Handed { bytes: usize },
}

const fn case(name: &'static str, work: Work) -> Case {
    Case { name, work }
}

/// All cases.
pub(crate) const ALL: [Case; 12] = [
    case("64 B pair", Work::Pair { bytes: 64 }),
    case("1024 B pair", Work::Pair { bytes: 1024 }),
    case("1000 x 64 B, random frees", Work::Burst { objects: 1000 }),
    case("100000 x 64 B, random frees", Work::Burst { objects: 100_000 }),
    case("mixed, 10000 live", Work::Mixed),
    case("two threads, 64 B pair", Work::TwoPairs { bytes: 64 }),
    case("two threads, mixed", Work::TwoMixed),
    case("handed over, 64 B", Work::Handed { bytes: 64 }),
    case("handed over, 512 B", Work::Handed { bytes: 512 }),
    case("12 KiB, written", Work::Touched { bytes: 12 << 10 }),
    case("40 KiB, written", Work::Touched { bytes: 40 << 10 }),
    case("1 MiB, written", Work::Touched { bytes: 1 << 20 }),
];

impl Work {
    /// Does about so many operations and says how long they took.
    pub(crate) fn run<S: Subject>(self, operations: usize) -> Duration {
        match self {
            Self::Pair { bytes } => pairs::<S>(layout(bytes), operations),
            Self::Touched { bytes } => touched::<S>(layout(bytes), operations),
            Self::Burst { objects } => bursts::<S>(objects, operations),
            Self::Mixed => mixed::<S>(1, operations),
            Self::TwoPairs { bytes } => threads::both(|_, start| {
                start.wait();
                pairs::<S>(layout(bytes), operations)
            }),
            Self::TwoMixed => threads::both(|number, start| mixed_from::<S>(number, operations, || start.wait())),
            Self::Handed { bytes } => threads::handed::<S>(layout(bytes), operations),
        }
    }

    /// Whether very many objects are live at once.
    pub(crate) const fn is_large(self) -> bool {
        matches!(self, Self::Burst { objects: 10_000.. } | Self::TwoMixed)
    }

    /// Operations come in multiples of this.
    pub(crate) const fn step(self) -> usize {
        match self {
            Self::Burst { objects } => objects,
            _ => 100,
        }
    }
}

/// Bytes, aligned as a word is.
pub(crate) fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).expect("a small layout")
}

/// Takes an object and writes to it.
#[inline]
fn take<S: Subject>(layout: Layout) -> *mut u8 {
    let object = S::alloc(black_box(layout));
    assert!(!object.is_null(), "out of memory");
    // SAFETY: it has at least a byte.
    unsafe { object.write(1) };
    black_box(object)
}

fn pairs<S: Subject>(layout: Layout, operations: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..operations {
        let object = take::<S>(layout);
        // SAFETY: taken above.
        unsafe { S::free(object, black_box(layout)) };
    }
    started.elapsed()
}

fn touched<S: Subject>(layout: Layout, operations: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..operations {
        let object = take::<S>(layout);
        for at in (0..layout.size()).step_by(4096) {
            // SAFETY: within the object.
            let page = unsafe { object.add(at) };
            // SAFETY: as above.
            unsafe { page.write(1) };
        }
        // SAFETY: taken above.
        unsafe { S::free(black_box(object), black_box(layout)) };
    }
    started.elapsed()
}

fn bursts<S: Subject>(objects: usize, operations: usize) -> Duration {
    let layout = layout(64);
    let order = Random::new(7).order(objects);
    let mut live = vec![std::ptr::null_mut(); objects];
    let started = Instant::now();
    for _ in 0..operations / objects {
        for slot in &mut live {
            *slot = take::<S>(layout);
        }
        for number in &order {
            // SAFETY: taken above, and the order has each once.
            unsafe { S::free(live[*number], black_box(layout)) };
        }
    }
    started.elapsed()
}

/// Sizes of the mixed case.
pub(crate) fn mixed_layout(random: &mut Random) -> Layout {
    layout(8 + random.below(2041))
}

fn mixed<S: Subject>(seed: u64, operations: usize) -> Duration {
    mixed_from::<S>(seed, operations, || {})
}

/// The mixed case; `start` is called when the first objects are there.
fn mixed_from<S: Subject>(seed: u64, operations: usize, start: impl FnOnce()) -> Duration {
    let mut random = Random::new(seed);
    let one = |random: &mut Random| {
        let layout = mixed_layout(random);
        (take::<S>(layout), layout)
    };
    let mut live: Vec<_> = (0..10_000).map(|_| one(&mut random)).collect();
    start();
    let started = Instant::now();
    for _ in 0..operations {
        let number = random.below(live.len());
        let (object, layout) = live[number];
        // SAFETY: it is live until here.
        unsafe { S::free(object, layout) };
        live[number] = one(&mut random);
    }
    let time = started.elapsed();
    for (object, layout) in live {
        // SAFETY: live until here.
        unsafe { S::free(object, layout) };
    }
    time
}
