//! What is measured of heaps.
//!
//! An *operation* is an object's whole life: taken and given back, or, where many are live, one given back and another taken
//! in its place. The first byte of each object is written. Layouts pass through `black_box`, so that nothing is worked out
//! beforehand.

use std::alloc::Layout;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::harness::{both, timed_alone};
use crate::random::Random;

mod threads;

/// Whether what is written to objects of all sizes is read back, while others are live.
pub(crate) fn check<S: Subject>() {
    let objects: Vec<_> = (0u8..200).map(|number| (number, layout(8 << (number % 8)))).collect();
    let taken: Vec<_> = objects
        .iter()
        .map(|(number, layout)| {
            let object = take::<S>(*layout);
            // SAFETY: that is its size.
            unsafe { object.write_bytes(*number, layout.size()) };
            object
        })
        .collect();
    for ((number, layout), object) in objects.iter().zip(taken) {
        // SAFETY: written above, and nobody else's.
        let bytes = unsafe { std::slice::from_raw_parts(object, layout.size()) };
        assert!(bytes.iter().all(|byte| byte == number), "what is written is read back");
        // SAFETY: taken above.
        unsafe { S::free(object, *layout) };
    }
}

/// An allocator, as the cases see it.
pub(crate) trait Subject {
    fn alloc(layout: Layout) -> *mut u8;
    /// # Safety
    /// The object came from [`alloc`](Self::alloc) with this layout, and nobody uses it.
    unsafe fn free(object: *mut u8, layout: Layout);
}

/// What a case does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// Take an object of so many bytes, give it back.
    Pair { bytes: usize },
    /// The same, every page of it written to.
    Touched { bytes: usize },
    /// Take so many objects of 64 bytes, give them back in a random order.
    Burst { objects: usize },
    /// Of 10 000 live objects of 8 to 2048 bytes, replace one at random.
    Mixed,
    /// Of so many live objects of 64 bytes, replace one at random.
    Live { objects: usize },
    /// A thread comes, takes a hundred objects of so many bytes, gives them back, and goes.
    ShortThreads { bytes: usize },
    /// Two threads at once, each its own [`Pair`](Self::Pair).
    TwoPairs { bytes: usize },
    /// Two threads at once, each its own [`Mixed`](Self::Mixed).
    TwoMixed,
    /// One thread takes objects of so many bytes, another gives them back.
    Handed { bytes: usize },
}

impl Job {
    /// Does about so many operations and says how long they took.
    pub(crate) fn run<S: Subject>(self, operations: usize) -> Duration {
        match self {
            Self::Pair { bytes } => pairs::<S>(layout(bytes), operations),
            Self::Touched { bytes } => touched::<S>(layout(bytes), operations),
            Self::Burst { objects } => bursts::<S>(objects, operations),
            Self::Mixed => mixed::<S>(1, operations),
            Self::Live { objects } => replaced::<S>((1, objects), |_| layout(64), operations, || {}),
            Self::ShortThreads { bytes } => short_threads::<S>(layout(bytes), operations),
            Self::TwoPairs { bytes } => both(|_, start| {
                start.wait();
                pairs::<S>(layout(bytes), operations)
            }),
            Self::TwoMixed => {
                both(|number, start| replaced::<S>((number, 10_000), mixed_layout, operations, || start.wait()))
            }
            Self::Handed { bytes } => threads::handed::<S>(layout(bytes), operations),
        }
    }

    /// Whether very many objects are live at once.
    pub(crate) const fn is_large(self) -> bool {
        matches!(self, Self::Burst { objects: 10_000.. } | Self::Live { objects: 10_000.. } | Self::TwoMixed)
    }

    /// Whether each thread gives back what it took itself, and stays.
    pub(crate) const fn keeps_to_its_thread(self) -> bool {
        !matches!(self, Self::Handed { .. } | Self::ShortThreads { .. })
    }

    /// Times single operations, where there is one after the other.
    pub(crate) fn singles<S: Subject>(self, times: &mut [f64]) {
        let (Self::Pair { bytes } | Self::Touched { bytes }) = self else { return };
        let layout = layout(bytes);
        timed_alone(times, || {
            let object = take::<S>(layout);
            // SAFETY: taken above.
            unsafe { S::free(object, black_box(layout)) };
        });
    }

    /// How many threads are at it at once.
    pub(crate) const fn threads(self) -> usize {
        match self {
            Self::TwoPairs { .. } | Self::TwoMixed | Self::Handed { .. } => 2,
            _ => 1,
        }
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
    replaced::<S>((seed, 10_000), mixed_layout, operations, || {})
}

/// Replaces objects at random, from a seed on, so many being live; `start` is called when the first are there.
fn replaced<S: Subject>(
    (seed, objects): (u64, usize),
    layout: impl Fn(&mut Random) -> Layout,
    operations: usize,
    start: impl FnOnce(),
) -> Duration {
    let mut random = Random::new(seed);
    let one = |random: &mut Random| {
        let layout = layout(random);
        (take::<S>(layout), layout)
    };
    let mut live: Vec<_> = (0..objects).map(|_| one(&mut random)).collect();
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

fn short_threads<S: Subject>(layout: Layout, operations: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..operations / 100 {
        let thread = std::thread::spawn(move || {
            let objects: [_; 100] = std::array::from_fn(|_| take::<S>(layout).expose_provenance());
            for object in objects {
                // SAFETY: taken above.
                unsafe { S::free(std::ptr::with_exposed_provenance_mut(object), black_box(layout)) };
            }
        });
        thread.join().expect("the thread ends");
    }
    started.elapsed()
}
