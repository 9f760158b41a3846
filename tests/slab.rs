//! What the slab allocator claims, on pages of this process and on arenas of the software machine.
//!
//! The sources ([`lab`]) take note of every page, fail when they are told to, and are the places where interrupts come
//! in ([`cpus`]); a map of what was handed out ([`bench`]) says whether objects overlap, keep their contents, and add
//! up. Tests that guard a rule name it (I5); those that mirror one of upstream's name that (T105; N for what upstream
//! does not test: `docs/UPSTREAM-PARITY.md`).

mod arena;
mod arena_lives;
pub(crate) mod bench;
mod book;
mod checked;
mod classes;
pub(crate) mod cpus;
mod debug;
mod decoded;
mod empties;
mod exhaustion;
mod interrupts;
pub(crate) mod lab;
mod lives;
mod magazines;
mod reach;
mod stats;
pub(crate) mod tasks;
mod threads;
mod upstream;

pub(crate) use decoded::life;
