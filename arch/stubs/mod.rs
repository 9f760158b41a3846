//! Accesses of a window, on processors for which they are written in assembly.
//!
//! To the compiler they are instructions on memory that it does not know, never accesses of Rust's (I10). What may stop is
//! out of line: leaf functions (*stubs*) in one piece of code whose addresses the fault path knows ([`stub_map`]). A fault of
//! one of them, where there is no page, goes on at the stub's way out, which answers that it stopped. The same text stands
//! beside that piece a second time, for accesses that run over a missing page.
//!
//! Each processor's text is in a file of its own; what is here is the same for all: the names, the declarations, and which
//! stub an access is.

mod map;

use map::StubMap;

use crate::arch::access::{AtomicOp, LoadOrder, Missing, Stopped, StoreOrder, Width};

/// The name of a stub, which no other version of this crate has.
macro_rules! symbol {
    ($kind:expr, $name:expr) => {
        concat!(
            "kernel_arena_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            $kind,
            $name
        )
    };
}

/// A line with a label that is seen from elsewhere. Names of C's have an underscore more on Apple's systems.
#[cfg(target_vendor = "apple")]
macro_rules! entry {
    ($kind:expr, $name:expr) => {
        concat!(".globl _", symbol!($kind, $name), "\n_", symbol!($kind, $name), ":\n")
    };
}
#[cfg(not(target_vendor = "apple"))]
macro_rules! entry {
    ($kind:expr, $name:expr) => {
        concat!(".globl ", symbol!($kind, $name), "\n", symbol!($kind, $name), ":\n")
    };
}

#[cfg(target_arch = "aarch64")]
#[path = "../aarch64/stubs.rs"]
mod text;
#[cfg(target_arch = "x86_64")]
#[path = "../x86_64/stubs.rs"]
mod text;

/// Whether an access stops where there is no page.
pub(crate) const STOPS: bool = true;

/// What a stub answers, in two registers.
#[repr(C)]
struct Answer {
    /// What was loaded, or was there before.
    value: u64,
    /// Not 0 where there was no page.
    stopped: u64,
}

/// The stubs of a kind: of 1, 2, 4 and 8 bytes, or of 4 and 8. The convention is one in which two words come back in
/// registers, on every target.
macro_rules! kinds {
    ($convention:literal) => {
        struct Stubs {
            load: [unsafe extern $convention fn(at: u64) -> Answer; 4],
            store: [unsafe extern $convention fn(at: u64, value: u64) -> Answer; 4],
            load_ordered: [unsafe extern $convention fn(at: u64) -> Answer; 2],
            store_release: [unsafe extern $convention fn(at: u64, value: u64) -> Answer; 2],
            store_ordered: [unsafe extern $convention fn(at: u64, value: u64) -> Answer; 2],
            swap: [unsafe extern $convention fn(at: u64, value: u64) -> Answer; 2],
            add: [unsafe extern $convention fn(at: u64, value: u64) -> Answer; 2],
            exchange: [unsafe extern $convention fn(at: u64, current: u64, new: u64) -> Answer; 2],
            copy: unsafe extern $convention fn(to: u64, from: u64, bytes: usize, aligned: u64) -> usize,
        }

        kinds!($convention, STOPPING, "try_");
        kinds!($convention, PLAIN, "plain_");
    };
    ($convention:literal, $table:ident, $kind:literal) => {
        const $table: Stubs = {
            unsafe extern $convention {
                #[link_name = symbol!($kind, "load_1")]
                fn load_1(at: u64) -> Answer;
                #[link_name = symbol!($kind, "load_2")]
                fn load_2(at: u64) -> Answer;
                #[link_name = symbol!($kind, "load_4")]
                fn load_4(at: u64) -> Answer;
                #[link_name = symbol!($kind, "load_8")]
                fn load_8(at: u64) -> Answer;
                #[link_name = symbol!($kind, "store_1")]
                fn store_1(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "store_2")]
                fn store_2(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "store_4")]
                fn store_4(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "store_8")]
                fn store_8(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "load_ordered_4")]
                fn load_ordered_4(at: u64) -> Answer;
                #[link_name = symbol!($kind, "load_ordered_8")]
                fn load_ordered_8(at: u64) -> Answer;
                #[link_name = symbol!($kind, "store_release_4")]
                fn store_release_4(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "store_release_8")]
                fn store_release_8(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "store_ordered_4")]
                fn store_ordered_4(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "store_ordered_8")]
                fn store_ordered_8(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "swap_4")]
                fn swap_4(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "swap_8")]
                fn swap_8(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "add_4")]
                fn add_4(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "add_8")]
                fn add_8(at: u64, value: u64) -> Answer;
                #[link_name = symbol!($kind, "exchange_4")]
                fn exchange_4(at: u64, current: u64, new: u64) -> Answer;
                #[link_name = symbol!($kind, "exchange_8")]
                fn exchange_8(at: u64, current: u64, new: u64) -> Answer;
                #[link_name = symbol!($kind, "copy")]
                fn copy(to: u64, from: u64, bytes: usize, aligned: u64) -> usize;
            }
            Stubs {
                load: [load_1, load_2, load_4, load_8],
                store: [store_1, store_2, store_4, store_8],
                load_ordered: [load_ordered_4, load_ordered_8],
                store_release: [store_release_4, store_release_8],
                store_ordered: [store_ordered_4, store_ordered_8],
                swap: [swap_4, swap_8],
                add: [add_4, add_8],
                exchange: [exchange_4, exchange_8],
                copy,
            }
        };
    };
}

#[cfg(target_arch = "aarch64")]
kinds!("C");
#[cfg(target_arch = "x86_64")]
kinds!("sysv64");

/// Where the stubs lie that may stop.
pub(super) fn stub_map() -> StubMap {
    unsafe extern "C" {
        #[link_name = symbol!("try_", "words")]
        static WORDS: u8;
        #[link_name = symbol!("try_", "copy_start")]
        static COPY: u8;
        #[link_name = symbol!("try_", "copy_bytes")]
        static COPY_BYTES: u8;
        #[link_name = symbol!("try_", "end")]
        static END: u8;
        #[link_name = symbol!("try_", "word_stopped")]
        static WORD_STOPPED: u8;
        #[link_name = symbol!("try_", "copy_stopped")]
        static COPY_STOPPED: u8;
    }
    StubMap {
        words: (&raw const WORDS).addr() as u64,
        copy: (&raw const COPY).addr() as u64,
        copy_bytes: (&raw const COPY_BYTES).addr() as u64,
        end: (&raw const END).addr() as u64,
        word_stopped: (&raw const WORD_STOPPED).addr() as u64,
        copy_stopped: (&raw const COPY_STOPPED).addr() as u64,
    }
}

/// Which is known where it is asked, as everything about an access but its address is: so the call is a direct one.
#[inline(always)]
const fn stubs(missing: Missing) -> &'static Stubs {
    match missing {
        Missing::Scratch => &PLAIN,
        Missing::Stop => &STOPPING,
    }
}

#[inline(always)]
const fn checked(answer: Answer) -> Result<u64, Stopped> {
    if answer.stopped == 0 { Ok(answer.value) } else { Err(Stopped { done: 0 }) }
}

/// A load.
///
/// # Safety
/// The bytes lie in the window or the upper guard of a shared arena, whose faults are handled.
#[inline(always)]
pub(crate) unsafe fn load(at: u64, width: Width, missing: Missing) -> Result<u64, Stopped> {
    if !text::takes_any_alignment(at, width) {
        let mut bytes = [0u8; 8];
        let to = (&raw mut bytes).expose_provenance() as u64;
        // SAFETY: as the caller vouches, and `bytes` has room for any width.
        return unsafe { copy(to, at, width.bytes(), missing) }.map(|()| u64::from_le_bytes(bytes)).map_err(whole);
    }
    if missing == Missing::Scratch {
        // SAFETY: as the caller vouches.
        return Ok(unsafe { text::load(at, width) });
    }
    // SAFETY: as the caller vouches.
    checked(unsafe { stubs(missing).load[width as usize](at) })
}

/// A store.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(crate) unsafe fn store(at: u64, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
    if !text::takes_any_alignment(at, width) {
        let bytes = value.to_le_bytes();
        let from = (&raw const bytes).expose_provenance() as u64;
        // SAFETY: as the caller vouches, and `bytes` has those of any width.
        return unsafe { copy(at, from, width.bytes(), missing) }.map_err(whole);
    }
    if missing == Missing::Scratch {
        // SAFETY: as the caller vouches.
        unsafe { text::store(at, width, value) };
        return Ok(());
    }
    // SAFETY: as the caller vouches.
    checked(unsafe { stubs(missing).store[width as usize](at, value) }).map(drop)
}

const fn whole(_: Stopped) -> Stopped {
    Stopped { done: 0 }
}

/// A copy. One side is the kernel's memory, the other a window's.
///
/// # Safety
/// As for [`load`], and the kernel's side is good for it; its provenance is exposed.
#[inline]
pub(crate) unsafe fn copy(to: u64, from: u64, bytes: usize, missing: Missing) -> Result<(), Stopped> {
    // SAFETY: as the caller vouches.
    let left = unsafe { (stubs(missing).copy)(to, from, bytes, u64::from(text::is_strict(to | from))) };
    if left == 0 { Ok(()) } else { Err(Stopped { done: bytes - left }) }
}

/// An atomic access of four or eight bytes.
///
/// # Safety
/// As for [`load`], and the address is a multiple of that.
#[inline(always)]
pub(crate) unsafe fn atomic(at: u64, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
    let (stubs, of_width) = (stubs(missing), usize::from(width == Width::Eight));
    checked(match op {
        // SAFETY: as the caller vouches, for all of them.
        AtomicOp::Load(LoadOrder::Relaxed) => return unsafe { load(at, width, missing) },
        // SAFETY: as above.
        AtomicOp::Load(LoadOrder::SeqCst) => unsafe { stubs.load_ordered[of_width](at) },
        // SAFETY: as above.
        AtomicOp::Store(value, StoreOrder::Relaxed) => return unsafe { store(at, width, value, missing) }.map(|()| 0),
        // SAFETY: as above.
        AtomicOp::Store(value, StoreOrder::Release) => unsafe { stubs.store_release[of_width](at, value) },
        // SAFETY: as above.
        AtomicOp::Store(value, StoreOrder::SeqCst) => unsafe { stubs.store_ordered[of_width](at, value) },
        // SAFETY: as above.
        AtomicOp::Swap(value) => unsafe { stubs.swap[of_width](at, value) },
        // SAFETY: as above.
        AtomicOp::Add(value) => unsafe { stubs.add[of_width](at, value) },
        // SAFETY: as above.
        AtomicOp::CompareExchange { current, new } => unsafe { stubs.exchange[of_width](at, current, new) },
    })
}
