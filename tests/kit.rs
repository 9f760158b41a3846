//! The glue of `kernel_arena::kit`: windows that link themselves, statics, parts.

mod cells;
mod identity;
mod late;
mod memory;
mod program;
mod reach;
mod registry;
mod side_by_side;
mod window;
