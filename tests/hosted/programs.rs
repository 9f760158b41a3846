//! Programs whose global allocator is ours: this one, the test harness included.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use kernel_arena::hosted::HostHeap;
use kernel_arena::slab::Mode;

#[global_allocator]
static HEAP: HostHeap = HostHeap::new();

fn live_bytes() -> u64 {
    HEAP.stats().unwrap().live_bytes
}

fn is_ours<T: ?Sized>(value: &T) -> bool {
    let base = HEAP.get().unwrap().slab().unwrap().to_kernel(kernel_arena::ArenaPtr::<u8>::new(1).unwrap());
    std::ptr::from_ref(value).addr().wrapping_sub(base.addr() - 1) < 1 << 32
}

#[test]
fn what_std_allocates_comes_from_this_heap() {
    let vector = vec![1u8; 100];
    let large = vec![1u8; 10 << 20];
    let map: HashMap<_, _> = (0..1000).map(|number| (number, number.to_string())).collect();
    let tree: BTreeMap<_, _> = (0..1000).map(|number| (number, Arc::new(number))).collect();
    assert!(is_ours(&vector[..]));
    assert!(is_ours(&large[..]));
    assert!(map.values().all(|text| is_ours(text.as_str())));
    assert!(tree.values().all(|count| is_ours(&**count)));
    let stats = HEAP.stats().unwrap();
    assert!(stats.live_bytes > (10 << 20) + 100 + 2 * 1000 * 24);
    assert!(stats.run_bytes >= 10 << 20);
    assert!(stats.slab.classes.iter().map(|class| class.live).sum::<u64>() > 2000);
    drop((vector, large, map, tree));
    assert!(HEAP.stats().unwrap().peak_held_bytes >= stats.live_bytes);
}

#[test]
fn every_layout_is_aligned_and_its_own() {
    use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
    for align in (0..=20).map(|shift| 1usize << shift) {
        for size in [1, 7, 8, 9, 63, 100, 4095, 4096, 5000, 32 << 10, (32 << 10) + 1, 100_000, 3 << 20] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: not zero bytes.
            let block = unsafe { alloc(layout) };
            assert!(!block.is_null() && block.addr() % align == 0, "{layout:?}");
            // SAFETY: that is its size.
            unsafe { block.write_bytes(0xa5, size) };
            // SAFETY: not zero bytes.
            let zeroed = unsafe { alloc_zeroed(layout) };
            assert!(!zeroed.is_null() && zeroed.addr() % align == 0, "{layout:?}");
            // SAFETY: that is its size.
            assert!(unsafe { std::slice::from_raw_parts(zeroed, size) }.iter().all(|byte| *byte == 0));
            // SAFETY: taken above with this layout; the new size is not zero.
            let block = unsafe { realloc(block, layout, size * 2) };
            assert!(!block.is_null() && block.addr() % align == 0, "{layout:?}");
            // SAFETY: the old part of it was written.
            assert!(unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == 0xa5));
            // SAFETY: its size now is twice as large.
            unsafe { dealloc(block, Layout::from_size_align(size * 2, align).unwrap()) };
            // SAFETY: taken above, with this layout.
            unsafe { dealloc(zeroed, layout) };
        }
    }
}

#[test]
fn collections_grow_and_shrink_and_keep_what_they_hold() {
    let mut map = HashMap::new();
    let mut tree = BTreeMap::new();
    let mut queue = VecDeque::new();
    let mut text = String::new();
    for round in 0..20_000u64 {
        let key = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 3000;
        map.insert(key, vec![key; usize::try_from(key % 50).unwrap()]);
        tree.insert(key, format!("{key:*>0$}", usize::try_from(key % 300).unwrap()));
        queue.push_back(Box::new([round; 5]));
        if round % 3 == 0 {
            map.remove(&(key / 2));
            tree.remove(&(key / 3));
            queue.pop_front();
        }
        text.push_str(&key.to_string());
    }
    assert!(map.iter().all(|(key, vector)| vector.iter().all(|value| value == key)));
    assert!(tree.iter().all(|(key, text)| text.ends_with(&key.to_string())));
    assert!(queue.iter().zip(queue.iter().skip(1)).all(|(one, next)| one[4] + 1 == next[0]));
    assert!(text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
}

#[test]
fn one_thread_gives_back_what_another_took() {
    let (sender, receiver) = mpsc::sync_channel::<(u64, Box<dyn AsRef<[u64]> + Send>)>(100);
    let consumer = thread::spawn(move || {
        let sum = |(number, object): (u64, Box<dyn AsRef<[u64]> + Send>)| {
            let values = (*object).as_ref();
            assert!(values.iter().all(|value| *value == number));
            values.len() as u64
        };
        receiver.into_iter().map(sum).sum::<u64>()
    });
    let producers: Vec<_> = (1..=3u64)
        .map(|producer| {
            let sender = sender.clone();
            thread::spawn(move || {
                for round in 0..20_000 {
                    let number = producer * 100_000 + round;
                    let length = usize::try_from(round % 97).unwrap();
                    sender.send((number, Box::new(vec![number; length]))).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    let lengths: u64 = (0..20_000u64).map(|round| round % 97).sum();
    assert_eq!(consumer.join().unwrap(), 3 * lengths);
}

#[test]
fn shared_things_live_as_long_as_somebody_has_them() {
    let shared: Arc<Mutex<BTreeMap<u32, Arc<Vec<u32>>>>> = Arc::default();
    thread::scope(|scope| {
        for thread in 0..4u32 {
            let shared = &shared;
            scope.spawn(move || {
                let mut mine = Vec::new();
                for round in 0..5000 {
                    let key = (round * 7 + thread) % 100;
                    let new = Arc::new(vec![key; key as usize + 1]);
                    let old = shared.lock().unwrap().insert(key, Arc::clone(&new));
                    mine.extend(old);
                    mine.push(new);
                    if mine.len() > 500 {
                        mine.drain(..250);
                    }
                    assert!(mine.iter().all(|values| values.len() == values[0] as usize + 1));
                }
            });
        }
    });
    assert_eq!(shared.lock().unwrap().len(), 100);
}

#[test]
fn a_thousand_threads_leave_nothing_behind() {
    let held = || HEAP.stats().map(|stats| stats.held_bytes - stats.run_bytes).unwrap();
    let churn = |threads: u32| {
        for _ in 0..threads / 4 {
            let batch: Vec<_> = (0..4)
                .map(|number| {
                    thread::spawn(move || {
                        let things: Vec<_> = (0..200usize).map(|size| vec![number; size * 8]).collect();
                        things.into_iter().step_by(2).collect::<Vec<_>>()
                    })
                })
                .collect();
            for thread in batch {
                assert_eq!(thread.join().unwrap().len(), 100);
            }
        }
    };
    churn(100);
    let before = held();
    churn(1000);
    // What a thread leaves in its magazines goes to the next one. Other tests run beside this one, and hold some MiB.
    let after = held();
    assert!(after < before + (50 << 20), "{before} bytes held before, {after} after");
}

#[test]
fn more_threads_than_numbers_work() {
    let threads = 300;
    let barrier = Arc::new(Barrier::new(threads));
    let all: Vec<_> = (0..threads)
        .map(|number| {
            let barrier = Arc::clone(&barrier);
            thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || {
                    barrier.wait();
                    let texts: Vec<_> = (0..200).map(|text| format!("{number} {text}")).collect();
                    barrier.wait();
                    texts
                })
                .unwrap()
        })
        .collect();
    for (number, thread) in all.into_iter().enumerate() {
        let texts = thread.join().unwrap();
        assert!(texts.iter().enumerate().all(|(text, have)| *have == format!("{number} {text}")));
    }
}

#[test]
fn a_heap_of_its_own_is_made_once_by_many_threads_and_unmapped_at_the_end() {
    use std::alloc::{GlobalAlloc, Layout};
    let layout = Layout::new::<[u64; 10]>();
    for _ in 0..50 {
        let heap = HostHeap::with_pages(kernel_arena::PageCount::new(10_000).unwrap());
        assert!(heap.stats().is_none(), "nothing is mapped before the first use");
        let start = Barrier::new(4);
        let blocks: Vec<_> = thread::scope(|scope| {
            let spawn = |_| {
                scope.spawn(|| {
                    start.wait();
                    // SAFETY: not zero bytes.
                    unsafe { heap.alloc(layout) }.expose_provenance()
                })
            };
            let threads: Vec<_> = (0..4).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(blocks.iter().all(|block| *block != 0));
        let stats = heap.stats().unwrap();
        assert_eq!(stats.live_bytes, 4 * 80, "all four from the one heap");
        for block in blocks {
            // SAFETY: taken above, with this layout.
            unsafe { heap.dealloc(std::ptr::with_exposed_provenance_mut(block), layout) };
        }
        assert_eq!(heap.stats().unwrap().live_bytes, 0);
    }
}

#[test]
fn a_full_heap_says_so_and_recovers() {
    use std::alloc::{GlobalAlloc, Layout};
    let heap = HostHeap::with_pages(kernel_arena::PageCount::new(256).unwrap());
    let layout = Layout::new::<[u8; 1000]>();
    for _ in 0..3 {
        // SAFETY: not zero bytes.
        let take = || Some(unsafe { heap.alloc(layout) }).filter(|block| !block.is_null());
        let blocks: Vec<_> = std::iter::from_fn(take).collect();
        assert!(blocks.len() > 900, "{} blocks of 1000 bytes in a MiB", blocks.len());
        for block in blocks {
            // SAFETY: taken above, with this layout.
            unsafe { heap.dealloc(block, layout) };
        }
    }
    // SAFETY: not zero bytes.
    assert!(unsafe { heap.alloc(Layout::new::<[u8; 2 << 20]>()) }.is_null());
}

#[test]
fn zeroed_runs_are_zero_whatever_was_there_before() {
    use std::alloc::{GlobalAlloc, Layout};
    let heap = HostHeap::with_pages(kernel_arena::PageCount::new(128 * 300).unwrap());
    let layout = |pages: usize| Layout::from_size_align(pages * 4096 - 5, 8).unwrap();
    for round in 0..200 {
        let sizes = [9 + round % 40, 20, 100, 10 + round % 7];
        let blocks = sizes.map(|pages| {
            let take = if round % 3 == 0 { HostHeap::alloc } else { HostHeap::alloc_zeroed };
            // SAFETY: not zero bytes.
            let block = unsafe { take(&heap, layout(pages)) };
            assert!(!block.is_null());
            // SAFETY: that is its size.
            let memory = unsafe { std::slice::from_raw_parts_mut(block, layout(pages).size()) };
            assert!(round % 3 == 0 || memory.iter().all(|byte| *byte == 0), "round {round}, {pages} pages");
            memory.fill(0xa5);
            (block, layout(pages))
        });
        for (block, layout) in blocks {
            // SAFETY: taken above with this layout.
            unsafe { heap.dealloc(block, layout) };
        }
        if round % 50 == 49 {
            heap.get().unwrap().reclaim();
        }
    }
}

#[test]
fn in_debug_mode_a_second_free_is_found() {
    use std::alloc::{GlobalAlloc, Layout};
    let heap = HostHeap::with_pages(kernel_arena::PageCount::new(1000).unwrap()).in_mode(Mode::Debug);
    let layout = Layout::new::<[u64; 4]>();
    // SAFETY: not zero bytes.
    let block = unsafe { heap.alloc(layout) };
    // SAFETY: taken above.
    unsafe { heap.dealloc(block, layout) };
    assert_eq!(heap.stats().unwrap().slab.misuses, 0);
    // SAFETY: none: this is the mistake that is to be found, and in this mode it is harmless.
    unsafe { heap.dealloc(block, layout) };
    assert_eq!(heap.stats().unwrap().slab.misuses, 1);
}

#[test]
fn live_bytes_follow_what_is_held() {
    // Other tests allocate meanwhile: what is looked at is larger than they are.
    let before = live_bytes();
    let large = vec![1u8; 1 << 30];
    assert!(live_bytes() > before + (900 << 20));
    drop(large);
    assert!(live_bytes() < before + (500 << 20));
}
