#![no_std]
//! The kernel follows in the next step.
