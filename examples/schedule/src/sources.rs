//! The schedulers: two that do their work, and others.

/// A scheduler as it comes: an object and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name.
    pub name: &'static str,
    /// The bytes of an ELF file.
    pub object: &'static [u8],
}

/// The object that was compiled from the source with this name.
macro_rules! source {
    ($(#[$doc:meta])* $constant:ident, $name:literal) => {
        $(#[$doc])*
        pub const $constant: Source = Source {
            name: $name,
            object: include_bytes!(concat!("../programs/objects/", $name, ".clang-19.v3.o")),
        };
    };
}

source! {
    /// First come, first served, on any CPU.
    FIRST_COME, "first_come"
}
source! {
    /// The same on the CPUs on which a task may run.
    MASKS, "masks"
}
source! {
    /// Reads the kernel's mask far beyond its end.
    OFF_THE_END, "off_the_end"
}
source! {
    /// Keeps a pointer to a page that it has freed.
    USE_AFTER_FREE, "use_after_free"
}
source! {
    /// Loops.
    FOR_EVER, "for_ever"
}
source! {
    /// Frees what is not its own.
    THIEF, "thief"
}
source! {
    /// Writes over the header of the kernel's mask.
    SCRIBBLER, "scribbler"
}
source! {
    /// Has the kernel follow a wild pointer.
    WILD, "wild"
}
source! {
    /// Names tasks that it may not.
    LIAR, "liar"
}
source! {
    /// Names no task at all.
    FORGETFUL, "forgetful"
}
source! {
    /// Gives up.
    TRAP, "trap"
}
