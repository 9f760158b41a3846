//! Charts, as SVG: bars of one case, and curves.
//!
//! Colours are classes, which the page gives their values for light and for dark.

use super::figures;

/// Text in a page: what would be markup is none.
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            _ => escaped.push(letter),
        }
        escaped
    })
}

/// A bar: whose, how long, and the class of its colour.
pub(super) struct Bar<'a> {
    pub(super) name: &'a str,
    pub(super) value: f64,
    /// What stands behind the value.
    pub(super) note: String,
    pub(super) class: &'a str,
}

/// Bars from nothing, to one scale; what would be more than eight times the shortest is cut off, and says so.
pub(super) fn bars(title: &str, bars: &[Bar<'_>]) -> String {
    const NAME: f64 = 178.0;
    const LENGTH: f64 = 190.0;
    const ROW: f64 = 22.0;
    let least = bars.iter().map(|bar| bar.value).fold(f64::INFINITY, f64::min);
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max).min(8.0 * least).max(f64::MIN_POSITIVE);
    let mut rows = String::new();
    for (number, bar) in (0u16..).zip(bars) {
        let y = f64::from(number) * ROW;
        let length = (bar.value.min(most) / most * LENGTH).max(1.0);
        let cut = if bar.value > most { ", cut off" } else { "" };
        rows += &format!(
            "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{}</text><rect class=\"{}\" x=\"{NAME:.0}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"14\" rx=\"2\"/><text x=\"{:.0}\" y=\"{:.0}\">{}{}{cut}</text>",
            NAME - 8.0,
            y + 15.0,
            escaped(bar.name),
            bar.class,
            y + 4.0,
            NAME + length + 6.0,
            y + 15.0,
            figures(bar.value),
            escaped(&bar.note)
        );
    }
    let height = f64::from(u16::try_from(bars.len()).unwrap_or(u16::MAX)) * ROW + 4.0;
    format!(
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 560 {height:.0}\" role=\"img\">{rows}</svg></figure>",
        escaped(title)
    )
}

/// A curve: whose, its points, and the class of its colour.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) class: &'a str,
}

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Even,
    Logarithmic,
}

impl Scale {
    /// Where a value is between the ends, from 0 to 1.
    fn place(self, value: f64, (least, most): (f64, f64)) -> f64 {
        let place = match self {
            Self::Even => (value - least) / (most - least),
            Self::Logarithmic => (value / least).ln() / (most / least).ln(),
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// Curves with a logarithmic axis of times.
pub(super) fn curves(title: &str, axis: &str, scale: Scale, curves: &[Curve<'_>]) -> String {
    const LEFT: f64 = 48.0;
    const WIDTH: f64 = 360.0;
    const TOP: f64 = 12.0;
    const HEIGHT: f64 = 190.0;
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        all().map(of).fold((f64::INFINITY, 0.0f64), |(least, most), value| (least.min(value), most.max(value)))
    };
    let (across, up) = (ends(|point| point.0), ends(|point| point.1));
    // Whole powers of ten, so that there is a line to read by.
    let up = (10f64.powf(up.0.max(0.01).log10().floor()), 10f64.powf(up.1.max(0.1).log10().ceil()));
    let x = |value: f64| LEFT + WIDTH * scale.place(value, across);
    let y = |value: f64| TOP + HEIGHT * (1.0 - Scale::Logarithmic.place(value, up));
    let mut inner = String::new();
    let mut line = up.0;
    while line <= up.1 * 1.001 {
        inner += &format!(
            "<line class=\"grid\" x1=\"{LEFT:.0}\" x2=\"{:.0}\" y1=\"{:.1}\" y2=\"{:.1}\"/><text class=\"name\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
            LEFT + WIDTH,
            y(line),
            y(line),
            LEFT - 6.0,
            y(line) + 4.0,
            figures(line)
        );
        line *= 10.0;
    }
    let mut marks: Vec<f64> = all().map(|point| point.0).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    let mut last = f64::NEG_INFINITY;
    for mark in marks {
        if x(mark) - last > 34.0 {
            last = x(mark);
            let text = if mark < 10.0 { format!("{mark:.0}") } else { figures(mark).replace(".0", "") };
            inner += &format!("<text class=\"mark\" x=\"{last:.1}\" y=\"{:.0}\">{text}</text>", TOP + HEIGHT + 16.0);
        }
    }
    inner += &format!(
        "<text class=\"mark\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
        LEFT + WIDTH / 2.0,
        TOP + HEIGHT + 32.0,
        escaped(axis)
    );
    for (number, curve) in (0u16..).zip(curves) {
        let points: Vec<String> =
            curve.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let dots: String = curve
            .points
            .iter()
            .map(|point| {
                format!(
                    "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {} ns</title></circle>",
                    curve.class,
                    x(point.0),
                    y(point.1),
                    escaped(curve.name),
                    figures(point.1)
                )
            })
            .collect();
        let legend = TOP + 10.0 + 16.0 * f64::from(number);
        inner += &format!(
            "<polyline class=\"line {}\" points=\"{}\"/>{dots}<circle class=\"{}\" cx=\"{:.0}\" cy=\"{:.0}\" r=\"4\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            curve.class,
            points.join(" "),
            curve.class,
            LEFT + WIDTH + 16.0,
            legend - 4.0,
            LEFT + WIDTH + 26.0,
            legend,
            escaped(curve.name)
        );
    }
    format!(
        "<figure><figcaption>{} <small>ns an operation</small></figcaption><svg viewBox=\"0 0 600 {:.0}\" role=\"img\">{inner}</svg></figure>",
        escaped(title),
        TOP + HEIGHT + 42.0
    )
}

/// Where the library stands beside the best of the others: a dot for each case, left of the line where it is ahead.
pub(super) fn standing(rows: &[(String, f64)]) -> String {
    const NAME: f64 = 400.0;
    const WIDTH: f64 = 400.0;
    const ROW: f64 = 18.0;
    let ends = (1.0 / 16.0, 16.0);
    let x = |ratio: f64| NAME + WIDTH * Scale::Logarithmic.place(ratio, ends);
    let height = f64::from(u16::try_from(rows.len()).unwrap_or(u16::MAX)) * ROW + 30.0;
    let mut inner = String::new();
    for (ratio, text) in
        [(1.0 / 16.0, "16 x faster"), (0.25, "4 x"), (1.0, "the best peer"), (4.0, "4 x"), (16.0, "16 x slower")]
    {
        let class = if text.starts_with("the") { "one" } else { "grid" };
        inner += &format!(
            "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"18\" y2=\"{height:.0}\"/><text class=\"mark\" x=\"{0:.1}\" y=\"12\">{text}</text>",
            x(ratio)
        );
    }
    for (number, (name, ratio)) in (0u16..).zip(rows) {
        let y = 32.0 + f64::from(number) * ROW;
        let class = if *ratio <= 1.0 { "ahead" } else { "behind" };
        inner += &format!(
            "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{}</text><line class=\"stem {class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.0}\" y2=\"{y:.0}\"/><circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y:.0}\" r=\"5\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            NAME - 10.0,
            y + 4.0,
            escaped(name),
            x(1.0),
            x(*ratio),
            x(*ratio),
            NAME + WIDTH + 40.0,
            y + 4.0,
            figures(*ratio)
        );
    }
    format!("<figure class=\"wide\"><svg viewBox=\"0 0 900 {height:.0}\" role=\"img\">{inner}</svg></figure>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escaped("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
        let bar = Bar { name: "<script>", value: 1.0, note: "&".to_owned(), class: "peer" };
        let chart = bars("<b>", &[bar]);
        assert!(!chart.contains("<script>") && !chart.contains("<b>") && chart.contains("&lt;script&gt;"), "{chart}");
    }

    #[test]
    fn places_are_between_the_ends() {
        assert_eq!(Scale::Even.place(5.0, (0.0, 10.0)), 0.5);
        assert!((Scale::Logarithmic.place(10.0, (1.0, 100.0)) - 0.5).abs() < 1e-12);
        assert_eq!(Scale::Logarithmic.place(1e9, (1.0, 100.0)), 1.0);
        // A curve of one point is in the middle, whatever that is.
        assert_eq!(Scale::Even.place(3.0, (3.0, 3.0)), 0.5);
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        assert!(bars("none", &[]).contains("</svg>"));
        assert!(curves("none", "x", Scale::Even, &[]).contains("</svg>"));
    }
}
