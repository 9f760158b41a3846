//! Accesses of a window where no assembly is written for them: volatile ones and atomics, through raw pointers.
//!
//! They cannot stop. Whoever would have them stop looks at the page's slot before ([`STOPS`]).

use crate::arch::access::{AtomicOp, LoadOrder, Missing, Stopped, StoreOrder, Width};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Whether an access stops where there is no page.
pub(crate) const STOPS: bool = false;

fn pointer<T>(at: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(at as usize)
}

/// A load.
///
/// # Safety
/// The bytes lie in the window or the upper guard of a shared arena, whose faults are handled.
pub(crate) unsafe fn load(at: u64, width: Width, _missing: Missing) -> Result<u64, Stopped> {
    let mut bytes = [0; 8];
    let of_width = &mut bytes[..width.bytes()];
    let is_aligned = at % width.bytes() as u64 == 0;
    Ok(match width {
        // SAFETY: as the caller vouches, and aligned; so are those below.
        Width::Two if is_aligned => unsafe { pointer::<u16>(at).read_volatile() }.into(),
        // SAFETY: as above.
        Width::Four if is_aligned => unsafe { pointer::<u32>(at).read_volatile() }.into(),
        // SAFETY: as above.
        Width::Eight if is_aligned => unsafe { pointer::<u64>(at).read_volatile() },
        _ => {
            for (byte, at) in of_width.iter_mut().zip(at..) {
                // SAFETY: as above.
                *byte = unsafe { pointer::<u8>(at).read_volatile() };
            }
            match width {
                Width::One => bytes[0].into(),
                Width::Two => u16::from_ne_bytes([bytes[0], bytes[1]]).into(),
                Width::Four => u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
                Width::Eight => u64::from_ne_bytes(bytes),
            }
        }
    })
}

/// A store.
///
/// # Safety
/// As for [`load`].
pub(crate) unsafe fn store(at: u64, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
    let is_aligned = at % width.bytes() as u64 == 0;
    match width {
        // SAFETY: as the caller vouches, and aligned; so are those below.
        Width::Two if is_aligned => unsafe { pointer::<u16>(at).write_volatile(value as u16) },
        // SAFETY: as above.
        Width::Four if is_aligned => unsafe { pointer::<u32>(at).write_volatile(value as u32) },
        // SAFETY: as above.
        Width::Eight if is_aligned => unsafe { pointer::<u64>(at).write_volatile(value) },
        _ => {
            let bytes = match width {
                Width::One => [value as u8, 0, 0, 0, 0, 0, 0, 0],
                Width::Two => (u64::from((value as u16).to_le()) as u64).to_le_bytes(),
                Width::Four => u64::from((value as u32).to_le()).to_le_bytes(),
                Width::Eight => value.to_ne_bytes(),
            };
            let from = (&raw const bytes).expose_provenance() as u64;
            // SAFETY: as the caller vouches.
            unsafe { copy(at, from, width.bytes(), missing) }?;
        }
    }
    Ok(())
}

/// A copy. One side is the kernel's memory, the other a window's.
///
/// # Safety
/// As for [`load`], and the kernel's side is good for it; its provenance is exposed.
pub(crate) unsafe fn copy(to: u64, from: u64, bytes: usize, _missing: Missing) -> Result<(), Stopped> {
    let words = if (to | from) % 8 == 0 { bytes as u64 / 8 } else { 0 };
    for at in (0..words).map(|word| word * 8) {
        // SAFETY: as the caller vouches, and aligned.
        let word = unsafe { pointer::<u64>(from + at).read_volatile() };
        // SAFETY: as above.
        unsafe { pointer::<u64>(to + at).write_volatile(word) };
    }
    for at in words * 8..bytes as u64 {
        // SAFETY: as above.
        let byte = unsafe { pointer::<u8>(from + at).read_volatile() };
        // SAFETY: as above.
        unsafe { pointer::<u8>(to + at).write_volatile(byte) };
    }
    Ok(())
}

/// An atomic access of four or eight bytes.
///
/// # Safety
/// As for [`load`], and the address is a multiple of that.
pub(crate) unsafe fn atomic(at: u64, width: Width, op: AtomicOp, _missing: Missing) -> Result<u64, Stopped> {
    macro_rules! atomic {
        ($atomic:ty, $word:ty) => {{
            // SAFETY: as the caller vouches, and aligned; it lives for this access alone, which is atomic.
            let word = unsafe { <$atomic>::from_ptr(pointer::<$word>(at)) };
            match op {
                AtomicOp::Load(LoadOrder::Relaxed) => word.load(Ordering::Relaxed).into(),
                AtomicOp::Load(LoadOrder::SeqCst) => word.load(Ordering::SeqCst).into(),
                AtomicOp::Store(value, order) => {
                    let order = match order {
                        StoreOrder::Relaxed => Ordering::Relaxed,
                        StoreOrder::Release => Ordering::Release,
                        StoreOrder::SeqCst => Ordering::SeqCst,
                    };
                    word.store(value as $word, order);
                    0
                }
                AtomicOp::Swap(value) => word.swap(value as $word, Ordering::SeqCst).into(),
                AtomicOp::Add(value) => word.fetch_add(value as $word, Ordering::SeqCst).into(),
                AtomicOp::CompareExchange { current, new } => word
                    .compare_exchange(current as $word, new as $word, Ordering::SeqCst, Ordering::SeqCst)
                    .unwrap_or_else(|seen| seen)
                    .into(),
            }
        }};
    }
    Ok(if width == Width::Eight { atomic!(AtomicU64, u64) } else { atomic!(AtomicU32, u32) })
}
