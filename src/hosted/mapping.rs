//! Anonymous private memory of the process.
//!
//! A mapping reserves addresses; the operating system puts zeroed memory behind them page by page, as they are first
//! touched. Nothing here is counted or locked: a mapping is taken once, and goes when it is dropped.

use core::ffi::c_void;
use core::fmt;
use core::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Why nothing was mapped.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No page, or more than a window has: ask for 1 to 2^20 - 1. (From a heap also: what was mapped was too small to begin
    /// with.)
    BadSize,
    /// The operating system refused that much address space: ask for less, or raise its limit (`ulimit -v`,
    /// `vm.overcommit_memory`).
    Refused {
        /// Its error number.
        errno: i32,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSize => f.write_str("no page was asked for, or more than a window has"),
            Self::Refused { errno } => write!(f, "the operating system maps no more memory (error {errno})"),
        }
    }
}

impl core::error::Error for MapError {}

impl From<Errno> for MapError {
    fn from(error: Errno) -> Self {
        Self::Refused { errno: error.raw_os_error() }
    }
}

/// What sizes are multiples of: no host's pages are larger.
pub(super) const GRANULE: usize = 1 << 16;

/// Lets other threads run.
pub(super) fn let_others_run() {
    // SAFETY: it asks for nothing, and touches no memory.
    unsafe { libc::sched_yield() };
}

/// Zeroed, writable memory, unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping is memory of the process, the same for all its threads; this type does nothing with it but to unmap
// it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// At least `bytes` bytes, page-aligned.
    pub(super) fn new(bytes: usize) -> Result<Self, MapError> {
        let bytes = bytes.checked_next_multiple_of(GRANULE).ok_or(MapError::BadSize)?;
        Ok(Self { start: map(bytes)?, bytes })
    }

    /// Its first byte.
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Unmaps it before it is dropped.
    ///
    /// # Safety
    /// From now on it is neither used nor dropped.
    pub(super) unsafe fn unmap(&self) {
        unmap(self.start, self.bytes);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        unmap(self.start, self.bytes);
    }
}

/// `bytes` bytes at a multiple of `align`, cut out of `room` bytes, the sum of both. All are multiples of the granule,
/// and `align` is a power of two.
pub(super) fn map_aligned(bytes: usize, align: usize, room: usize) -> Result<NonNull<u8>, Errno> {
    let first = map(room)?;
    // What lies before the first multiple and after the end goes back.
    let before = first.addr().get().wrapping_neg() & (align - 1);
    // SAFETY: `before` is at most `align`, so this is within what was mapped.
    let start = unsafe { first.add(before) };
    unmap(first, before);
    // SAFETY: `before + bytes` is at most the whole.
    let end = unsafe { start.add(bytes) };
    unmap(end, room - before - bytes);
    Ok(start)
}

/// Memory that may be read and written at exactly this address, if nothing is mapped there.
pub(super) fn map_at(address: usize, bytes: usize) -> Result<NonNull<u8>, Errno> {
    let wish = ptr::with_exposed_provenance_mut(address);
    // SAFETY: the address is a wish: where something is mapped already the host chooses another.
    let start = unsafe { mmap_anonymous(wish, bytes, PROTECTION, FLAGS) }?;
    let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
    if start.addr().get() == address {
        return Ok(start);
    }
    unmap(start, bytes);
    Err(Errno::EXIST)
}

/// Memory that may be read and written, at an address of the host's choice.
pub(super) fn map(bytes: usize) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the host chooses the address, so nothing that is mapped already is touched.
    let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, PROTECTION, FLAGS) }?;
    NonNull::new(start.cast()).ok_or(Errno::NOMEM)
}

/// Gives addresses back. Where the host refuses, which it does only when it is out of memory itself, they stay.
pub(super) fn unmap(start: NonNull<u8>, bytes: usize) {
    if bytes > 0 {
        // SAFETY: the piece is one that was mapped here, whose owner is gone or was never told of it.
        let _ = unsafe { munmap(start.as_ptr().cast(), bytes) };
    }
}

/// Puts fresh zeroed memory behind these addresses, and gives what was there back to the host.
///
/// # Errors
/// The host's pages are larger than the bytes asked for, or it keeps the memory (`mlock`): nothing or a part of it was
/// done.
///
/// # Safety
/// The bytes lie in a [`Mapping`] that exists, and nobody uses them. Unless `start` is a multiple of no more than 4096,
/// the host's pages are known to be no larger: it rounds the length up.
#[cfg(target_os = "linux")]
pub(super) unsafe fn refresh(start: *mut u8, bytes: usize) -> Result<(), Errno> {
    let start: *mut c_void = start.cast();
    // SAFETY: as the caller promises. On Linux this one, unlike POSIX's of that name, takes the memory away at once.
    unsafe { rustix::mm::madvise(start, bytes, rustix::mm::Advice::LinuxDontNeed) }
}

/// The same where the advice promises no zeros: maps anew.
#[cfg(not(target_os = "linux"))]
pub(super) unsafe fn refresh(start: *mut u8, bytes: usize) -> Result<(), Errno> {
    let start: *mut c_void = start.cast();
    // SAFETY: as the caller promises: what is replaced is ours, and nobody uses it.
    unsafe { mmap_anonymous(start, bytes, PROTECTION, FLAGS.union(MapFlags::FIXED)) }.map(|_| ())
}

const PROTECTION: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Private memory. Where there is a word for it: a promise of memory is not asked for, only addresses.
#[cfg(target_os = "linux")]
const FLAGS: MapFlags = MapFlags::PRIVATE.union(MapFlags::NORESERVE);
#[cfg(not(target_os = "linux"))]
const FLAGS: MapFlags = MapFlags::PRIVATE;
