//! The glue of `kernel_arena::kit`: windows that link themselves, statics, parts.

mod cells;
mod memory;
mod program;
mod reach;
mod window;
