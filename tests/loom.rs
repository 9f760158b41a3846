//! Models of weak memory, for `--cfg loom`.
#![cfg(loom)]
