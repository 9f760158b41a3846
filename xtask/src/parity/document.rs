//! The document's tables: rows that begin with a number, and end with what becomes of the claim here.

/// Which numbers there are: a letter, and the last one.
const NUMBERS: [(char, u32); 3] = [('T', 169), ('N', 18), ('U', 12)];

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tests make it here.
    Mirrored,
    /// There is nothing to make it of.
    NotHere,
    /// Something is missing.
    Open,
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its letter and number.
    pub(super) number: String,
    pub(super) kind: Kind,
    /// The tests that it names. One that is not here, or open, may name some as well.
    pub(super) tests: Vec<String>,
}

/// All rows that make sense.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) rows: Vec<Row>,
}

impl Document {
    /// Reads the tables, and says what is wrong with them: rows that say nothing, numbers that are missing, there twice, or none.
    pub(super) fn read(text: &str) -> (Self, Vec<String>) {
        let (mut rows, mut complaints, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for line in text.lines() {
            let Some((number, last)) = cells(line) else { continue };
            seen.push(number);
            match Row::new(number, last) {
                Ok(row) => rows.push(row),
                Err(why) => complaints.push(format!("{number}: {why}")),
            }
        }
        let expected: Vec<String> = NUMBERS
            .iter()
            .flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}")))
            .collect();
        for number in &expected {
            match seen.iter().filter(|found| *found == number).count() {
                1 => {}
                0 => complaints.push(format!("{number}: it has no row")),
                rows => complaints.push(format!("{number}: it has {rows} rows")),
            }
        }
        let strange = seen.iter().filter(|number| !expected.iter().any(|known| known == *number));
        complaints.extend(strange.map(|number| format!("{number}: there is no such number")));
        (Self { rows }, complaints)
    }
}

/// The first and the last cell of a table's row, if it is of a claim.
fn cells(line: &str) -> Option<(&str, &str)> {
    let (number, rest) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
    let digits = number.strip_prefix(|letter| NUMBERS.iter().any(|(known, _)| *known == letter))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (number, rest.rsplit_once(" | ").map_or("", |(_, last)| last)))
}

impl Row {
    fn new(number: &str, last: &str) -> Result<Self, String> {
        let said = |kind, reason: &str| if reason.is_empty() { Err("no reason is given".to_owned()) } else { Ok(kind) };
        let kind = if let Some(reason) = last.strip_prefix("not here: ") {
            said(Kind::NotHere, reason)?
        } else if let Some(missing) = last.strip_prefix("open: ") {
            said(Kind::Open, missing)?
        } else if is_a_list_of_tests(last.split("; ").next().unwrap_or_default()) {
            Kind::Mirrored
        } else {
            return Err("it names no test, and does not say `not here: ` or `open: `".to_owned());
        };
        let spans = last.split('`').skip(1).step_by(2);
        let tests = spans.filter(|span| span.contains("::")).map(str::to_owned).collect();
        Ok(Self { number: number.to_owned(), kind, tests })
    }
}

/// Whether it is names in code spans, with commas between them, and nothing else.
fn is_a_list_of_tests(text: &str) -> bool {
    let is_name = |span: &str| {
        let name = span.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        name.is_some_and(|name| name.contains("::") && !name.contains(['`', ' ']))
    };
    text.split(", ").all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole document of rows that are open, but for those that are given.
    fn complaints(given: &[&str]) -> Vec<String> {
        let number = |row: &str| row.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let all = NUMBERS.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}")));
        let open = all.filter(|wanted| !given.iter().any(|row| number(row) == *wanted));
        let mut text: String = open.map(|number| format!("| {number} | `a` | b | open: c |\n")).collect();
        given.iter().for_each(|row| text += &format!("{row}\n"));
        Document::read(&text).1
    }

    #[test]
    fn each_number_is_there_once() {
        assert_eq!(complaints(&[]), [""; 0]);
        assert_eq!(complaints(&["| T5 |"]), ["T5: it has no row"]);
        let row = "| T5 | `a` | b | open: c |";
        assert_eq!(complaints(&[row, row]), ["T5: it has 2 rows"]);
        for strange in ["T0", "T170", "N19", "U13", "T05"] {
            let row = format!("| {strange} | b | open: c |");
            assert_eq!(complaints(&[&row]), [format!("{strange}: there is no such number")]);
        }
        assert_eq!(complaints(&["| I3 | what always holds | here |", "| letter | what |"]), [""; 0]);
    }

    #[test]
    fn each_row_says_what_becomes_of_its_claim() {
        for good in ["`a::b`", "`a::b`, `c::d::e`", "`a::b`; with `c`, too", "not here: why", "open: what, (`a::b`)"] {
            assert_eq!(complaints(&[&format!("| U1 | b | {good} |")]), [""; 0], "{good}");
        }
        for bad in [
            "",
            "yes",
            "`a`",
            "`a::b` and more",
            "`a::b` `c::d`",
            "`a::b`,",
            "not here",
            "open",
            "closed: a",
            "`a:: b`",
        ] {
            let found = complaints(&[&format!("| U1 | b | {bad} |")]);
            assert_eq!(found, ["U1: it names no test, and does not say `not here: ` or `open: `"], "{bad}");
        }
    }

    #[test]
    fn the_tests_of_every_kind_of_row_are_found() {
        let text = "| T1 | `x::y` | b | `a::b`, `c::d`; as `e` does |\n| N1 | b | not here: see `f::g` |\n| U1 | b | open: `h::i` is weak |";
        let (document, _) = Document::read(text);
        let found: Vec<_> = document.rows.iter().map(|row| (row.kind, row.tests.join(" "))).collect();
        let expected = [(Kind::Mirrored, "a::b c::d"), (Kind::NotHere, "f::g"), (Kind::Open, "h::i")];
        assert_eq!(found, expected.map(|(kind, tests)| (kind, tests.to_owned())));
    }
}
