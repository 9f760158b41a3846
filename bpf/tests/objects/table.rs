//! A hash table of the program's, against a map of Rust's; the kernel walks its chains and puts entries of its own into them.

use std::collections::BTreeMap;

use kernel_arena::ArenaPtr;

use crate::ground::{Ground, each};
use crate::machine::{Format, Random};

/// An entry as the program has it: next; key, weight, tag; value; stamp.
type Entry = [u64; 4];

/// Keys and values in the order of buckets and chains, as the kernel finds them.
fn content<F: Format>(g: &Ground<'_, F>) -> BTreeMap<u32, u64> {
    let buckets: [u64; 16] = g.memory.load(g.variable("buckets"));
    let mut content = BTreeMap::new();
    for mut next in buckets {
        while let Some(entry) = ArenaPtr::<Entry>::from_low_bits(next) {
            let [behind, key, value, _] = g.memory.try_load(entry).expect("a page is there");
            let key = (key & 0xffff_ffff) as u32;
            assert_eq!(content.insert(key, value), None, "{}: {key} is there twice", g.name);
            next = behind;
        }
    }
    content
}

fn a_table_of_the_programs_is_a_map<F: Format>() {
    each::<F>("table", |g| {
        let mut model = BTreeMap::new();
        let random = Random::new(12);
        for _ in 0..400 {
            let key = (random.next() % 90) as u32;
            let arguments = [key.into(), random.next()];
            match random.next() % 4 {
                0 | 1 if model.len() < 64 || model.contains_key(&key) => {
                    let expected = if model.insert(key, arguments[1]).is_some() { 2 } else { 1 };
                    assert_eq!(g.call("insert", &arguments), expected, "{}: {key}", g.name);
                }
                0 | 1 => assert_eq!(g.call("insert", &arguments), 0, "{}: there is no room for {key}", g.name),
                2 => {
                    let expected = u64::from(model.remove(&key).is_some());
                    assert_eq!(g.call("take_out", &arguments), expected, "{}: {key}", g.name);
                }
                _ => {
                    let expected = model.get(&key).copied().unwrap_or(u64::MAX);
                    assert_eq!(g.call("lookup", &arguments), expected, "{}: {key}", g.name);
                }
            }
        }
        assert!(model.len() > 10, "the test is of some use");
        assert_eq!(content(g), model, "{}", g.name);
    });
}
each_format!(a_table_of_the_programs_is_a_map);

fn an_entry_of_the_kernels_is_found_and_copied<F: Format>() {
    each::<F>("table", |g| {
        g.call("insert", &[5, 0x1_2345]);
        // 5 has got stamp 1000, its low half as weight and its low byte as tag.
        assert_eq!(g.call("lookup", &[5]), 0x1_2345, "{}", g.name);
        let found: [u64; 3] = g.memory.load(g.variable("found"));
        let [key, value, stamp] = found;
        // The last byte of the word is padding of the structure's, which no compiler owes.
        assert_eq!((key & 0xff_ffff_ffff_ffff, value, stamp), (0x05_2345 << 32 | 5, 0x1_2345, 1000), "{}", g.name);
        // The kernel puts an entry in front of each bucket.
        let page = g.m.alloc(1).cast::<Entry>();
        let buckets = g.variable::<[u64; 16]>("buckets");
        let mut heads = g.memory.load(buckets);
        for (bucket, head) in (0u32..).zip(&mut heads) {
            let entry = ArenaPtr::<Entry>::new(page.offset() + bucket * 32).unwrap();
            g.memory.store(entry, &[*head, 6, 600, 0]);
            *head = g.to_program(entry);
        }
        g.memory.store(buckets, &heads);
        assert_eq!(g.call("lookup", &[6]), 600, "{}", g.name);
        assert_eq!(g.call("lookup", &[5]), 0x1_2345, "{}", g.name);
        assert_eq!(g.call("take_out", &[6]), 1, "{}", g.name);
        assert_eq!(g.call("lookup", &[6]), u64::MAX, "{}", g.name);
    });
}
each_format!(an_entry_of_the_kernels_is_found_and_copied);
