//! The claims, by what they are about. Each is a function; its name is the claim; numbers (T54, N8) are
//! explained in `docs/UPSTREAM-PARITY.md`.

use crate::check::Checked;
use crate::site::Site;

mod access;
mod alloc;
mod atomic;
mod create;
mod defer;
mod free;
mod guard;
mod heal;
mod kit;
mod log;
mod place;
mod record;
mod recover;
mod refuse;
mod refuse_free;
mod registry;
mod reserve;
mod rounds;

/// A claim about the arena.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The claim itself.
    pub(crate) name: &'static str,
    /// Tries it, on a fresh arena.
    pub(crate) body: fn(&Site<'_>) -> Checked,
}

/// Lists functions as claims.
macro_rules! claims {
    ($($(#[$condition:meta])* $name:ident,)*) => {
        /// The claims of this file.
        pub(super) const CLAIMS: &[$crate::claims::Claim] =
            &[$($(#[$condition])* $crate::claims::Claim { name: stringify!($name), body: $name }),*];
    };
}
use claims;

/// All claims, in the order in which they are tried: what others rest on comes first.
pub(crate) fn all() -> impl Iterator<Item = &'static Claim> {
    [
        create::CLAIMS,
        kit::CLAIMS,
        alloc::CLAIMS,
        place::CLAIMS,
        refuse::CLAIMS,
        refuse_free::CLAIMS,
        free::CLAIMS,
        defer::CLAIMS,
        recover::CLAIMS,
        guard::CLAIMS,
        record::CLAIMS,
        heal::CLAIMS,
        reserve::CLAIMS,
        registry::CLAIMS,
        atomic::CLAIMS,
        access::CLAIMS,
        log::CLAIMS,
        rounds::CLAIMS,
    ]
    .into_iter()
    .flatten()
}
