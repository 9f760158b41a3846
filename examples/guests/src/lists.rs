//! Lists and tables in shared memory, by plain pointers.

use crate::machine::{load, store};
use crate::start::pages;
use guests::abi::{BUCKETS, bucket};

/// The sum of a list's values.
pub(crate) fn walk(mut node: u64) -> u64 {
    let mut sum = 0u64;
    while node != 0 {
        sum = sum.wrapping_add(load(node + 8));
        node = load(node);
    }
    sum
}

/// A list of so many nodes, values 1 and on from its head.
pub(crate) fn build(count: u64) -> u64 {
    const IN_A_PAGE: u64 = 4096 / 16;
    let (mut head, mut page) = (0, 0);
    for (made, value) in (0u64..).zip((1..=count).rev()) {
        if made % IN_A_PAGE == 0 {
            page = pages(1);
            if page == 0 {
                return 0;
            }
        }
        let node = page + made % IN_A_PAGE * 16;
        store(node + 8, value);
        store(node, head);
        head = node;
    }
    head
}

/// The sum of the values of keys 1 to `count`, in the table at this address.
pub(crate) fn look_up(table: u64, count: u64) -> u64 {
    (1..=count).map(|key| find(table, key).map_or(0, |entry| load(entry + 16))).sum()
}

fn find(table: u64, key: u64) -> Option<u64> {
    let mut entry = load(table + bucket(key) * 8);
    while entry != 0 && load(entry + 8) != key {
        entry = load(entry);
    }
    (entry != 0).then_some(entry)
}

/// Enters `count` keys from `first` on, or gives those that are there another value: how many were new.
pub(crate) fn enter(table: u64, first: u64, count: u64) -> u64 {
    let mut new = 0;
    let mut room = 0;
    for key in first..first + count {
        if let Some(entry) = find(table, key) {
            store(entry + 16, key * 2);
            continue;
        }
        if room % 4096 < 24 || 4096 - room % 4096 < 24 {
            room = pages(1);
            if room == 0 {
                return new;
            }
            // So that a page's end is told from its beginning.
            room += 24;
        }
        let place = table + bucket(key) * 8;
        store(room + 8, key);
        store(room + 16, key * 2);
        store(room, load(place));
        store(place, room);
        room += 24;
        new += 1;
    }
    const { assert!(BUCKETS == 64) };
    new
}

/// Writes a word, and says whether it was 0 before.
pub(crate) fn touch(address: u64) -> bool {
    let was = load(address);
    store(address, address);
    was == 0
}
