//! What was measured, for people and for programs.

pub(crate) mod page;
mod svg;
pub(crate) mod table;

use crate::rows::Row;

/// The rows of each case, in the order in which they were measured; those of a curve together.
pub(crate) fn by_case(rows: &[Row]) -> Vec<(&str, &str, Vec<&Row>)> {
    let mut cases: Vec<(&str, &str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match cases.iter_mut().find(|(group, case, _)| *group == row.group && *case == row.case) {
            Some((.., rows)) => rows.push(row),
            None => cases.push((&row.group, &row.case, vec![row])),
        }
    }
    cases
}

/// Three figures or so.
pub(crate) fn figures(value: f64) -> String {
    match value {
        _ if value.is_nan() => "-".to_owned(),
        _ if value > 0.0 && value < 0.1 => format!("{value:.4}"),
        // Counts of what is on an axis.
        _ if value.fract() == 0.0 && value < 100_000.0 => format!("{value:.0}"),
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ if value < 100_000.0 => format!("{value:.0}"),
        _ if value < 1e7 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.0}M", value / 1e6),
    }
}
