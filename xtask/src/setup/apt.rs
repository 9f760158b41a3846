//! Runs apt-get, so that it neither asks, nor is silent, nor gives up at the first hiccup.
//!
//! Packages are only ever added (`--no-remove`): where a package would push out something the user has, apt is not let
//! go on. A lock that another package manager holds is waited for; a network that hiccups gets another try.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::step::{say, step};
use super::unpacked::complaint;
use crate::child;

/// How often a step is tried.
const ATTEMPTS: u32 = 3;
/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_secs(5);
/// How long another package manager's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);

/// Installs these packages.
///
/// # Errors
///
/// Why that could not be done, for the user.
pub(super) fn install(packages: &[&str]) -> Result<(), String> {
    say(&format!("to be installed by apt: {}", packages.join(" ")));
    let rights = Rights::obtain()?;
    let update = || rights.apt_get(&["update"]);
    // A broken list of somebody else's need not keep us from installing.
    let update_failure = persistently("apt refreshes the package lists", update).err();
    if let Some(failure) = &update_failure {
        say(failure);
        say("going on with the package lists as they are");
    }
    let install = |how: &[&str]| {
        let mut command = rights.apt_get(&["install", "--yes", "--no-install-recommends", "--no-remove"]);
        command.args(how).args(packages);
        command
    };
    // What cannot be done at all is not tried thrice.
    let rehearsal = install(&["--simulate"]).stdin(Stdio::null()).output();
    let rehearsal = rehearsal.map_err(|error| format!("apt-get did not run: {error}"))?;
    if !rehearsal.status.success() {
        return Err(complaint(&rehearsal.stderr));
    }
    persistently(&format!("apt installs {}", packages.join(" ")), || install(&[]))
}

/// By what right apt-get is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    Root,
    Sudo,
}

impl Rights {
    /// Root's, or sudo's: without a password if that works, else with one if somebody is there to type it.
    fn obtain() -> Result<Self, String> {
        let user = Command::new("id").arg("-u").output().map_err(|error| format!("`id` did not run: {error}"))?;
        if user.stdout.trim_ascii() == b"0" {
            return Ok(Self::Root);
        }
        let sudo = |flag: &str, rest: &[&str]| {
            let stderr = if rest.is_empty() { Stdio::inherit() } else { Stdio::null() };
            Command::new("sudo").arg(flag).args(rest).stderr(stderr).status().is_ok_and(|status| status.success())
        };
        if sudo("-n", &["true"]) {
            return Ok(Self::Sudo);
        }
        if io::stdin().is_terminal() && child::find_program("sudo").is_some() {
            say("packages must be installed; sudo may ask for your password");
            if sudo("-v", &[]) {
                return Ok(Self::Sudo);
            }
        }
        Err("installing packages takes root, and sudo does not give it here".to_owned())
    }

    /// An apt-get command; the variable goes through `env`, since sudo would drop it.
    fn apt_get(self, arguments: &[&str]) -> Command {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.arg("env");
                sudo
            }
        };
        let lock = format!("DPkg::Lock::Timeout={}", LOCK_PATIENCE.as_secs());
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", &lock]);
        command.args(["-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0"]).args(arguments);
        command
    }
}

/// Runs a step until it succeeds, a few times; a lock is waited for longer (`update` does not wait for it by itself).
fn persistently(name: &str, command: impl Fn() -> Command) -> Result<(), String> {
    let started = Instant::now();
    let mut attempts = 0;
    loop {
        let Err(failure) = step(name, command()) else {
            return Ok(());
        };
        let waits_for_lock = failure.locked && started.elapsed() < LOCK_PATIENCE;
        attempts += u32::from(!waits_for_lock);
        if attempts >= ATTEMPTS {
            return Err(failure.message);
        }
        let why = if waits_for_lock {
            "another package manager is at work"
        } else {
            failure.message.lines().last().unwrap_or_default().trim()
        };
        say(&format!("{why}; once more in {} s", PAUSE.as_secs()));
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let arguments = command.get_args().map(|word| word.to_string_lossy().into_owned());
        [command.get_program().to_string_lossy().into_owned()].into_iter().chain(arguments).collect()
    }

    #[test]
    fn apt_neither_asks_nor_removes() {
        let line = words(&Rights::Sudo.apt_get(&["update"])).join(" ");
        assert!(
            line.starts_with("sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout="),
            "{line}"
        );
        assert_eq!(words(&Rights::Root.apt_get(&["update"]))[0], "env");
    }
}
