//! An arena that begins and ends while other CPUs walk.
//!
//! Guards the order of creation (tables first, then the entries that lead to them, with Release) and of the end (entries
//! cleared, every CPU flushed, and only then the tables and frames go back): a walk, which no software orders, never reaches
//! a table that is not one, and no TLB a frame that is free (I5).
//!
//! No bound on preemptions.

use std::mem::MaybeUninit;

use kernel_arena::{Arena, ArenaLayout, Context, MetadataWord};

use crate::explore::{UNBOUNDED, explore};
use crate::machine::{Machine, Reached, Small, on_cpu};
use crate::world::{layout, one_page, page};

/// A machine without an arena, and metadata for one.
fn machine(
    memory: &std::sync::Arc<crate::frames::Memory>,
) -> (&'static Machine, ArenaLayout, Box<[MaybeUninit<MetadataWord>]>) {
    let layout = layout(1, 1);
    let metadata = (0..layout.metadata_words()).map(|_| MaybeUninit::uninit()).collect();
    (Box::leak(Box::new(Machine::new(memory))), layout, metadata)
}

/// An access before, during or after: it faults, and no arena recovers it, or it reaches what is there.
fn stray(machine: &'static Machine) -> loom::thread::JoinHandle<Option<Reached>> {
    loom::thread::spawn(move || on_cpu(1, || machine.load(page(1)).ok()))
}

/// The end: everything is back.
fn retire(machine: &'static Machine, metadata: &'static mut [MaybeUninit<MetadataWord>]) {
    assert_eq!(machine.frames_lent(), 0);
    machine.assert_no_tlb_knows(page(1));
    // SAFETY: the test leaked it, and the arena has given it back.
    drop(unsafe { Box::from_raw(metadata) });
    // SAFETY: `machine` leaked it; the arena and the other CPU are gone.
    drop(unsafe { Box::from_raw(std::ptr::from_ref(machine).cast_mut()) });
}

#[test]
fn a_walk_during_creation_finds_tables_or_nothing() {
    explore("creation against a walk", UNBOUNDED, 1, |memory, _| {
        let (machine, layout, metadata) = machine(memory);
        let stray = stray(machine);
        let arena = Arena::<_, Small>::new(machine, layout, Box::leak(metadata)).expect("an arena");
        assert_eq!(stray.join().expect("no panic"), None);
        retire(machine, arena.destroy().unwrap().metadata);
    });
}

#[test]
fn a_walk_during_the_end_reaches_no_frame_that_is_free() {
    explore("destruction against a walk", UNBOUNDED, 1, |memory, _| {
        let (machine, layout, metadata) = machine(memory);
        let arena = Arena::<_, Small>::new(machine, layout, Box::leak(metadata)).expect("an arena");
        arena.alloc_pages(one_page(Context::Any)).expect("an empty arena");
        let stray = stray(machine);
        let destroyed = arena.destroy().unwrap();
        assert!(matches!(stray.join().expect("no panic"), None | Some(Reached::Page(0))));
        assert_eq!(destroyed.pages, 1);
        retire(machine, destroyed.metadata);
    });
}
