//! How the kernel reads and writes what it shares: by typed accesses through its own view, and never by reference.

use guests::abi::{Entry, Node, bucket};
use kernel_arena::ArenaPtr;
use kernel_arena::access::{Atomic, Memory};
use support::KernelPlatform;
use support::check::Failure;

use crate::bench::KernelArena;

/// The pointer that a program's address means.
pub(crate) fn pointer(address: u64) -> Result<ArenaPtr<u64>, Failure> {
    ArenaPtr::from_low_bits(address).ok_or_else(|| Failure::new("a null pointer"))
}

/// So many words behind a pointer.
fn word(at: ArenaPtr<u64>, words: u32) -> Option<ArenaPtr<u64>> {
    ArenaPtr::new(at.offset().wrapping_add(words * 8))
}

/// Loads a word, wherever it is.
pub(crate) fn load(arena: &KernelArena, at: ArenaPtr<u64>, words: u32) -> u64 {
    arena.memory().ok().zip(word(at, words)).map_or(0, |(memory, word)| memory.load(word))
}

/// Stores a word, wherever it is.
pub(crate) fn store(arena: &KernelArena, at: ArenaPtr<u64>, words: u32, value: u64) {
    if let Some((memory, word)) = arena.memory().ok().zip(word(at, words)) {
        memory.store(word, &value);
    }
}

/// An atomic word of 64 bits, so many behind a pointer.
pub(crate) fn atomic64<'a>(
    memory: &'a Memory<'_, KernelPlatform>,
    at: ArenaPtr<u64>,
    words: u32,
) -> Result<Atomic<'a, u64, KernelPlatform>, Failure> {
    Ok(memory.atomic(word(at, words).ok_or_else(|| Failure::new("a null pointer"))?)?)
}

/// One of 32 bits: two of them to a word.
pub(crate) fn atomic32<'a>(
    memory: &'a Memory<'_, KernelPlatform>,
    at: ArenaPtr<u64>,
    halves: u32,
) -> Result<Atomic<'a, u32, KernelPlatform>, Failure> {
    let half = ArenaPtr::new(at.offset().wrapping_add(halves * 4));
    Ok(memory.atomic(half.ok_or_else(|| Failure::new("a null pointer"))?)?)
}

/// Walks a list, of at most `limit` nodes, that begins at a program's address: how many nodes, and the sum of their values.
pub(crate) fn walk(arena: &KernelArena, head: u64, limit: u32) -> (u32, u64) {
    let (mut next, mut nodes, mut sum) = (head, 0, 0u64);
    while let Some(at) = ArenaPtr::<u64>::from_low_bits(next).filter(|_| nodes < limit) {
        let node = Node { next: load(arena, at, 0), value: load(arena, at, 1) };
        (next, nodes, sum) = (node.next, nodes + 1, sum.wrapping_add(node.value));
    }
    (nodes, sum)
}

/// The value of a key in a table.
pub(crate) fn look_up(arena: &KernelArena, table: ArenaPtr<u64>, key: u64) -> Option<u64> {
    let place = u32::try_from(bucket(key)).ok()?;
    let mut next = load(arena, table, place);
    for _ in 0..100_000 {
        let at = ArenaPtr::<u64>::from_low_bits(next)?;
        let entry = Entry { next: load(arena, at, 0), key: load(arena, at, 1), value: load(arena, at, 2) };
        if entry.key == key {
            return Some(entry.value);
        }
        next = entry.next;
    }
    None
}
