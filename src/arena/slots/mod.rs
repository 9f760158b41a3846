//! What the operations have in common: a claimed number, the change of a slot, its flush, and what is owed after it.

pub(super) mod batch;
pub(super) mod claimed;
pub(super) mod few;
mod flush;
mod foreign;
mod run;
pub(super) mod transition;

pub(super) use foreign::LastForeign;
