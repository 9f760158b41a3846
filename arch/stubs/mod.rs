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
use crate::fault::InstructionAddr;

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
struct Answer {
    /// What was loaded, or was there before; after a store, anything.
    value: u64,
    /// Not 0 where there was no page.
    stopped: u64,
}

/// The names of the stubs of a kind, to be called by `call_word` and `call_copy`.
macro_rules! names {
    ($kind:literal: $($name:ident)*) => {
        unsafe extern "C" {
            $(#[link_name = symbol!($kind, stringify!($name))] pub(super) fn $name();)*
        }
    };
    ($module:ident, $kind:literal) => {
        mod $module {
            names!($kind: load_1 load_2 load_4 load_8 load_ordered_4 load_ordered_8);
            names!($kind: store_1 store_2 store_4 store_8);
            names!($kind: store_release_4 store_release_8 store_ordered_4 store_ordered_8);
            names!($kind: swap_4 swap_8 add_4 add_8 exchange_4 exchange_8 copy);
        }
    };
}
names!(stopping, "try_");
names!(plain, "plain_");

/// Calls a stub, of the kind that is asked for: which is known where it is asked, as everything about an access but its
/// address is. The call says which few registers a stub uses, so whoever makes an access keeps the others.
macro_rules! call {
    ($missing:expr, $stub:ident ( $($operand:expr),* )) => {
        match $missing {
            // SAFETY: as whoever asks for the access vouches.
            Missing::Stop => unsafe { text::call_word!(stopping::$stub, $($operand),*) },
            // SAFETY: as above.
            Missing::Scratch => unsafe { text::call_word!(plain::$stub, $($operand),*) },
        }
    };
}

unsafe extern "C" {
    #[link_name = symbol!("try_", "words")]
    static WORDS: u8;
}

/// More bytes than the stubs of one kind take.
#[cfg(any(test, not(any(unix, windows))))]
const ROOM: u64 = 1 << 10;

/// Whether an instruction lies where the stubs are that may stop, or not far behind: one comparison.
#[cfg(any(test, not(any(unix, windows))))]
#[inline]
pub(super) fn may_stop(instruction: InstructionAddr) -> bool {
    instruction.value().wrapping_sub((&raw const WORDS).addr() as u64) < ROOM
}

/// Where a `try_` access continues that found no page; `None` for all instructions but those of the stubs.
pub(super) fn resume_point(instruction: InstructionAddr) -> Option<InstructionAddr> {
    stub_map().resume_point(instruction)
}

/// Where the stubs lie that may stop.
fn stub_map() -> StubMap {
    unsafe extern "C" {
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
    checked(match width {
        Width::One => call!(missing, load_1(at)),
        Width::Two => call!(missing, load_2(at)),
        Width::Four => call!(missing, load_4(at)),
        Width::Eight => call!(missing, load_8(at)),
    })
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
    let answer = match width {
        Width::One => call!(missing, store_1(at, value)),
        Width::Two => call!(missing, store_2(at, value)),
        Width::Four => call!(missing, store_4(at, value)),
        Width::Eight => call!(missing, store_8(at, value)),
    };
    checked(answer).map(drop)
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
    let strict = u64::from(text::is_strict(to | from));
    let left = match missing {
        // SAFETY: as the caller vouches.
        Missing::Stop => unsafe { text::call_copy!(stopping::copy, to, from, bytes, strict) },
        // SAFETY: as above.
        Missing::Scratch => unsafe { text::call_copy!(plain::copy, to, from, bytes, strict) },
    };
    if left == 0 { Ok(()) } else { Err(Stopped { done: bytes - left }) }
}

/// An atomic access of four or eight bytes.
///
/// # Safety
/// As for [`load`], and the address is a multiple of that.
#[inline(always)]
pub(crate) unsafe fn atomic(at: u64, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
    macro_rules! of_width {
        ($four:ident, $eight:ident, $operands:tt) => {
            if width == Width::Eight { call!(missing, $eight $operands) } else { call!(missing, $four $operands) }
        };
    }
    checked(match op {
        // SAFETY: as the caller vouches.
        AtomicOp::Load(LoadOrder::Relaxed) => return unsafe { load(at, width, missing) },
        AtomicOp::Load(LoadOrder::SeqCst) => of_width!(load_ordered_4, load_ordered_8, (at)),
        // SAFETY: as above.
        AtomicOp::Store(value, StoreOrder::Relaxed) => return unsafe { store(at, width, value, missing) }.map(|()| 0),
        AtomicOp::Store(value, StoreOrder::Release) => of_width!(store_release_4, store_release_8, (at, value)),
        AtomicOp::Store(value, StoreOrder::SeqCst) => of_width!(store_ordered_4, store_ordered_8, (at, value)),
        AtomicOp::Swap(value) => of_width!(swap_4, swap_8, (at, value)),
        AtomicOp::Add(value) => of_width!(add_4, add_8, (at, value)),
        AtomicOp::CompareExchange { current, new } => of_width!(exchange_4, exchange_8, (at, current, new)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stops_is_where_it_is_looked_for() {
        let map = stub_map();
        for instruction in (map.words - 64..map.words + ROOM + 64).map(InstructionAddr::new) {
            assert!(may_stop(instruction) || resume_point(instruction).is_none());
        }
        assert!(resume_point(InstructionAddr::new(map.end - 1)).is_some());
        assert!(!may_stop(InstructionAddr::new(map.words - 1)) && !may_stop(InstructionAddr::new(0)));
    }
}
