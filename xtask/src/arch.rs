//! The two machines that the kernels run on.

/// An architecture that the kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// x86_64, as QEMU's default PC.
    X86_64,
    /// AArch64, as QEMU's `virt` machine.
    Aarch64,
}

impl Arch {
    /// Both, in the order in which they are run.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The name used on the command line and in test names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The architecture of this name, or of another that is in use for it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "x86_64" | "x86-64" | "amd64" | "x64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The Rust target that its kernels are built for.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-none",
            Self::Aarch64 => "aarch64-unknown-none-softfloat",
        }
    }

    /// The environment variable by which cargo takes the target's linker.
    pub(crate) fn linker_variable(self) -> &'static str {
        match self {
            Self::X86_64 => "CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER",
            Self::Aarch64 => "CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_LINKER",
        }
    }

    /// The emulator's program.
    pub(crate) fn qemu(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }
}
