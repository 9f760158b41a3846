//! Models of weak memory: the shipped arena, on a machine small enough for loom to try every interleaving.
//!
//! Each model runs a few operations on two or three CPUs (loom threads) and checks, in every execution that the memory model
//! of C11 allows with the stated number of preemptions, what `docs/MODEL.md` promises. The arena is the real one, with
//! tables of two entries; the machine under it (`machine.rs`) has a TLB for each CPU and frames whose content and
//! whose life loom can see. Loom knows nothing of a processor's walker: it reads as software with an address dependency does.
//!
//! Two things loom does not do are done by hand or not at all. A compare-exchange that fails reads, in loom, the newest
//! word, though C11 lets it read an older one: `stale.rs` puts a load before it. And no load sees a store that has not been
//! executed yet (load buffering), so orderings that forbid only this are not checked. And a `SeqCst` load never reads an older
//! `SeqCst` store of its word than the newest, which is more than C11 promises; but it may read an older one that is none, which is less.
//!
//! Bounds on preemptions are lower in the fast tests than with the feature `long` in the longest of them.
//! Run with `cargo test --release -p kernel-arena-loom`, and `-- --nocapture` to see how many executions each model took. The
//! package compiles the library's sources a second time, with loom's atomics: what is published does not depend on loom.

mod accessor;
/// The crate's own file: what it holds is not public.
#[path = "../../src/groups/account.rs"]
mod account;
/// The crate's own file: what it holds is not public, and not all of it is asked here.
#[path = "../../src/pages/bitmap.rs"]
#[expect(dead_code, reason = "the maps use more of it")]
mod bitmap;
/// The crate's own file: what it holds is not public, and the heap around it has no model.
#[path = "../../src/heap/early/bump.rs"]
mod bump;
mod claim;
/// The crate's own file: what it holds is not public.
#[path = "../../src/pages/counted.rs"]
mod counted;
mod counting;
mod early;
mod explore;
mod fault_alloc;
mod frames;
mod free_alloc;
mod free_map;
mod groups;
mod guess;
mod lifetime;
mod machine;
mod maps;
mod masks;
mod once;
/// The crate's own file: what it holds is not public.
#[path = "../../src/pages/passing.rs"]
#[expect(dead_code, reason = "figures decide nothing")]
mod operations;
mod passing;
mod platform;
mod pool;
/// The crate's own file: what it holds is not public.
#[path = "../../src/groups/presence.rs"]
mod presence;
mod queue;
mod race;
mod reclaim;
/// The crate's own file: what it holds is not public, and only large extents have it.
#[path = "../../src/pages/refused.rs"]
mod refusal;
mod refused;
mod registry;
mod reserved;
/// What a program's accesses come to, from the crate that runs them.
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a page of the machine is one word; a crate of its own says what is public"
)]
#[path = "../../bpf/src/window.rs"]
mod runner;
mod slab;
mod slab_checked;
mod slab_debug;
mod slab_grow;
mod slab_list;
mod slab_magazines;
mod slab_preempted;
mod slab_retire;
mod slab_reuse;
mod slab_runs;
mod stack;
mod stale;
mod sync;
/// The crate's own file: what it holds is not public.
#[path = "../../src/stack.rs"]
mod tagged_stack;
mod views;
mod violations;
mod watched;
mod window;
mod world;
/// The crate's own file: what it holds is not public.
#[path = "../../src/once.rs"]
#[expect(dead_code, reason = "a heap ends with it")]
mod written_once;

/// The sources as this package compiles them, by their usual name.
extern crate kernel_arena_loom as kernel_arena;
