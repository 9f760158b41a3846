//! The arena as a whole: made, checked, and taken down.

mod create;
mod destroy;
mod lent;
pub(super) mod reach;
mod validate;

pub use create::CreateRefused;
pub use destroy::{DestroyRefused, Destroyed};
pub use validate::ValidateError;

pub(super) use lent::Metadata;
