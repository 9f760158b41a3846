//! The software machine: what a test runs the real arena on.
//!
//! Physical memory and a frame source ([`memory`]), page-table formats as the manuals have them ([`format`]), a walker
//! ([`walk`]), CPUs whose TLBs are as unhelpful as the architectures allow ([`tlb`], [`hardware`]), the flushes that make them
//! forget ([`flush`]), accesses that fault and run again as a kernel's do ([`access`]),
//! the entries of program views ([`views`]), and a watch over every word of the
//! arena's tables that ends the test as soon as a rule is broken ([`watch`]). Nothing here uses the library's encoders,
//! decoders or bookkeeping to judge what the library did.
//!
//! It is single-threaded. Other CPUs and interrupts come in between the steps of an operation wherever the arena calls the
//! platform ([`hooks`]): often enough, for each look at a slot asks the physical map. What is not here: memory orderings
//! (those are loom's) and the kernel's own page tables beside the arena's.
//!
//! A test is a generic function, run on every format:
//! ```ignore
//! fn freed_page_is_scratched_when_touched<F: Format>() {
//!     let m = Machine::<F>::builder().cpus(2).extent(1, 64).build();
//!     let page = m.alloc(1);
//!     m.write(0, page, 42).unwrap();
//!     m.free(page, 1);
//!     assert_eq!(m.read(1, page), Ok(0));
//!     assert_eq!(m.arena().stats().violations, 1);
//!     m.finish();
//! }
//! each_format!(freed_page_is_scratched_when_touched);
//! ```

/// Makes of each generic function `name<F: Format>()` a module of the same name with one test a format.
macro_rules! each_format {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn x86_64() {
                super::$name::<kernel_arena::arch::x86_64::X86_64>();
            }
            #[test]
            fn aarch64() {
                super::$name::<kernel_arena::arch::aarch64::AArch64>();
            }
            #[test]
            fn portable() {
                super::$name::<kernel_arena::arch::portable::Portable>();
            }
        }
    )+};
}

pub(crate) mod access;
mod builder;
mod fixture;
mod flush;
mod format;
mod formats;
mod hardware;
mod hooks;
mod memory;
mod platform;
mod random;
mod selftest;
mod tlb;
mod views;
mod walk;
mod watch;

pub(crate) use access::{Declined, INSTRUCTION};
pub(crate) use fixture::{Machine, count};
pub(crate) use flush::Sabotage;
pub(crate) use format::{Cause, Format, Kind};
pub(crate) use hardware::TlbMode;
pub(crate) use hooks::Point;
pub(crate) use platform::Host;
pub(crate) use random::Random;
pub(crate) use selftest::failure;
pub(crate) use views::Lent;

/// What a test writes into an entry that it lends although something else is there: absent, and no word of an arena's.
pub(crate) const IN_USE: u64 = 0x0ff0_0000_0000_0008;

/// Ends the test unless a rule holds. While a test is failing already, a second broken rule is only printed: a panic in a
/// destructor would end the process.
fn rule(holds: bool, broken: impl FnOnce() -> String) {
    if holds {
        return;
    }
    if std::thread::panicking() {
        eprintln!("and then: {}", broken());
    } else {
        panic!("{}", broken());
    }
}
