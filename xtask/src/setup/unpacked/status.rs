//! What apt is told about the system: dpkg's list of packages, in a copy, without those that are to be unpacked.
//!
//! The user may have a newer `qemu-utils` that the release's QEMU would push out, or half of a QEMU or of a Rust. What is
//! unpacked stands beside the system's, in its way of nobody, and must be whole in itself: data beside the program,
//! source beside the compiler. So those families of packages, and what depends on them, are absent from the copy, and
//! apt's resolver brings all of them. Everything else the system has, libraries above all, is left in: that is used.

use std::collections::HashSet;

/// The source packages of which nothing may come from the system; each name is a beginning.
pub(super) const FAMILIES: [&str; 8] =
    ["qemu", "seabios", "ipxe", "edk2", "rust", "cargo", "python3-defaults", "python3."];

/// Dpkg's list of packages without the families, and without what depends on them.
pub(super) fn without_families(list: &str, families: &[&str]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut gone: HashSet<&str> = HashSet::new();
    for entry in list.split("\n\n").filter(|entry| !entry.trim().is_empty()) {
        let name = field(entry, "Package").unwrap_or_default();
        let source = field(entry, "Source").and_then(|source| source.split(' ').next()).unwrap_or(name);
        if families.iter().any(|family| source.starts_with(family)) {
            gone.insert(name);
        } else {
            kept.push(entry);
        }
    }
    // A package that stays without what it depends on is one that apt refuses to go on with.
    loop {
        let before = kept.len();
        kept.retain(|entry| {
            let broken = ["Depends", "Pre-Depends"]
                .iter()
                .filter_map(|name| field(entry, name))
                .any(|depends| names(depends).any(|name| gone.contains(name)));
            if broken {
                gone.insert(field(entry, "Package").unwrap_or_default());
            }
            !broken
        });
        if kept.len() == before {
            break;
        }
    }
    kept.iter().flat_map(|entry| [entry.trim_start_matches('\n'), "\n\n"]).collect()
}

/// A field of an entry: what follows its name on its line (those that are asked for here have one line).
fn field<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The packages that a dependency field names, alternatives included, without versions and architectures.
fn names(depends: &str) -> impl Iterator<Item = &str> {
    depends.split([',', '|']).filter_map(|one| one.trim().split([' ', ':', '(']).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
Package: libc6
Status: install ok installed
Version: 2.36
Description: a library
 that qemu uses, too
Depends: libgcc-s1

Package: qemu-utils
Source: qemu
Version: 1:10
Depends: libc6 (>= 2.36)

Package: ipxe-qemu
Source: ipxe (1.0.0)

Package: seabios

Package: virt-things
Depends: libc6, nothing | qemu-utils:any (>= 1:8)

Package: virt-viewer
Pre-Depends: virt-things(>= 1)

Package: rather-not-qemu
Recommends: qemu-utils
";

    fn kept(families: &[&str]) -> Vec<String> {
        let copy = without_families(LIST, families);
        copy.lines().filter_map(|line| line.strip_prefix("Package: ")).map(str::to_owned).collect()
    }

    #[test]
    fn families_and_what_depends_on_them_are_left_out() {
        assert_eq!(kept(&["qemu", "ipxe"]), ["libc6", "seabios", "rather-not-qemu"]);
        assert_eq!(kept(&["seabios"]).len(), 6);
    }

    #[test]
    fn what_stays_stays_as_it_is() {
        assert_eq!(without_families(LIST, &[]).trim(), LIST.trim());
        assert!(without_families(LIST, &FAMILIES).starts_with("Package: libc6\nStatus: install ok installed\n"));
        assert_eq!(without_families("", &FAMILIES), "");
    }
}
