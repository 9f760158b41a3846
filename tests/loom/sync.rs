//! What the crate's own files find as `crate::sync`: loom's atomics, and what the library keeps to itself.

pub(crate) use core::sync::atomic::AtomicU64 as Figure;

pub(crate) use kernel_arena::sync::{AtomicU32, AtomicU64, Ordering};
pub(crate) use loom::sync::atomic::fence;

/// No lines matter in a model.
#[derive(Debug)]
pub(crate) struct Line<T>(pub(crate) T);
