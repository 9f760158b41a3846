//! The crate's own files: what they hold is not public, and only large extents have notes above the words of a map.

use crate::bitmap::{Bitmap, ones};

#[path = "../../src/pages/marks.rs"]
#[expect(dead_code, reason = "the maps use more of it")]
mod marks;
#[path = "../../src/pages/queue.rs"]
mod queue;

pub(crate) use marks::Marks;
pub(crate) use queue::Queue;

/// As in the library's own model.
const BLOCK_WORDS: u32 = 2;
type Words = [u64; BLOCK_WORDS as usize];
type Left = Option<Words>;
