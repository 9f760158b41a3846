//! The command line.

use std::time::Duration;

/// What is printed when it makes no sense.
pub(crate) const HELP: &str = "\
usage: kernel-arena-benches [--quick] [--fastest] [--case NAME]...
                            [--only NAME]... [--ops N] [--memory]
  --quick      shorter rounds, fewer of them
  --fastest    print the fastest round in place of the median: for a machine
               that is busy with other things
  --case NAME  only cases whose name contains this (`memory`: resident bytes)
  --only NAME  only this allocator
  --ops N      run each case once, so many operations, and nothing else: for a
               profiler
  --memory     print the resident bytes a live byte of the one allocator named";

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Measure everything and print a table.
    Table,
    /// Run so many operations, once.
    Once(usize),
    /// Measure memory, of one allocator.
    Memory,
}

/// A request, parsed.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) rounds: usize,
    /// Print the fastest round in place of the median.
    pub(crate) fastest: bool,
    /// How long one allocator's turn at one case takes.
    pub(crate) turn: Duration,
    cases: Vec<String>,
    peers: Vec<String>,
}

impl Options {
    /// Parses the arguments.
    ///
    /// # Errors
    /// One is not understood.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            mode: Mode::Table,
            rounds: 11,
            fastest: false,
            turn: Duration::from_millis(60),
            cases: Vec::new(),
            peers: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--quick" => (options.rounds, options.turn) = (5, Duration::from_millis(25)),
                "--fastest" => options.fastest = true,
                "--case" => options.cases.push(value()?),
                "--only" => options.peers.push(value()?),
                "--ops" => options.mode = Mode::Once(value()?.parse().map_err(|_| "--ops wants a number")?),
                "--memory" => options.mode = Mode::Memory,
                // Cargo says so when it runs benches.
                "--bench" => {}
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants_case(&self, name: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| name.contains(wanted.as_str()))
    }

    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| name == wanted)
    }
}
