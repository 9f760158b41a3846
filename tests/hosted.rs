//! The allocators in a program of a host operating system: this one.

#[path = "hosted/child.rs"]
mod child;
#[path = "hosted/ended.rs"]
mod ended;
#[path = "hosted/fork.rs"]
mod fork;
#[path = "hosted/limits.rs"]
mod limits;
#[path = "hosted/loader.rs"]
mod loader;
#[path = "hosted/memory.rs"]
mod memory;
#[path = "hosted/programs.rs"]
mod programs;
#[path = "edges/requests.rs"]
mod requests;
#[path = "hosted/stack.rs"]
mod stack;
#[path = "hosted/threads.rs"]
mod threads;
