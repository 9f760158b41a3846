//! Faults, of the kernel and of programs: what becomes of them, what is recorded, and when one is declined.

mod program;
mod record;
mod recover;
mod resume;
mod rows;
