//! The three formats: one file each.

mod aarch64;
mod portable;
mod x86_64;

pub(super) use aarch64::MachineInstructions;
