//! A readable table: a row for each subject in each case.

use super::{by_case, figures};
use crate::rows::{Findings, Row, Shape};

/// The table, as text.
pub(crate) fn text(findings: &Findings) -> String {
    let mut text = String::new();
    let mut last = "";
    for (group, case, rows) in by_case(&findings.rows) {
        if group != last {
            text += &format!("\n{group}\n{:-<120}\n", "");
            text +=
                &format!("{:<62}{:<26}{:>8}{:>8}{:>8}{:>8}\n", "case", "subject", "median", "p99.9", "limit", "peer");
            last = group;
        }
        for (number, row) in rows.iter().enumerate() {
            let shown = match (number, row.at) {
                (_, Some(at)) if number == 0 || rows[number - 1].at != Some(at) => {
                    format!("{case}, {} {}", figures(at), row.axis.as_deref().unwrap_or_default())
                }
                (0, None) => case.to_owned(),
                _ => String::new(),
            };
            text += &line(&shown, row);
        }
    }
    text += "\nmedian and p99.9 in ns an operation; limit and peer: the median by theirs (below 1 is faster)\n";
    text
}

fn line(case: &str, row: &Row) -> String {
    let shown = |value: Option<f64>| value.map_or_else(String::new, figures);
    let first = match row.shape {
        Shape::Timed => shown(row.ns_median),
        Shape::Exact | Shape::Memory => row.figure.map_or_else(String::new, |figure| {
            if row.shape == Shape::Exact { format!("{figure:.0}") } else { format!("{figure:.3}") }
        }),
    };
    format!(
        "{case:<62}{:<26}{first:>8}{:>8}{:>8}{:>8}\n",
        row.subject,
        shown(row.ns_p999),
        shown(row.ratio_to_limit),
        shown(row.ratio_to_best_peer)
    )
}
