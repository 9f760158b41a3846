//! What is missing: a pure function of what is wanted and what was found.

use crate::arch::Arch;
use crate::route::Survey;

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// To run kernels on a machine.
    Qemu(Arch),
    /// To build kernels.
    Kernels,
    /// To run the protocol models.
    Python,
    /// To run clippy over kernels.
    Clippy,
}

impl Want {
    /// Everything.
    pub(crate) const ALL: [Self; 5] =
        [Self::Qemu(Arch::X86_64), Self::Qemu(Arch::Aarch64), Self::Kernels, Self::Python, Self::Clippy];
}

/// Something that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The emulator of a machine.
    Qemu(Arch),
    /// A Python interpreter.
    Python,
    /// A Rust that can build for the bare-metal targets.
    Targets,
    /// A linker for that Rust.
    Linker,
    /// The clippy of that Rust.
    Clippy,
}

impl Item {
    /// Its name, for messages.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Qemu(arch) => arch.qemu(),
            Self::Python => "python3",
            Self::Targets => {
                "a Rust for the bare-metal targets (rustup's targets, or a packaged rustc, 1.88 or newer, with its source: \
                 Debian's security suite has one)"
            }
            Self::Linker => "the linker ld.lld",
            Self::Clippy => "a clippy for the bare-metal targets",
        }
    }
}

/// What of the wanted is missing, given what was found and which programs are on the search path.
pub(super) fn missing(wants: &[Want], survey: &Survey, mut has_program: impl FnMut(&'static str) -> bool) -> Vec<Item> {
    let mut items = Vec::new();
    for want in wants {
        match want {
            Want::Qemu(arch) if !has_program(arch.qemu()) => items.push(Item::Qemu(*arch)),
            Want::Python if !has_program("python3") => items.push(Item::Python),
            // The distribution's Rust: only where the current toolchain lacks the targets.
            Want::Kernels if !survey.targets => {
                items.extend(survey.packaged.is_none().then_some(Item::Targets));
                items.extend(survey.linker.is_none().then_some(Item::Linker));
            }
            Want::Clippy if !survey.targets && survey.packaged_clippy.is_none() => items.push(Item::Clippy),
            Want::Qemu(_) | Want::Python | Want::Kernels | Want::Clippy => {}
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_bare_machine_lacks_everything() {
        let items = missing(&Want::ALL, &Survey::default(), |_| false);
        let [x86, arm] = Arch::ALL.map(Item::Qemu);
        assert_eq!(items, [x86, arm, Item::Targets, Item::Linker, Item::Python, Item::Clippy]);
    }

    #[test]
    fn a_toolchain_with_the_targets_needs_no_packages_of_rust() {
        let survey = Survey { targets: true, ..Survey::default() };
        assert_eq!(missing(&Want::ALL, &survey, |_| true), []);
        assert_eq!(missing(&Want::ALL, &survey, |program| program != "python3"), [Item::Python]);
    }

    #[test]
    fn a_distribution_s_rust_may_lack_its_linker_or_clippy() {
        let system = Some(PathBuf::from("/usr/bin"));
        let survey = Survey { packaged: system.clone(), ..Survey::default() };
        assert_eq!(missing(&Want::ALL, &survey, |_| true), [Item::Linker, Item::Clippy]);
        assert_eq!(missing(&[Want::Kernels], &survey, |_| true), [Item::Linker]);
        let whole = Survey { linker: Some(PathBuf::from("/lld")), packaged_clippy: system, ..survey };
        assert_eq!(missing(&Want::ALL, &whole, |_| true), []);
    }

    #[test]
    fn only_the_wanted_is_asked_for() {
        assert_eq!(missing(&[Want::Qemu(Arch::X86_64)], &Survey::default(), |_| false), [Item::Qemu(Arch::X86_64)]);
        assert_eq!(missing(&[Want::Python], &Survey::default(), |_| false), [Item::Python]);
    }
}
