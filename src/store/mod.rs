//! Bookkeeping that grows and never moves: lock-free tables and stacks of things that stay what they are.
//!
//! Everything here lies in metadata pages. What was once built in one is never taken down until its owner is destroyed,
//! so a reader that is late (interrupted, or slow) finds at worst something that is used for another purpose now, never
//! memory that is not of its type: that is what lets stacks be popped, and tables be read, without a lock and without
//! reference counts.

mod blank;
mod page;
mod radix;
mod stable;

pub(crate) use blank::{Blank, make_blank, new_blank};
pub(crate) use page::{new_array, publish};
pub(crate) use radix::{FANOUT, Radix};
pub(crate) use stable::{Stable, Store};
