//! The results as a table in Markdown.

use std::fmt::Write as _;

use super::{Names, megabytes, seconds};
use crate::bench::results::{Growth, PAIRS, Results, Row, Runs};

/// Where the generated part of a document starts and ends.
const START: &str = "<!-- measured: start -->";
const END: &str = "<!-- measured: end -->";

/// The most memory that a process of Tierce may hold, in bytes.
const MEMORY: u64 = 150_000_000;

/// The scenarios as rows; one that has no result says so.
pub(crate) fn table(results: &Results, scenarios: Names) -> String {
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
    text + &memory(results, scenarios)
}

/// The row that is made of all others.
fn memory(results: &Results, scenarios: Names) -> String {
    let peaks: Vec<_> = scenarios
        .iter()
        .filter_map(|(name, _)| {
            let peak = results.rows.get(*name)?.ours()?.peak();
            Some((peak, *name))
        })
        .collect();
    let met = match peaks.len() {
        all if all == scenarios.len() => "met".to_owned(),
        some => format!("met in the {some} of {} that ran", scenarios.len()),
    };
    let (peak, at, verdict) = match peaks.iter().copied().max() {
        Some((peak, name)) if peak <= MEMORY => (megabytes(peak), name, met),
        Some((peak, name)) => {
            (megabytes(peak), name, format!("missed: over {}", megabytes(MEMORY)))
        }
        None => ("has not run".to_owned(), "none", "missed".to_owned()),
    };
    format!(
        "| **memory**: the most that a process of Tierce held in any of these ({at}) \
         | | | | | | {peak} | {verdict} |\n"
    )
}

/// The latest rows' machine: what the limits are made of.
pub(crate) fn machine(results: &Results) -> String {
    let Some(row) =
        results.rows.values().filter(|r| r.failed.is_none()).max_by(|a, b| a.date.cmp(&b.date))
    else {
        return String::new();
    };
    let p = &row.probe;
    format!(
        "The machine, in the latest of these runs ({} of {}, all data on {}), a core while all \
         {} are busy: sha256 {:.0} MB/s, inflate {:.0} MB/s, deflate {:.0} MB/s (libdeflate, \
         level 1), writing to memory {:.0} MB/s, a file of 4 KiB {:.1} µs, a `statx` {:.1} µs; \
         one connection on loopback {:.0} MB/s; a process {:.2} ms.\n",
        row.commit,
        row.date,
        row.filesystem,
        p.cores,
        p.sha256,
        p.inflate,
        p.deflate,
        p.write,
        p.create,
        p.stat,
        p.loopback,
        p.spawn
    )
}

/// What cost does as size grows.
pub(crate) fn growth(results: &Results, growing: Names) -> String {
    let mut text = String::from(
        "| what | small | large | growth at ten times the size | processor | memory |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for (name, about) in growing {
        let cells = match results.growth.get(*name) {
            Some(Growth { failed: Some(why), .. }) => {
                format!("did not run: {} | | | | ", cell(why))
            }
            Some(growth) => grown(growth),
            None => "has not run | | | | ".to_owned(),
        };
        let _ = writeln!(text, "| **{name}**: {about} | {cells} |");
    }
    text
}

/// What short commands execute.
pub(crate) fn instructions(results: &Results) -> String {
    let mut text = String::from("| command | million instructions |\n|---|--:|\n");
    if results.instructions.is_empty() {
        text += "| have not been counted | |\n";
    }
    for (name, count) in &results.instructions {
        let _ = writeln!(text, "| {name} | {:.2} |", count.instructions as f64 / 1e6);
    }
    text
}

fn grown(growth: &Growth) -> String {
    let wall = |cost: &crate::bench::measure::Cost| seconds(cost.wall);
    let factor = growth.once.zip(growth.large).map(|(once, large)| {
        let factor = large.wall / once.wall;
        let verdict = if factor <= growth.times { "" } else { ", more than linear" };
        format!("{factor:.1}×{verdict}")
    });
    format!(
        "{} | {} | {} | {} | {}",
        growth.once.as_ref().map(wall).unwrap_or_default(),
        growth.large.as_ref().map(wall).unwrap_or_default(),
        factor.unwrap_or_default(),
        growth.large.map(|cost| seconds(cost.cpu)).unwrap_or_default(),
        growth.large.map(|cost| megabytes(cost.peak)).unwrap_or_default()
    )
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
pub(crate) fn details(results: &Results, scenarios: Names) -> String {
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
    use crate::bench::measure::Cost;
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
                "| **memory**: the most that a process of Tierce held in any of these (one) | | | | | | 1 MB | met in the 1 of 3 that ran |",
            ]
        );
    }

    #[test]
    fn more_than_linear_growth_is_called_that() {
        let growth = |large| Growth {
            once: Some(Cost { wall: 1.0, ..Cost::default() }),
            large: Some(Cost { wall: large, ..Cost::default() }),
            times: 10.0,
            ..Growth::default()
        };
        let results = Results {
            growth: [("a".to_owned(), growth(9.0)), ("b".to_owned(), growth(12.0))].into(),
            ..Results::default()
        };
        let text = super::growth(&results, &[("a", ""), ("b", ""), ("c", "")]);
        assert!(text.contains("| 1.00 s | 9.00 s | 9.0× |"), "{text}");
        assert!(text.contains("| 12.0×, more than linear |"), "{text}");
        assert!(text.contains("| **c**:  | has not run"));
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
