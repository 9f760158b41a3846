//! Objects changed and cut off by chance: what comes of it is refused, or runs, and panics nowhere. And what the fuzz targets have
//! found worth keeping.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::ground::committed;
use crate::through::{Came, code_through, through};

#[test]
fn every_object_goes_through() {
    for (name, bytes) in committed("") {
        assert_eq!(through(&bytes), Came::Ran, "{name}");
    }
}

/// What the fuzz targets have kept.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let files: Vec<_> = files.collect();
    assert!(files.len() > 20, "there is a corpus of {target}");
    files
}

#[test]
fn the_corpus_of_objects_goes_through() {
    let came: Vec<_> = corpus("object").iter().map(|bytes| through(bytes)).collect();
    for how_far in [Came::Nowhere, Came::Parsed, Came::Loaded, Came::Ran] {
        assert!(came.contains(&how_far), "one comes as far as {how_far:?}");
    }
}

#[test]
fn the_corpus_of_programs_goes_through() {
    let came: Vec<_> = corpus("program").iter().map(|bytes| code_through(bytes)).collect();
    for how_far in [Came::Nowhere, Came::Ran] {
        assert!(came.contains(&how_far), "one comes as far as {how_far:?}");
    }
}

/// A change of a byte: in the headers at the end of the file more often than elsewhere.
fn change() -> impl Strategy<Value = (bool, u16, u8)> {
    (any::<bool>(), any::<u16>(), prop_oneof![any::<u8>(), Just(0), Just(1), Just(0xff), Just(0x7f)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_changed_panics_nowhere(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
        cut in prop_oneof![9 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
    ) {
        let objects = committed("");
        let mut bytes = objects[which.index(objects.len())].1.clone();
        let headers = usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().unwrap())).unwrap();
        for (in_headers, at, value) in changes {
            let (first, length) = if in_headers { (headers, bytes.len() - headers) } else { (0, bytes.len()) };
            bytes[first + usize::from(at) % length] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        through(&bytes);
    }
}
