//! One page that shows at a glance where the library stands. It needs nothing but itself: charts are SVG in it, and nothing is
//! fetched.

use super::svg::{Bar, Curve, Scale, bars, curves, escaped, standing};
use super::{by_case, figures};
use crate::harness::OURS;
use crate::rows::{Findings, Row, Shape};

const STYLE: &str = include_str!("page.css");

/// What each group is about.
const ABOUT: [(&str, &str); 5] = [
    (
        "slots",
        "An entry put into page tables and taken out again. The library's has the claim of the page's number and its end in it.",
    ),
    ("pages", "Pages taken, zeroed and mapped, and given back."),
    ("heap", "Objects taken, their first byte written, and given back, through GlobalAlloc."),
    ("programs", "Bytecode beside another interpreter; checked access beside one that nobody checks."),
    ("kernel", "Instructions in a kernel, exact, under QEMU's -icount; bytes of code that are added to one."),
];

/// The page.
pub(crate) fn html(findings: &Findings) -> String {
    let mut body = format!("<h1>kernel-arena, measured</h1><p>{}</p>", escaped(&findings.machine));
    let cases = by_case(&findings.rows);
    let standings: Vec<(String, f64)> = findings
        .rows
        .iter()
        .filter(|row| row.subject == OURS)
        .filter_map(|row| {
            let at = row.at.map_or_else(String::new, |at| {
                format!(", {} {}", figures(at), row.axis.as_deref().unwrap_or_default())
            });
            Some((format!("{}: {}{at}", row.group, row.case), row.ratio_to_best_peer?))
        })
        .collect();
    if !standings.is_empty() {
        let ahead = standings.iter().filter(|(_, ratio)| *ratio <= 1.0).count();
        body += &format!(
            "<h2>Beside the best of the others</h2><p>Ahead in {ahead} of {}. A dot is the library's median by that of the fastest other crate in the case.</p>{}",
            standings.len(),
            standing(&standings)
        );
    }
    for (group, about) in ABOUT {
        let of_group: Vec<_> = cases.iter().filter(|(of, ..)| *of == group).collect();
        if of_group.is_empty() {
            continue;
        }
        body += &format!("<h2>{group}</h2><p>{about}</p>");
        if group == "kernel" {
            body += &counted(findings);
            continue;
        }
        body += "<div class=\"charts\">";
        for (_, case, rows) in of_group {
            body += &match rows[0].axis.as_deref() {
                Some(axis) => curve(case, axis, rows),
                None => bar(case, rows),
            };
        }
        body += "</div>";
    }
    let versions: Vec<String> =
        findings.versions.iter().map(|(name, version)| format!("{} {}", escaped(name), escaped(version))).collect();
    body += &format!("<h2>Versions</h2><p>{}</p>", versions.join(", "));
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>kernel-arena, measured</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
}

/// Whose colour a row has.
fn class(row: &Row) -> &'static str {
    match row.subject.as_str() {
        OURS => "ours",
        _ if row.is_limit => "limit",
        _ => "peer",
    }
}

fn bar(case: &str, rows: &[&Row]) -> String {
    let shown: Vec<Bar<'_>> = rows
        .iter()
        .filter_map(|row| {
            let (value, note) = match row.shape {
                Shape::Timed => {
                    let worst = row.ns_p999.map_or_else(String::new, |worst| format!(" (99.9 %: {})", figures(worst)));
                    (row.ns_median?, format!(" ns{worst}"))
                }
                Shape::Exact | Shape::Memory => (row.figure?, String::new()),
            };
            Some(Bar { name: &row.subject, value, note, class: class(row) })
        })
        .collect();
    let threads = if rows[0].threads > 1 { format!(" ({} threads)", rows[0].threads) } else { String::new() };
    bars(&format!("{case}{threads}"), &shown)
}

fn curve(case: &str, axis: &str, rows: &[&Row]) -> String {
    const PEERS: [&str; 8] = ["peer a", "peer b", "peer c", "peer d", "peer e", "peer f", "peer g", "peer h"];
    let mut shown: Vec<Curve<'_>> = Vec::new();
    let mut peers = PEERS.iter().cycle();
    for row in rows {
        let (Some(at), Some(value)) = (row.at, row.ns_median) else { continue };
        match shown.iter_mut().find(|curve| curve.name == row.subject) {
            Some(curve) => curve.points.push((at, value)),
            None => {
                let class = match class(row) {
                    "peer" => peers.next().copied().unwrap_or("peer"),
                    other => other,
                };
                shown.push(Curve { name: &row.subject, points: vec![(at, value)], class });
            }
        }
    }
    let scale = if axis.starts_with('%') { Scale::Even } else { Scale::Logarithmic };
    curves(case, axis, scale, &shown)
}

/// Exact figures: a table with a column for each machine.
fn counted(findings: &Findings) -> String {
    let rows: Vec<&Row> = findings.rows.iter().filter(|row| row.group == "kernel").collect();
    let mut machines: Vec<&str> = rows.iter().map(|row| row.subject.as_str()).collect();
    machines.dedup();
    let mut table = String::from("<table><tr><th>case</th>");
    table.extend(machines.iter().map(|machine| format!("<th>{}</th><th>recorded</th>", escaped(machine))));
    table += "</tr>";
    let mut cases: Vec<&str> = rows.iter().map(|row| row.case.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    for case in cases {
        table += &format!("<tr><td>{}</td>", escaped(&case.replace('_', " ").replace("::", ": ")));
        for machine in &machines {
            let row = rows.iter().find(|row| row.case == case && row.subject == *machine);
            let whole = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
            let (figure, recorded) = row.map_or((None, None), |row| (row.figure, row.recorded));
            let class = match (figure, recorded) {
                (Some(now), Some(before)) if now > before * 1.02 => "behind",
                (Some(now), Some(before)) if now < before => "ahead",
                _ => "",
            };
            table += &format!("<td class=\"{class}\">{}</td><td class=\"dim\">{}</td>", whole(figure), whole(recorded));
        }
        table += "</tr>";
    }
    let compiler = findings.kernel_compiler.as_deref().unwrap_or("an unknown compiler");
    format!("{table}</table><p>{}</p>", escaped(compiler))
}
