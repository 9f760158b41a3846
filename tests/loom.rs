//! Models of weak memory: the shipped arena, on a machine small enough for loom to try every interleaving.
//!
//! Each model runs a few operations on two or three CPUs (loom threads) and checks, in every execution that the memory model
//! of C11 allows with the stated number of preemptions, what `docs/MODEL.md` promises. The arena is the real one, with
//! tables of two entries; the machine under it (`loom/machine.rs`) has a TLB for each CPU and frames whose content and
//! whose life loom can see. Loom knows nothing of a processor's walker: it reads as software with an address dependency does.
//!
//! Two things loom does not do are done by hand or not at all. A compare-exchange that fails reads, in loom, the newest
//! word, though C11 lets it read an older one: `loom/stale.rs` puts a load before it. And no load sees a store that has not been
//! executed yet (load buffering), so orderings that forbid only this are not checked.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --test loom`, and `-- --nocapture` to see how many executions each
//! model took.
#![cfg(loom)]

#[path = "loom/claim.rs"]
mod claim;
#[path = "loom/fault_alloc.rs"]
mod fault_alloc;
#[path = "loom/frames.rs"]
mod frames;
#[path = "loom/free_alloc.rs"]
mod free_alloc;
#[path = "loom/guess.rs"]
mod guess;
#[path = "loom/lifetime.rs"]
mod lifetime;
#[path = "loom/machine.rs"]
mod machine;
#[path = "loom/platform.rs"]
mod platform;
#[path = "loom/pool.rs"]
mod pool;
#[path = "loom/race.rs"]
mod race;
#[path = "loom/reclaim.rs"]
mod reclaim;
#[path = "loom/registry.rs"]
mod registry;
#[path = "loom/rows.rs"]
mod rows;
#[path = "loom/slab.rs"]
mod slab;
#[path = "loom/slab_checked.rs"]
mod slab_checked;
#[path = "loom/slab_debug.rs"]
mod slab_debug;
#[path = "loom/slab_grow.rs"]
mod slab_grow;
#[path = "loom/slab_list.rs"]
mod slab_list;
#[path = "loom/slab_magazines.rs"]
mod slab_magazines;
#[path = "loom/slab_retire.rs"]
mod slab_retire;
#[path = "loom/slab_reuse.rs"]
mod slab_reuse;
#[path = "loom/stack.rs"]
mod stack;
#[path = "loom/stale.rs"]
mod stale;
/// The crate's own file: what it holds is not public.
#[path = "../src/stack.rs"]
mod tagged_stack;
#[path = "loom/violations.rs"]
mod violations;
#[path = "loom/watched.rs"]
mod watched;
#[path = "loom/world.rs"]
mod world;

use kernel_arena::sync;
