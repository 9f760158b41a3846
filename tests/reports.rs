//! What the arena tells a log, with the features `log` and `defmt`.

#[cfg(feature = "defmt")]
mod defmt_discarded;
#[cfg(feature = "log")]
mod log_heard;
