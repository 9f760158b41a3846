//! What was measured, as rows, and around them what it was measured of.

use serde::Serialize;

/// What kind of figure a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// Nanoseconds.
    Timed,
    /// Instructions, or bytes: exact.
    Exact,
    /// Bytes by bytes.
    Memory,
}

/// A figure of one subject in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) group: String,
    pub(crate) case: String,
    pub(crate) subject: String,
    pub(crate) threads: usize,
    /// Nanoseconds an operation: the median of the rounds.
    pub(crate) ns_median: Option<f64>,
    /// What 999 of 1000 single operations stay below.
    pub(crate) ns_p999: Option<f64>,
    pub(crate) ratio_to_limit: Option<f64>,
    pub(crate) ratio_to_best_peer: Option<f64>,
    pub(crate) shape: Shape,
    /// The subject is what the machine allows, and no crate.
    pub(crate) is_limit: bool,
    /// The axis of the curve that this is a point of, and where on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) axis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<f64>,
    /// What is not a time, and what was recorded of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) figure: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recorded: Option<f64>,
}

/// All of it: what is written as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    pub(crate) machine: String,
    /// The compiler of what was counted in QEMU, if anything was.
    pub(crate) kernel_compiler: Option<String>,
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
}

impl Findings {
    /// Adds what xtask has counted: lines of words with tabs between.
    ///
    /// # Errors
    ///
    /// A line that is not understood.
    pub(crate) fn add_counted(&mut self, text: &str) -> Result<(), String> {
        for line in text.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words[..] {
                ["compiler", compiler] => self.kernel_compiler = Some(compiler.to_owned()),
                [subject, case, figure, recorded] => {
                    let figure = figure.parse().map_err(|_| format!("`{line}` has no figure"))?;
                    self.rows.push(counted(subject, case, figure, recorded.parse().ok()));
                }
                _ => return Err(format!("`{line}` is not understood")),
            }
        }
        Ok(())
    }
}

fn counted(subject: &str, case: &str, figure: f64, recorded: Option<f64>) -> Row {
    Row {
        group: "kernel".to_owned(),
        case: case.to_owned(),
        subject: subject.to_owned(),
        threads: 1,
        ns_median: None,
        ns_p999: None,
        ratio_to_limit: None,
        ratio_to_best_peer: None,
        shape: Shape::Exact,
        is_limit: false,
        axis: None,
        at: None,
        figure: Some(figure),
        recorded,
    }
}

/// The versions of these packages, as the workspace's lock file has them: the highest of each.
pub(crate) fn versions(lock: &str, names: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let quoted =
            |line: &str, key: &str| line.strip_prefix(key).and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        let Some(name) = quoted(line, "name = \"") else { continue };
        let Some(version) = lines.next().and_then(|line| quoted(line, "version = \"")) else { continue };
        if names.contains(&name.as_str()) {
            found.retain(|(known, _)| *known != name);
            found.push((name, version));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        Findings { machine: "a \"b\"\n".to_owned(), kernel_compiler: None, versions: Vec::new(), rows: Vec::new() }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock =
            "[[package]]\nname = \"spin\"\nversion = \"0.9.8\"\n\n[[package]]\nname = \"spin\"\nversion = \"0.12.3\"\n";
        assert_eq!(versions(lock, &["spin", "talc"]), [("spin".to_owned(), "0.12.3".to_owned())]);
    }

    #[test]
    fn what_was_counted_becomes_rows() {
        let mut findings = findings();
        findings
            .add_counted("compiler\trustc 1\nx86_64\tpages::free_1\t1507\t1400\nx86_64\tb\t2\t\n")
            .expect("good lines");
        assert_eq!(findings.kernel_compiler.as_deref(), Some("rustc 1"));
        assert_eq!((findings.rows[0].figure, findings.rows[0].recorded), (Some(1507.0), Some(1400.0)));
        assert_eq!(findings.rows[1].recorded, None);
        assert!(findings.add_counted("x86_64\tb\tmany\t").is_err() && findings.add_counted("nonsense").is_err());
    }

    #[test]
    fn rows_are_json_with_the_names_that_are_documented() {
        let mut findings = findings();
        findings.rows.push(counted("x86_64", "a \"quoted\" \\ case", 3.0, None));
        let text = serde_json::to_string(&findings).expect("it is only text and numbers");
        let back: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let row = &back["rows"][0];
        assert_eq!(row["case"], "a \"quoted\" \\ case");
        for name in ["group", "subject", "threads", "ns_median", "ns_p999", "ratio_to_limit", "ratio_to_best_peer"] {
            assert!(row.get(name).is_some(), "{name}");
        }
        assert_eq!(back["machine"], "a \"b\"\n");
    }
}
