//! The two stacks of a run: the program's, in the window, where it may write what it likes; and the runner's, where it may not.

use core::fmt;

use kernel_arena::{ArenaPtr, WINDOW_SIZE};

/// How many functions of a program may be active at once, at most.
pub const MAX_FRAMES: usize = 16;

/// Where a program's stack is: pages of the window, for which the kernel has seen to it that they are there. (If they are not,
/// accesses to the stack are holes like any other.)
///
/// It grows downwards, a frame for each function that is active. A function that uses more than its frame writes into that of the
/// function that it calls, and below the stack, where an empty page is found out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    lowest: u32,
    frames: u8,
    frame_bytes: u32,
}

impl Stack {
    /// How many bytes of a frame compilers assume, unless they are told otherwise.
    pub const FRAME_BYTES: u32 = 512;

    /// So many frames, of so many bytes each, the lowest byte at `lowest`.
    ///
    /// # Errors
    /// [`StackError`].
    pub const fn new(lowest: ArenaPtr, frames: u8, frame_bytes: u32) -> Result<Self, StackError> {
        let lowest = lowest.offset();
        if frames == 0 || frames as usize > MAX_FRAMES {
            return Err(StackError::Frames { frames });
        }
        if lowest % 8 != 0 || frame_bytes % 8 != 0 || frame_bytes == 0 {
            return Err(StackError::Misaligned);
        }
        // The very end of the window is left free: a pointer to behind it would be null.
        if lowest as u64 + frames as u64 * frame_bytes as u64 >= WINDOW_SIZE {
            return Err(StackError::LeavesWindow);
        }
        Ok(Self { lowest, frames, frame_bytes })
    }

    /// How many bytes it takes, from its lowest on.
    pub const fn bytes(self) -> u32 {
        self.frames as u32 * self.frame_bytes
    }

    /// The offset behind its highest byte.
    pub(super) const fn top(self) -> u32 {
        self.lowest + self.bytes()
    }

    pub(super) const fn frame_bytes(self) -> u32 {
        self.frame_bytes
    }
}

/// Why there cannot be a stack.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackError {
    /// There must be 1 to [`MAX_FRAMES`].
    Frames {
        /// How many were asked for.
        frames: u8,
    },
    /// Its place and the size of its frames must be multiples of 8, for atomics, and frames must not be empty.
    Misaligned,
    /// Its end must lie in the window.
    LeavesWindow,
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames { frames } => write!(f, "a stack of {frames} frames: ask for 1 to {MAX_FRAMES}"),
            Self::Misaligned => {
                f.write_str("a stack's place and the size of its frames are multiples of 8: round them up")
            }
            Self::LeavesWindow => f.write_str("the stack would end outside of the window: put it lower"),
        }
    }
}

impl core::error::Error for StackError {}

/// What a function has to find as it was, when the one that it calls has ended.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    back: usize,
    saved: [u64; 4],
}

/// The frames of the functions that have called another.
#[derive(Debug)]
pub(super) struct Frames {
    frames: [Frame; MAX_FRAMES],
    active: usize,
    allowed: usize,
    bytes: u64,
}

impl Frames {
    pub(super) fn new(stack: Stack) -> Self {
        Self {
            frames: [Frame::default(); MAX_FRAMES],
            active: 0,
            allowed: usize::from(stack.frames) - 1,
            bytes: stack.frame_bytes().into(),
        }
    }

    /// Calls: the next function gets a frame of its own. `None` if there is none left.
    pub(super) fn enter(&mut self, registers: &mut [u64; 16], back: usize) -> Option<()> {
        if self.active >= self.allowed {
            return None;
        }
        let [_, _, _, _, _, _, r6, r7, r8, r9, ..] = *registers;
        *self.frames.get_mut(self.active)? = Frame { back, saved: [r6, r7, r8, r9] };
        registers[10] = registers[10].wrapping_sub(self.bytes);
        self.active += 1;
        Some(())
    }

    /// Returns: where to. `None` from the function that was entered first.
    pub(super) fn leave(&mut self, registers: &mut [u64; 16]) -> Option<usize> {
        let active = self.active.checked_sub(1)?;
        let Frame { back, saved } = *self.frames.get(active)?;
        registers[6..10].copy_from_slice(&saved);
        registers[10] = registers[10].wrapping_add(self.bytes);
        self.active = active;
        Some(back)
    }
}
