//! What the build checks found, as `docker build --check` shows it.

use std::fmt::Write as _;

use crate::check::{Finding, LineRange};
use crate::syntax::{PlacedLine, Source};

/// A Dockerfile as findings show it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its path, as the user would write it.
    pub path: &'a str,
    /// What it says, with the files that it includes.
    pub source: &'a Source,
}

impl<'a> Shown<'a> {
    /// A line's file as the user would write it.
    fn file(&self, line: &PlacedLine<'a>) -> &'a str {
        if line.file == self.source.name { self.path } else { line.file }
    }
}

/// Where the text is longer, findings are named without their lines: each may be about a long
/// instruction as a whole.
const LONGEST: usize = 8 << 20;

/// All findings, each with the lines that it is about, and a blank line behind them if an error
/// follows.
pub fn findings(findings: &[Finding], shown: &Shown<'_>, error_follows: bool) -> String {
    let mut out = match findings.len() {
        0 if error_follows => String::new(),
        0 => "Check complete, no warnings found.\n".to_owned(),
        1 => "Check complete, 1 warning has been found!\n".to_owned(),
        count => format!("Check complete, {count} warnings have been found!\n"),
    };
    let lines = shown.source.lines();
    let mut findings: Vec<&Finding> = findings.iter().collect();
    findings.sort_by_key(|finding| finding.lines.first);
    for finding in findings {
        let url = finding.rule.url;
        let link = if url.is_empty() { String::new() } else { format!(" - {url}") };
        let _ = write!(out, "\nWARNING: {}{link}\n{}\n", finding.rule.name, finding.detail);
        if out.len() < LONGEST {
            excerpt(&mut out, shown, &lines, finding.lines);
        } else if let Some(line) = lines.get(finding.lines.first - 1) {
            let _ = writeln!(out, "{}:{}", shown.file(line), line.number);
        }
    }
    if error_follows && !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The findings in a line each, for the end of a build.
pub fn summary(findings: &[Finding], source: &Source) -> String {
    let lines = source.lines();
    let count = findings.len();
    let noun = if count == 1 { "warning" } else { "warnings" };
    let mut out = format!("\n {count} {noun} found (use `tierce build --check` to expand):\n");
    for finding in findings {
        let place = match lines.get(finding.lines.first - 1) {
            Some(line) if line.file != source.name => format!("{}:{}", line.file, line.number),
            Some(line) => format!("line {}", line.number),
            None => format!("line {}", finding.lines.first),
        };
        let _ = writeln!(out, " - {}: {} ({place})", finding.rule.name, finding.detail);
    }
    out
}

/// The lines, marked, between a few that surround them.
fn excerpt(out: &mut String, shown: &Shown<'_>, lines: &[PlacedLine<'_>], marked: LineRange) {
    let (mut first, mut last) = (marked.first, marked.last.min(lines.len()));
    let Some(top) = lines.get(first - 1) else { return };
    let _ = write!(out, "{}:{}\n{RULE}\n", shown.file(top), top.number);
    // What stands around it in its own file.
    let follows = |line: &PlacedLine<'_>, before: &PlacedLine<'_>| {
        line.file == before.file && line.number == before.number + 1
    };
    let wanted = if first == last { 4 } else { 2 };
    // Each turn counts, too, so that a short file ends the search.
    let mut around = 0;
    while around < wanted {
        if first > 1 && follows(&lines[first - 1], &lines[first - 2]) {
            first -= 1;
            around += 1;
        }
        if last < lines.len() && follows(&lines[last], &lines[last - 1]) {
            last += 1;
            around += 1;
        }
        around += 1;
    }
    for number in first..=last {
        let is_marked = (marked.first..=marked.last).contains(&number);
        let mark = if is_marked { ">>>" } else { "   " };
        let line = &lines[number - 1];
        let _ = writeln!(out, " {:3} | {mark} {}", line.number, line.text);
    }
    let _ = writeln!(out, "{RULE}");
}

const RULE: &str = "--------------------";
