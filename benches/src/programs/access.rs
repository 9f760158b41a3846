//! Typed access; the limit is an access that nobody checks.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::ArenaPtr;
use kernel_arena::access::Memory;

use super::{page, window};
use crate::harness::{Alone, Case, limit, ours};

type Shared = &'static Memory<'static, window::Process>;
type Maker = Box<dyn FnOnce() -> Case>;

fn memory() -> Shared {
    Box::leak(Box::new(window::arena().memory().expect("it is shared")))
}

fn raw(word: ArenaPtr<u64>) -> *mut u64 {
    window::arena().layout().to_kernel(word).as_mut_ptr()
}

/// A case of the library's access, and of one that nobody checks.
fn beside(
    name: impl Into<String>,
    mut by_us: impl FnMut(Shared, ArenaPtr<u64>) + 'static,
    limit_name: &'static str,
    mut by_nobody: impl FnMut(*mut u64) + 'static,
) -> Maker {
    let name = name.into();
    Box::new(move || {
        let word: ArenaPtr<u64> = page(2).cast();
        let (memory, raw) = (memory(), raw(word));
        memory.store(word, &7);
        assert_eq!(memory.try_load(word).ok(), Some(7), "what is written is read back");
        let subjects = vec![
            ours(Alone(move || by_us(memory, black_box(word)))),
            limit(limit_name, Alone(move || by_nobody(black_box(raw)))),
        ];
        Case { group: "programs", name, threads: 1, at: None, subjects }
    })
}

pub(super) fn cases() -> Vec<Maker> {
    let mut cases: Vec<Maker> = Vec::new();
    // SAFETY: a word of a page that is mapped; for the others, too.
    let read = |at: *mut u64| _ = black_box(unsafe { at.read_volatile() });
    // SAFETY: as above.
    let write = |at: *mut u64| unsafe { at.write_volatile(black_box(1)) };
    let add = |at: *mut u64| {
        // SAFETY: as above, aligned, and accessed atomically alone meanwhile.
        _ = black_box(unsafe { AtomicU64::from_ptr(at) }.fetch_add(1, Ordering::AcqRel));
    };
    cases.push(beside("load 8 bytes", |m: Shared, at| _ = black_box(m.load::<u64>(at)), "volatile read", read));
    cases.push(beside("try_load 8 bytes", |m: Shared, at| _ = black_box(m.try_load::<u64>(at)), "volatile read", read));
    cases.push(beside("store 8 bytes", |m: Shared, at| m.store(at, &black_box(1u64)), "volatile write", write));
    cases.push(beside(
        "try_store 8 bytes",
        |m: Shared, at| _ = m.try_store(at, &black_box(1u64)),
        "volatile write",
        write,
    ));
    cases.push(beside(
        "atomic fetch_add",
        |m: Shared, at: ArenaPtr<u64>| _ = black_box(m.atomic(at).expect("aligned").fetch_add(1, Ordering::AcqRel)),
        "an atomic of Rust's",
        add,
    ));
    for bytes in [64usize, 256, 4096] {
        let [mut one, mut two, mut three, mut four] = [const { Vec::new() }; 4].map(|_: Vec<u8>| vec![0u8; bytes]);
        let plain = move |at: *mut u64, into: &mut Vec<u8>| {
            // SAFETY: a page that is mapped, and a buffer that is as large.
            unsafe { at.cast::<u8>().copy_to_nonoverlapping(black_box(into.as_mut_ptr()), bytes) };
        };
        cases.push(beside(
            format!("copy_in {bytes} bytes"),
            move |m: Shared, at: ArenaPtr<u64>| m.copy_in(at.cast(), black_box(&mut one[..])).expect("in the window"),
            "memcpy",
            move |at| plain(at, &mut three),
        ));
        cases.push(beside(
            format!("try_copy_in {bytes} bytes"),
            move |m: Shared, at: ArenaPtr<u64>| m.try_copy_in(at.cast(), black_box(&mut two[..])).expect("mapped"),
            "memcpy",
            move |at| plain(at, &mut four),
        ));
    }
    cases
}
