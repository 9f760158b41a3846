//! What kernels make of a heap: the collections of `alloc` and of hashbrown, with contents that are checked.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BinaryHeap, VecDeque};
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use support::Random;

use super::{Told, checks, nothing};
use crate::bench::Site;
use crate::check::{Failure, equal, holds};
use crate::memory::{HEAP, KernelHeap, stats};

checks! {
    a_vec_grows_and_shrinks,
    maps_and_queues_hold_what_was_put_in,
    strings_are_what_was_written,
    an_arc_is_dropped_once_on_whichever_cpu,
    a_cycle_of_rcs_comes_apart,
    boxes_of_traits_run_and_drop_what_they_hold,
    a_hash_map_works_on_the_global_heap,
    a_hash_map_works_on_the_heap_by_reference,
}

fn a_vec_grows_and_shrinks(site: &Site) -> Told {
    let mut numbers = Vec::new();
    let count = u64::from(site.of((100_000, 400_000)));
    let mut moves = 0;
    for number in 0..count {
        let before = numbers.as_ptr();
        numbers.push(number * number);
        moves += u32::from(numbers.as_ptr() != before);
    }
    holds("every element is there", (0..count).zip(&numbers).all(|(number, found)| number * number == *found))?;
    let grown = stats().run_bytes;
    numbers.truncate(1000);
    numbers.shrink_to_fit();
    holds("pages are given back", stats().run_bytes < grown)?;
    holds("the others are there still", (0..1000).zip(&numbers).all(|(number, found)| number * number == *found))?;
    equal("elements", numbers.len(), 1000)?;
    drop(numbers);
    Ok(format!("{count} elements pushed, the vector moved {moves} times"))
}

fn maps_and_queues_hold_what_was_put_in(_: &Site) -> Told {
    let mut random = Random::new(3);
    let mut map = BTreeMap::new();
    let mut heap = BinaryHeap::new();
    let mut queue = VecDeque::new();
    for number in 0..5000_u32 {
        let key = number.wrapping_mul(0x9e37_79b1);
        map.insert(key, Box::new([number; 3]));
        heap.push(key);
        queue.push_back(key);
        if random.one_in(3) {
            let gone = queue.pop_front();
            holds("the oldest was there", gone.and_then(|key| map.remove(&key)).is_some())?;
        }
    }
    let left = |key: u32, value: &[u32; 3]| value[0].wrapping_mul(0x9e37_79b1) == key && value[2] == value[0];
    holds("each key has its value", map.iter().all(|(key, value)| left(*key, value)))?;
    equal("keys", map.len(), queue.len())?;
    let sorted: Vec<u32> = core::iter::from_fn(|| heap.pop()).collect();
    holds("the heap sorts", sorted.len() == 5000 && sorted.is_sorted_by(|a, b| a >= b))?;
    nothing()
}

fn strings_are_what_was_written(_: &Site) -> Told {
    let mut text = String::new();
    for number in 0..2000 {
        text += &format!("{number:x},");
    }
    let words: Vec<String> = text.split_terminator(',').map(String::from).collect();
    equal("words", words.len(), 2000)?;
    for (number, word) in (0..2000).zip(&words) {
        equal("a word", i32::from_str_radix(word, 16), Ok(number))?;
    }
    equal("joined again", words.join(",") + ",", text)?;
    nothing()
}

/// Counts how often it is dropped.
#[derive(Debug)]
struct Counted<'a>(&'a AtomicU64, [u64; 9]);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn an_arc_is_dropped_once_on_whichever_cpu(site: &Site) -> Told {
    let drops = AtomicU64::new(0);
    for round in 0..50 {
        let shared = Arc::new(Counted(&drops, [round; 9]));
        let place = spin::Mutex::new(Some(Arc::clone(&shared)));
        site.on_all(|_| {
            for _ in 0..20 {
                let own = Arc::clone(&shared);
                equal("what is shared", own.1, [round; 9])?;
            }
            // One of them gets it, and drops it there.
            drop(place.try_lock().and_then(|mut place| place.take()));
            Ok(())
        })?;
        drop((shared, place));
        equal("drops", drops.load(Ordering::Relaxed), round + 1)?;
    }
    nothing()
}

/// A node that knows the next one.
struct Node<'a> {
    next: RefCell<Option<Rc<Node<'a>>>>,
    back: RefCell<Weak<Node<'a>>>,
    _counted: Counted<'a>,
}

fn a_cycle_of_rcs_comes_apart(_: &Site) -> Told {
    let drops = AtomicU64::new(0);
    let node = || {
        let (next, back) = (RefCell::new(None), RefCell::new(Weak::new()));
        Rc::new(Node { next, back, _counted: Counted(&drops, [0; 9]) })
    };
    let first = node();
    let mut last = Rc::clone(&first);
    for _ in 1..1000 {
        let new = node();
        *new.back.borrow_mut() = Rc::downgrade(&last);
        *last.next.borrow_mut() = Some(Rc::clone(&new));
        last = new;
    }
    *last.next.borrow_mut() = Some(Rc::clone(&first));
    *first.back.borrow_mut() = Rc::downgrade(&last);
    drop(last);
    equal("drops while it is a cycle", drops.load(Ordering::Relaxed), 0)?;
    // Cut open and taken apart node by node, for a chain of drops would want a deep stack.
    let mut rest = first.next.borrow_mut().take();
    let mut count = 1;
    drop(first);
    while let Some(node) = rest {
        rest = node.next.borrow_mut().take();
        holds(
            "the one before is gone or going",
            count == 1 || node.back.borrow().upgrade().is_none() || rest.is_none(),
        )?;
        count += 1;
    }
    // The first node came round once more as the last one's next.
    equal("nodes on the way, and drops", (count, drops.load(Ordering::Relaxed)), (1001, 1000))?;
    nothing()
}

trait Shape {
    fn area(&self) -> u64;
}

struct Square(u64);
struct Tiles<'a>(Vec<u64>, Counted<'a>);

impl Shape for Square {
    fn area(&self) -> u64 {
        self.0 * self.0
    }
}

impl Shape for Tiles<'_> {
    fn area(&self) -> u64 {
        self.0.iter().sum::<u64>() + self.1.1[0]
    }
}

fn boxes_of_traits_run_and_drop_what_they_hold(_: &Site) -> Told {
    let drops = AtomicU64::new(0);
    let mut shapes: Vec<Box<dyn Shape + '_>> = Vec::new();
    for number in 0..500 {
        shapes.push(Box::new(Square(number)));
        shapes.push(Box::new(Tiles((0..=number).collect(), Counted(&drops, [1; 9]))));
    }
    let expected: u64 = (0..500).map(|number: u64| number * number + number * (number + 1) / 2 + 1).sum();
    equal("the sum of all areas", shapes.iter().map(|shape| shape.area()).sum::<u64>(), expected)?;
    let adder: Vec<Box<dyn Fn(u64) -> u64>> = (0..100_u64).map(|step| Box::new(move |to| to + step) as _).collect();
    equal("a chain of closures", adder.iter().fold(0, |sum, add| add(sum)), 4950)?;
    drop(shapes);
    equal("drops", drops.load(Ordering::Relaxed), 500)?;
    nothing()
}

fn a_hash_map_works_on_the_global_heap(_: &Site) -> Told {
    let mut map: HashMap<u64, String> = HashMap::new();
    for number in 0..4000 {
        map.insert(number, format!("number {number}"));
    }
    map.retain(|number, _| number % 3 != 0);
    equal("entries", map.len(), 2666)?;
    let is_right = |map: &HashMap<u64, String>, number: u64| {
        map.get(&number).map(String::as_str) == Some(&*format!("number {number}"))
    };
    let is_whole = |map: &_| (0..4000).all(|number| is_right(map, number) == (number % 3 != 0));
    holds("each has its text, but every third", is_whole(&map))?;
    map.shrink_to_fit();
    holds("and after it shrank", is_whole(&map))?;
    nothing()
}

fn a_hash_map_works_on_the_heap_by_reference(_: &Site) -> Told {
    let before = stats().live_bytes;
    let mut map: HashMap<u32, [u64; 4], _, &'static KernelHeap> =
        HashMap::with_hasher_in(hashbrown::DefaultHashBuilder::default(), &HEAP);
    for number in 0..3000_u32 {
        map.insert(number, [number.into(); 4]);
    }
    // More than a tenth of a mebibyte, and of this heap.
    let taken = stats().live_bytes - before;
    holds("it is this heap's memory", taken >= 3000 * 36)?;
    let is_right = (0..3000).all(|number: u32| map.get(&number) == Some(&[number.into(); 4]));
    holds("each key has its value", is_right)?;
    let gone = (0..3000).filter(|number| number % 2 == 0).filter_map(|number| map.remove(&number)).count();
    equal("removed, left", (gone, map.len()), (1500, 1500))?;
    drop(map);
    if stats().live_bytes == before { nothing() } else { Err(Failure::new("the map has left something behind")) }
}
