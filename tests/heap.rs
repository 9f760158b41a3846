//! What the heap claims: as a `GlobalAlloc`, as an `Allocator`, on pages of this process and on private arenas.
//!
//! The sources are those of the slab allocator's tests.

#[cfg(feature = "allocator-api2")]
mod api2;
mod arena;
mod blocks;
mod debug;
mod decoded;
mod early;
mod init;
mod kept_runs;
mod lives;
mod realloc;
mod runs;
mod threads;

pub(crate) use decoded::life;
