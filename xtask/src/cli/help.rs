//! What `cargo xtask --help` prints.

/// The help text.
pub(crate) const HELP: &str = "\
usage: cargo xtask demo [--arch ARCH] [--log | --print-qemu]
       cargo xtask test [PART] [--arch ARCH] [--long] [--list] [FILTER]
       cargo xtask test --soak MINUTES [--seed N] [--arch ARCH]
       cargo xtask setup
       cargo xtask lint
       cargo xtask objects
       cargo xtask parity [FILE]
       cargo xtask bench [GROUP...] [--json FILE] [--html FILE] [--quick]
       cargo xtask mutants [--sample N] [FILTER]

demo   builds the demo kernel and boots it in QEMU, its console on this
       terminal; last comes what became of it on each machine, and in which
       file its log is
         --arch ARCH    on this machine only: x86_64, aarch64 (or arm64)
         --log          shows the log, too (what decodes it takes half a
                        minute to build, the first time)
         --print-qemu   builds the kernel, and prints QEMU's command lines
                        instead of running them

test   runs tests: prints `ok NAME`, `FAILED NAME` or `not run NAME` for each,
       and last `N passed, N failed`
         PART           host     all that needs no QEMU: unit, integration and
                                 doc tests, loom, shuttle, protocol models
                        models   the protocol models
                        adopt    the package in a kernel of edition 2018: of
                                 this `host` has what needs no cross compiler
                        kernels  all that runs in QEMU (or `qemu`), or one:
                        claims, steps, races, heap, demo, minimal, programs,
                        bytecode, scheduler, counts
                        all      everything (the default)
         FILTER         only tests whose NAME contains this
         --arch ARCH    the kernels on this machine only
         --long         races and heaps of four CPUs instead of two, a million
                        operations on each machine, and the published tests of
                        the crate hashbrown on the heap: some minutes
         --soak MINUTES instead of all tests heavy weather on four CPUs, for so
                        long on each machine: every operation, programs, faults
                        and interrupts, in rounds of some seconds; after each
                        all accounts must be exact, and a line says what was
                        done
         --seed N       the seed of the soak's first round: that of a round
                        which failed makes the same choices (the default is a
                        random one; each round's is printed)
         --list         prints the NAMEs instead
       for example: cargo xtask test claims --arch x86_64 frees

bench  measures: prints a table, and draws target/bench/index.html
         GROUP          slots, pages, heap, programs (timed here, beside other
                        crates), kernel (instructions, exact, in QEMU); all
                        if none is named, in some ten minutes
         --json FILE    writes all rows there, too
         --html FILE    draws the page there instead
         --quick        short rounds: to see whether all works
         --record       with `kernel` alone: writes benches/instructions.toml,
                        which `test counts` compares with, anew

setup  brings what demo and test need (they call it themselves)
lint   clippy, warnings denied, for the host and for both bare-metal targets
objects  compiles the eBPF programs anew, whose objects are committed, with
       those of clang-14, clang-19 and clang-22 that there are
parity checks that docs/UPSTREAM-PARITY.md has each claim of Linux's tests, and
       that the tests which it names exist
         FILE           what a whole `cargo xtask test` printed: they also ran
mutants  breaks one rule at a time in a copy of the tree, by the patches in
       tests/mutants: each must compile, and the test that it names must fail
       with the assertion that it names
         FILTER         only patches with this in their names, or of this rule
         --sample N     only N of them: others for each commit

Where two commands meet in a checkout, the second waits for the first.

Exit status: 0  done, and everything passed
             1  a test failed or none ran, a lint complained, the kernel
                failed or did not say how it ended
             2  the command line makes no sense
             3  something needed is missing or does not build (the message
                says what to do)
             4  QEMU itself failed
             5  a kernel hung and was stopped
demo gives the first of these that is not 0; test gives 0, 1, 2 or 3.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Part;
    use crate::term::{COLUMNS, columns};

    #[test]
    fn the_help_fits_the_terminal() {
        for line in HELP.lines() {
            assert!(columns(line) <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn so_does_that_of_the_benches() {
        let source = include_str!("../../../benches/src/options.rs");
        let help = source.split_once("HELP: &str = \"\\\n").and_then(|(_, rest)| rest.split_once("\";"));
        let (help, _) = help.expect("there is a help text");
        assert!(help.starts_with("usage: ") && help.lines().all(|line| columns(line) <= COLUMNS), "{help}");
    }

    #[test]
    fn every_part_is_explained() {
        for (name, _) in Part::NAMES {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
