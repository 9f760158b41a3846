//! The allocators in a program of a host operating system: pages from `mmap`, threads in place of CPUs.
//!
//! A kernel lends frames and CPUs; a process has neither. [`HostPages`] and [`HostMetadata`] are mapped memory of its
//! own, and [`Threads`] numbers its threads as CPUs are numbered; [`HostHeap`] is a global allocator made of them. So
//! the allocators that a kernel runs can be tested, measured and used in ordinary programs: simulators, host-side tests
//! of kernel code, services.
//!
//! What this refuses: there is no window that a sandboxed program shares, and nothing here catches faults. It must not
//! be called from a signal handler: a handler runs on its thread's index, which no interrupt level sets apart.
//!
//! No call allocates through the global allocator, so all of it can be one. No call takes a lock of the dynamic
//! loader's: threads that library constructors start may allocate. A library with such a heap in it is not to be
//! unloaded while threads that used it run: their end calls into it. Unloaded after they ended, it leaves its window
//! (4 GiB of addresses, and what is resident of them) and one key for thread-specific data, of which a process has 1024:
//! who unloads and loads again and again runs out of them.

mod growth;
mod heap;
mod hooks;
mod kept;
mod mapping;
mod metadata;
mod pages;
mod threads;
mod window;

pub use heap::HostHeap;
pub use mapping::MapError;
pub use metadata::HostMetadata;
pub use pages::HostPages;
pub use threads::Threads;
