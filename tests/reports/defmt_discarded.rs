//! A logger for defmt, which every program needs whose library logs by it: it discards everything.
//!
//! It is used only where the environment variable `DEFMT_LOG` was set when the library was compiled; without it nothing of
//! the library's calls is left. What kernels send is decoded by `cargo xtask test`.

#[defmt::global_logger]
struct Discard;

// SAFETY: it has no state, so that any number of threads may use it at once.
unsafe impl defmt::Logger for Discard {
    fn acquire() {}

    unsafe fn flush() {}

    unsafe fn release() {}

    unsafe fn write(_: &[u8]) {}
}

// Kernels have this from defmt's linker script.
defmt::timestamp!("");
