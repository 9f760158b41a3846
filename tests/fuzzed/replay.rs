//! The corpora, played as the fuzz targets do.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use super::TARGETS;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn replay(target: &str) {
    let (_, play) = TARGETS.iter().find(|(name, _)| *name == target).expect("there is such a target");
    let corpus = folder().join("corpus").join(target);
    let files: Vec<_> = fs::read_dir(&corpus).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 15, "there is a corpus of {target}");
    play(&[]);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(&bytes))) {
            eprintln!("it was {}", file.display());
            resume_unwind(panic);
        }
    }
}

#[test]
fn the_corpus_of_operations_goes_as_the_map_says() {
    replay("operations");
}

#[test]
fn the_corpus_of_slabs_goes_as_the_map_says() {
    replay("slab");
}

#[test]
fn the_corpus_of_heaps_goes_as_the_map_says() {
    replay("heap");
}

#[test]
fn the_corpus_of_pools_goes_as_the_map_says() {
    replay("pool");
}

#[test]
fn the_corpus_of_groups_goes_as_is_written_down() {
    replay("groups");
}

#[test]
fn the_corpus_of_faults_goes_as_the_tables_say() {
    replay("faults");
}

#[cfg(feature = "zerocopy")]
#[test]
fn the_corpus_of_numbers_harms_nothing() {
    replay("numbers");
}

/// A target is a function here, a program of the fuzzer's, and a folder of the corpus.
#[cfg(feature = "zerocopy")]
#[test]
fn each_target_is_everywhere() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let programs = manifest.split("[[bin]]").skip(1).map(|program| program.split('"').nth(1).unwrap());
    let mut programs: Vec<_> = programs.map(String::from).collect();
    let folders = fs::read_dir(folder().join("corpus")).unwrap();
    let mut folders: Vec<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| String::from(*name)).collect();
    [&mut programs, &mut folders, &mut targets].into_iter().for_each(|names| names.sort());
    assert_eq!((&programs, &folders), (&targets, &targets));
}
