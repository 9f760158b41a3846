//! The command line of `cargo xtask bench`.

use super::unexpected;
use crate::status::Stop;

/// What is measured, and what becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bench {
    /// The groups that were asked for, each once, in the order in which they are measured; all if none was.
    pub(crate) topics: Vec<Topic>,
    /// Where the rows go, if anywhere.
    pub(crate) json: Option<String>,
    /// Where the page goes, if not where it goes by itself.
    pub(crate) html: Option<String>,
    pub(crate) effort: Effort,
    pub(crate) figures: Figures,
}

/// A group of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    Slots,
    Pages,
    Heap,
    Programs,
    Kernel,
}

/// How much time is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Minutes.
    Full,
    /// Short rounds, and few of them: to see whether all works.
    Quick,
}

/// What becomes of exact figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figures {
    /// They are shown beside those that are recorded.
    Shown,
    /// They are recorded.
    Recorded,
}

impl Topic {
    /// All, in the order in which they are measured.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("slots", Self::Slots),
        ("pages", Self::Pages),
        ("heap", Self::Heap),
        ("programs", Self::Programs),
        ("kernel", Self::Kernel),
    ];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, topic)| *topic == self).map_or("", |(name, _)| name)
    }
}

/// Parses what comes after `bench`.
pub(super) fn parse(rest: &[&str]) -> Result<Bench, Stop> {
    let mut bench = Bench { topics: Vec::new(), json: None, html: None, effort: Effort::Full, figures: Figures::Shown };
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        let mut file = || words.next().map(str::to_owned).ok_or_else(|| Stop::usage(format!("{word} wants a file")));
        match word {
            "--json" => bench.json = Some(file()?),
            "--html" => bench.html = Some(file()?),
            "--quick" => bench.effort = Effort::Quick,
            "--record" => bench.figures = Figures::Recorded,
            _ => {
                let topic = Topic::ALL.iter().find(|(name, _)| *name == word).ok_or_else(|| unexpected(word))?;
                bench.topics.push(topic.1);
            }
        }
    }
    if bench.figures == Figures::Recorded && bench.topics != [Topic::Kernel] {
        return Err(Stop::usage("only what is exact is recorded: `cargo xtask bench kernel --record`"));
    }
    if bench.topics.is_empty() {
        bench.topics = Topic::ALL.map(|(_, topic)| topic).to_vec();
    }
    bench.topics.sort();
    bench.topics.dedup();
    Ok(bench)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_files_are_understood() {
        let parsed = |words: &[&str]| parse(words).map_err(|stop| stop.message);
        let all = parsed(&[]).expect("no word is all");
        assert_eq!(all.topics.len(), Topic::ALL.len());
        let some = parsed(&["kernel", "slots", "slots", "--json", "out.json", "--quick"]).expect("groups and options");
        assert_eq!(some.topics, [Topic::Slots, Topic::Kernel]);
        assert_eq!((some.json.as_deref(), some.html, some.effort), (Some("out.json"), None, Effort::Quick));
        assert_eq!(parsed(&["kernel", "--record"]).map(|bench| bench.figures), Ok(Figures::Recorded));
    }
}
