//! The results as a table in Markdown.

use std::fmt::Write as _;

use super::{megabytes, seconds};
use crate::bench::results::{PAIRS, Results, Row, Runs};

/// Where the generated part of a document starts and ends.
const START: &str = "<!-- measured: start -->";
const END: &str = "<!-- measured: end -->";

/// The scenarios as rows; one that has no result says so.
pub(crate) fn table(results: &Results, scenarios: &[(&str, &str)]) -> String {
    let mut text = String::from(
        "| scenario | Tierce | best peer | ratio | of the limit | processor | memory | target |\n\
         |---|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for (name, about) in scenarios {
        let cells = match results.rows.get(*name) {
            Some(row) if row.failed.is_none() => measured(row),
            Some(row) => format!(
                "did not run: {} | | | | | | missed",
                cell(row.failed.as_deref().unwrap_or_default())
            ),
            None => "has not run | | | | | | missed".to_owned(),
        };
        let _ = writeln!(text, "| **{name}**: {about} | {cells} |");
    }
    text
}

fn measured(row: &Row) -> String {
    let ours = row.ours().cloned().unwrap_or_default();
    let wall = ours.wall().map(seconds).unwrap_or_default();
    let (best, ratio, cpu) = match row.best_peer() {
        Some((name, runs)) => (
            format!("{name} {}", runs.wall().map(seconds).unwrap_or_default()),
            row.ratio().map(|r| format!("{r:.1}×")).unwrap_or_default(),
            format!("{} to {}", cpu(&ours), cpu(runs)),
        ),
        None => ("none".to_owned(), String::new(), cpu(&ours)),
    };
    let limit = row.of_limit().map(|l| format!("{l:.1}×")).unwrap_or_default();
    let misses = row.misses();
    let mut verdict =
        if misses.is_empty() { "met".to_owned() } else { format!("missed: {}", misses.join("; ")) };
    if row.pairs() < PAIRS {
        let _ = write!(verdict, " ({} pairs only)", row.pairs());
    }
    format!("{wall} | {best} | {ratio} | {limit} | {cpu} | {} | {verdict}", megabytes(ours.peak()))
}

fn cpu(runs: &Runs) -> String {
    runs.cpu().map(seconds).unwrap_or_default()
}

/// Text that does not end a cell.
fn cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}

/// Every tool of every row.
pub(crate) fn details(results: &Results, scenarios: &[(&str, &str)]) -> String {
    let mut text = String::from(
        "| scenario | tool | runs | median | fastest | slowest | processor | memory |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for (name, _) in scenarios {
        let Some(row) = results.rows.get(*name) else { continue };
        for (tool, runs) in &row.tools {
            let walls = runs.walls();
            let of = |pick: fn(f64, f64) -> f64| {
                walls.iter().copied().reduce(pick).map(seconds).unwrap_or_default()
            };
            let _ = writeln!(
                text,
                "| {name} | {tool} {} | {} | {} | {} | {} | {} | {} |",
                cell(&runs.version),
                walls.len(),
                runs.wall().map(seconds).unwrap_or_default(),
                of(f64::min),
                of(f64::max),
                cpu(runs),
                megabytes(runs.peak())
            );
        }
        for (tool, why) in &row.absent {
            let _ = writeln!(text, "| {name} | {tool} | took no part: {} | | | | | |", cell(why));
        }
    }
    text
}

/// Puts what was generated between the marks of a document.
pub(crate) fn insert(document: &str, generated: &str) -> Result<String, String> {
    let (before, rest) =
        document.split_once(START).ok_or_else(|| format!("the document has no `{START}`"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("the document has no `{END}`"))?;
    Ok(format!("{before}{START}\n\n{}\n\n{END}{after}", generated.trim()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::bench::results::tests::row;

    const NAMES: &[(&str, &str)] = &[("one", "first"), ("two", "second"), ("three", "third")];

    fn results() -> Results {
        let mut one = row(&[("tierce", &[0.5, 0.5]), ("docker", &[4.0, 5.0])]);
        one.target.ratio = Some(8.0);
        one.limit = Some(0.25);
        let two = Row { failed: Some("no | registry".to_owned()), ..Row::default() };
        Results {
            rows: [("one".to_owned(), one), ("two".to_owned(), two)].into(),
            ..Results::default()
        }
    }

    #[test]
    fn each_scenario_has_a_line_measured_or_not() {
        let text = table(&results(), NAMES);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| **one**: first | 500 ms | docker 4.50 s | 9.0× | 2.0× | 500 ms to 4.50 s | 1 MB | met (2 pairs only) |",
                "| **two**: second | did not run: no / registry | | | | | | missed |",
                "| **three**: third | has not run | | | | | | missed |",
            ]
        );
    }

    #[test]
    fn the_details_name_every_tool() {
        let text = details(&results(), NAMES);
        assert!(
            text.contains("| one | docker 1.0 | 2 | 4.50 s | 4.00 s | 5.00 s | 4.50 s | 1 MB |")
        );
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("a\n{START}\nold\n{END}\nb\n");
        let new = insert(&document, "new\n").unwrap();
        assert_eq!(new, format!("a\n{START}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(insert(&new, "new").unwrap(), new);
        assert!(insert("nothing", "new").is_err());
    }
}
