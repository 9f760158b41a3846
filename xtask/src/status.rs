//! How a command ends: the exit statuses, and the error that carries one.
//!
//! The statuses are told apart so that a script can: a kernel that says "failed" is news about the code, a QEMU that
//! cannot start is news about the machine. They are documented in [`crate::cli::HELP`].

/// The exit status of `cargo xtask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Everything asked for was done, and passed.
    Success,
    /// A test failed, no test ran, a lint complained, or a kernel said "failed".
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Something needed is missing and could not be installed, or did not build.
    NotReady,
    /// QEMU itself failed: it could not start, crashed, or ended with a status no kernel gives.
    Qemu,
    /// A kernel did not end within its time limit and was stopped.
    Hung,
}

impl Status {
    /// The number that the process exits with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotReady => 3,
            Self::Qemu => 4,
            Self::Hung => 5,
        }
    }
}

/// Why a command cannot go on: what to tell the user (the remedy included), and how to exit.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The exit status.
    pub(crate) status: Status,
    /// The message, for stderr.
    pub(crate) message: String,
}

impl Stop {
    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: Status::Usage, message: message.into() }
    }

    /// No test ran, or something else failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { status: Status::Failed, message: message.into() }
    }

    /// Something is missing or does not build.
    pub(crate) fn not_ready(message: impl Into<String>) -> Self {
        Self { status: Status::NotReady, message: message.into() }
    }
}
