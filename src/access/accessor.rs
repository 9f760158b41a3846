//! Who makes an access: the seam between what is asked of a window and the instructions that do it.

use core::mem::MaybeUninit;

use super::{AtomicOp, Missing, Stopped, Width};
use crate::addr::KernelAddr;
use crate::arch::native;

/// Makes accesses of a window at addresses of the kernel view.
///
/// [`Processor`] is what a kernel uses. A test may have another: one that goes through a model of page tables, TLBs and the
/// fault path.
///
/// # Safety
/// - An access touches the bytes that it names and no others, those of the kernel's side only as its references allow.
/// - A load gives what is there, or what was there at a moment of the call; `copy_in` initialises the bytes that it has done.
/// - Where [`Missing::Stop`] is asked for and there is no page, it ends as [`Stopped`], with nothing installed and no
///   violation recorded; where accesses do not [stop by themselves](Self::STOPS), only if the page was missing when its slot
///   was looked at. With [`Missing::Scratch`] it never ends so.
pub unsafe trait Accessor {
    /// Whether accesses stop by themselves where there is no page. Where they do not, the page's slot is looked at before.
    const STOPS: bool = true;

    /// Loads as many bytes, in one access if they are aligned.
    ///
    /// # Errors
    /// [`Stopped`] where there is no page.
    ///
    /// # Safety
    /// The bytes lie in the window or the upper guard of a shared arena, whose faults the kernel hands to it.
    unsafe fn load(&self, at: KernelAddr, width: Width, missing: Missing) -> Result<u64, Stopped>;

    /// Stores as many of the low bytes of `value`, in one access if they are aligned.
    ///
    /// # Errors
    /// [`Stopped`] where there is no page; bytes before the hole may have been stored.
    ///
    /// # Safety
    /// As for [`load`](Self::load).
    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, missing: Missing) -> Result<(), Stopped>;

    /// Copies out of the window, lowest byte first.
    ///
    /// # Errors
    /// [`Stopped`] at the first byte that has no page.
    ///
    /// # Safety
    /// As for [`load`](Self::load).
    unsafe fn copy_in(&self, from: KernelAddr, to: &mut [MaybeUninit<u8>], missing: Missing) -> Result<(), Stopped>;

    /// Copies into the window, lowest byte first.
    ///
    /// # Errors
    /// [`Stopped`] at the first byte that has no page.
    ///
    /// # Safety
    /// As for [`load`](Self::load).
    unsafe fn copy_out(&self, to: KernelAddr, from: &[u8], missing: Missing) -> Result<(), Stopped>;

    /// Makes an atomic access of four or eight bytes, and gives what was there before.
    ///
    /// # Errors
    /// [`Stopped`] where there is no page: nothing was changed.
    ///
    /// # Safety
    /// As for [`load`](Self::load), and the address is a multiple of the width.
    unsafe fn atomic(&self, at: KernelAddr, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped>;
}

/// The processor that this runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processor;

// SAFETY: the instructions of the backend; which of its fault path's answers end one is argued in `arch::resume`.
unsafe impl Accessor for Processor {
    const STOPS: bool = native::STOPS;

    #[inline(always)]
    unsafe fn load(&self, at: KernelAddr, width: Width, missing: Missing) -> Result<u64, Stopped> {
        // SAFETY: as the caller vouches.
        unsafe { native::load(at.value(), width, missing) }
    }

    #[inline(always)]
    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
        // SAFETY: as the caller vouches.
        unsafe { native::store(at.value(), width, value, missing) }
    }

    #[inline]
    unsafe fn copy_in(&self, from: KernelAddr, to: &mut [MaybeUninit<u8>], missing: Missing) -> Result<(), Stopped> {
        let kernels = to.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: as the caller vouches; `to` is as large.
        unsafe { native::copy(kernels, from.value(), to.len(), missing) }
    }

    #[inline]
    unsafe fn copy_out(&self, to: KernelAddr, from: &[u8], missing: Missing) -> Result<(), Stopped> {
        let kernels = from.as_ptr().expose_provenance() as u64;
        // SAFETY: as the caller vouches; `from` is as large.
        unsafe { native::copy(to.value(), kernels, from.len(), missing) }
    }

    #[inline(always)]
    unsafe fn atomic(&self, at: KernelAddr, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
        // SAFETY: as the caller vouches.
        unsafe { native::atomic(at.value(), width, op, missing) }
    }
}
