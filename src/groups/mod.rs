//! Groups: programs that make one thing together, a scheduler say, on one arena.
//!
//! A [`Group`] has slots, each with a program or empty. All its programs share one arena, which the group finds by looking at
//! them and holds from then on: it cannot be destroyed meanwhile. What the library knows of a program is what [`Member`] says,
//! so that they may be of any kind: bytecode, processes, both.
//!
//! ```text
//!  register ──▶ at rest ──enable──▶ present ──eject──▶ closed ──disable──▶ at rest ──unregister──▶ gone
//!                  ▲  hold            │  pool, masks     │ callers inside        │ hold given back
//!                  └─ a step failed ──┘  init, callers   └─ go on to their end   └─ masks, pool given back
//! ```
//!
//! The order is fixed. [`Group::enable`]: the [pool](crate::pool), a CPU mask for each CPU in it, `init`, and only then may
//! callbacks be [called](Group::enter). [`Group::disable`]: no more callers, and when the last one inside has left, `exit`; then
//! the masks, then the pool; the arena last, with [`Group::unregister`] or a drop. Where a step of the first fails, the second is
//! gone from there on, so nothing is left. Nobody waits: who would have to is told [`DisableError::Busy`], and calls again.
//!
//! Violations are counted by the call in which they happened. A group has a budget of them; when it is spent, the group is
//! *ejected*: no more callers, and whoever notices ([`Group::is_present`]) disables it.
//!
//! Between kernel and program addresses are changed at the border of a call and nowhere else: a pointer goes out by
//! [`ArenaPtr::to_program`](crate::ArenaPtr::to_program), a number comes in by
//! [`ArenaPtr::from_low_bits`](crate::ArenaPtr::from_low_bits), which is `None` for null whatever is above its low half.

mod account;
mod call;
mod equipment;
mod error;
mod group;
mod hold;
mod presence;

pub use call::Caller;
pub use equipment::Equipment;
pub use error::{DisableError, EnableError, MembersError, MembersRefused};
pub use group::{Group, Member};
pub use hold::Hold;
