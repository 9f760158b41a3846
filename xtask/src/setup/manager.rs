//! What the missing things are called, and how one installs them, on this system.

use std::fs;

use super::needs::Item;
use crate::arch::Arch;

/// A package manager, or the lack of a known one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    /// Debian, Ubuntu and their kin: the only one that is run from here.
    Apt,
    /// Fedora, RHEL.
    Dnf,
    /// Arch Linux.
    Pacman,
    /// openSUSE.
    Zypper,
    /// Alpine.
    Apk,
    /// macOS.
    Brew,
    /// NixOS.
    Nix,
    /// Nothing we know.
    Unknown,
}

impl Manager {
    /// The one of this system.
    pub(super) fn detect() -> Self {
        if cfg!(target_os = "macos") {
            return Self::Brew;
        }
        Self::of_os_release(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    /// The one of a system with this `/etc/os-release`: its own name decides, then those it is like.
    fn of_os_release(text: &str) -> Self {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        };
        let names = [field("ID"), field("ID_LIKE")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let known = |name: &str| match name {
            "debian" | "ubuntu" => Some(Self::Apt),
            "fedora" | "rhel" | "centos" => Some(Self::Dnf),
            "arch" => Some(Self::Pacman),
            "suse" | "opensuse" => Some(Self::Zypper),
            "alpine" => Some(Self::Apk),
            "nixos" => Some(Self::Nix),
            _ => None,
        };
        names.split_whitespace().find_map(known).unwrap_or(Self::Unknown)
    }

    /// The packages that bring these things, where the manager has any.
    pub(super) fn packages(self, items: &[Item]) -> Vec<&'static str> {
        items.iter().flat_map(|item| self.packages_of(*item)).copied().collect()
    }

    fn packages_of(self, item: Item) -> &'static [&'static str] {
        match (item, self) {
            (Item::Qemu(Arch::X86_64), Self::Apt | Self::Pacman) => &["qemu-system-x86"],
            (Item::Qemu(Arch::X86_64), Self::Dnf) => &["qemu-system-x86-core"],
            (Item::Qemu(Arch::X86_64), Self::Zypper) => &["qemu-x86"],
            (Item::Qemu(Arch::X86_64), Self::Apk) => &["qemu-system-x86_64"],
            (Item::Qemu(Arch::X86_64), Self::Brew | Self::Nix) => &["qemu"],
            (Item::Qemu(Arch::Aarch64), Self::Apt) => &["qemu-system-arm"],
            (Item::Qemu(Arch::Aarch64), Self::Dnf) => &["qemu-system-aarch64-core"],
            (Item::Qemu(Arch::Aarch64), Self::Zypper) => &["qemu-arm"],
            (Item::Qemu(Arch::Aarch64), Self::Pacman | Self::Apk) => &["qemu-system-aarch64"],
            // One package holds all emulators; named once is enough, but also where only this one is missing.
            (Item::Qemu(Arch::Aarch64), Self::Brew | Self::Nix) => &["qemu"],
            (Item::Python, Self::Apt) => &["python3-minimal"],
            (Item::Python, Self::Pacman) => &["python"],
            (Item::Python, Self::Dnf | Self::Zypper | Self::Apk | Self::Brew | Self::Nix) => &["python3"],
            (Item::Targets, Self::Apt) => &["rustc-web", "cargo-web", "rust-web-src"],
            (Item::Clippy, Self::Apt) => &["rust-web-clippy"],
            (Item::Linker, Self::Apt) => &["lld-19"],
            // Elsewhere rustup brings the Rust side whole.
            (Item::Targets | Item::Clippy | Item::Linker, _) | (_, Self::Unknown) => &[],
        }
    }

    /// The commands that a person would type, one a line, indented.
    pub(super) fn advice(self, items: &[Item]) -> String {
        let mut lines = Vec::new();
        let mut packages = self.packages(items);
        packages.dedup();
        if let Some(install) = self.install_command().filter(|_| !packages.is_empty()) {
            lines.push(format!("    {install} {}", packages.join(" ")));
        }
        if self == Self::Unknown {
            let programs: Vec<&str> = items
                .iter()
                .filter(|item| matches!(item, Item::Qemu(_) | Item::Python))
                .map(|item| item.describe())
                .collect();
            if !programs.is_empty() {
                lines.push(format!("    (with this system's package manager) {}", programs.join(" ")));
            }
        }
        if items.iter().any(|item| matches!(item, Item::Targets | Item::Clippy | Item::Linker)) {
            let remark = if self == Self::Apt { "  # instead of the Rust packages" } else { "" };
            lines.push(format!("    rustup target add {}{remark}", Arch::ALL.map(Arch::target).join(" ")));
            lines.push("    (rustup itself: https://rustup.rs)".to_owned());
        }
        lines.join("\n")
    }

    fn install_command(self) -> Option<&'static str> {
        match self {
            Self::Apt => Some("sudo apt-get install --no-install-recommends"),
            Self::Dnf => Some("sudo dnf install"),
            Self::Pacman => Some("sudo pacman -S --needed"),
            Self::Zypper => Some("sudo zypper install"),
            Self::Apk => Some("sudo apk add"),
            Self::Brew => Some("brew install"),
            Self::Nix => Some("nix-shell --packages"),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMUS: [Item; 2] = [Item::Qemu(Arch::X86_64), Item::Qemu(Arch::Aarch64)];

    #[test]
    fn systems_are_told_by_their_names_or_their_likes() {
        for (text, manager) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n", Manager::Apt),
            ("ID=ubuntu\nID_LIKE=debian\n", Manager::Apt),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Manager::Apt),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Manager::Dnf),
            ("ID=manjaro\nID_LIKE=arch\n", Manager::Pacman),
            ("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", Manager::Zypper),
            ("ID=alpine\n", Manager::Apk),
            ("ID=nixos\n", Manager::Nix),
            ("ID=plan9\n", Manager::Unknown),
            ("", Manager::Unknown),
        ] {
            assert_eq!(Manager::of_os_release(text), manager, "{text}");
        }
    }

    #[test]
    fn debian_gets_qemu_python_and_a_rust_with_source() {
        let items = [QEMUS[0], QEMUS[1], Item::Targets, Item::Linker, Item::Python, Item::Clippy];
        assert_eq!(
            Manager::Apt.packages(&items),
            [
                "qemu-system-x86",
                "qemu-system-arm",
                "rustc-web",
                "cargo-web",
                "rust-web-src",
                "lld-19",
                "python3-minimal",
                "rust-web-clippy"
            ]
        );
    }

    #[test]
    fn advice_is_a_command_that_can_be_typed() {
        assert_eq!(Manager::Dnf.advice(&QEMUS), "    sudo dnf install qemu-system-x86-core qemu-system-aarch64-core");
        assert_eq!(Manager::Brew.advice(&[QEMUS[0], QEMUS[1], Item::Python]), "    brew install qemu python3");
        assert!(Manager::Unknown.advice(&QEMUS).ends_with("qemu-system-x86_64 qemu-system-aarch64"));
        let rust = Manager::Pacman.advice(&[Item::Targets]);
        assert!(rust.starts_with("    rustup target add x86_64-unknown-none aarch64-unknown-none-softfloat"), "{rust}");
    }
}
