//! What a program and its kernel agree on. The program itself is this package's binary.

#![no_std]

pub mod abi;
