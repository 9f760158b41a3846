//! A line every ten seconds from what is otherwise silent, so that a hang looks different from work.

use std::time::Duration;

use crate::term;

/// How long it may be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// What is watched, and when it last gave a sign.
#[derive(Debug)]
pub(crate) struct Pulse<'a> {
    name: &'a str,
    limit: Option<Duration>,
    silence: Duration,
    last: Duration,
    lines: usize,
    remarks: usize,
}

impl<'a> Pulse<'a> {
    /// Begins to watch something, which is stopped after `limit`.
    pub(crate) fn new(name: &'a str, limit: Option<Duration>) -> Self {
        Self::every(SILENCE, name, limit)
    }

    /// The same, with another patience.
    pub(crate) fn every(silence: Duration, name: &'a str, limit: Option<Duration>) -> Self {
        Self { name, limit, silence, last: Duration::ZERO, lines: 0, remarks: 0 }
    }

    /// After which time it is stopped.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// How many remarks there have been.
    #[cfg(test)]
    pub(crate) fn remarks(&self) -> usize {
        self.remarks
    }

    /// It has said something, which is on the terminal. The time is that since its start.
    pub(crate) fn shown(&mut self, elapsed: Duration) {
        self.last = elapsed;
        self.lines += 1;
    }

    /// It has said something that is not on the terminal.
    pub(crate) fn heard(&mut self) {
        self.lines += 1;
    }

    /// Prints a remark if it is time for one.
    pub(crate) fn beat(&mut self, elapsed: Duration) {
        if let Some(remark) = self.remark(elapsed) {
            term::note(&remark);
        }
    }

    /// What is to be said now, if anything.
    fn remark(&mut self, elapsed: Duration) -> Option<String> {
        if elapsed.saturating_sub(self.last) < self.silence {
            return None;
        }
        self.last = elapsed;
        self.remarks += 1;
        let limit = self.limit.map_or(String::new(), |limit| format!("; stopped after {} s", limit.as_secs()));
        let lines = if self.lines == 1 { "line" } else { "lines" };
        Some(format!("{}: at work for {} s, {} {lines} so far{limit}", self.name, elapsed.as_secs(), self.lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_broken_every_ten_seconds() {
        let mut pulse = Pulse::new("k", Some(Duration::from_secs(60)));
        let told: Vec<u64> = (1..=35).filter(|second| pulse.remark(Duration::from_secs(*second)).is_some()).collect();
        assert_eq!(told, [10, 20, 30]);
    }

    #[test]
    fn what_is_on_the_terminal_is_a_sign_itself() {
        let mut pulse = Pulse::new("k", None);
        pulse.heard();
        pulse.shown(Duration::from_secs(8));
        assert_eq!(pulse.remark(Duration::from_secs(15)), None);
        assert_eq!(pulse.remark(Duration::from_secs(18)), Some("k: at work for 18 s, 2 lines so far".to_owned()));
    }

    #[test]
    fn the_end_of_patience_is_announced() {
        let mut pulse = Pulse::new("x86_64::claims", Some(Duration::from_secs(100)));
        let remark = pulse.remark(Duration::from_secs(10));
        assert_eq!(remark.as_deref(), Some("x86_64::claims: at work for 10 s, 0 lines so far; stopped after 100 s"));
    }
}
