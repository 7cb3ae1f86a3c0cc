//! What the build checks found, as `docker build --check` shows it.

use std::fmt::Write as _;

use crate::check::{Finding, LineRange};

/// A Dockerfile as findings show it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its path, as the user would write it.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
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
    let lines = shown.text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let lines: Vec<&str> = lines.collect();
    let mut findings: Vec<&Finding> = findings.iter().collect();
    findings.sort_by_key(|finding| finding.lines.first);
    for finding in findings {
        let url = finding.rule.url;
        let link = if url.is_empty() { String::new() } else { format!(" - {url}") };
        let _ = write!(out, "\nWARNING: {}{link}\n{}\n", finding.rule.name, finding.detail);
        if out.len() < LONGEST {
            excerpt(&mut out, shown.path, &lines, finding.lines);
        } else {
            let _ = writeln!(out, "{}:{}", shown.path, finding.lines.first);
        }
    }
    if error_follows && !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The findings in a line each, for the end of a build.
pub fn summary(findings: &[Finding]) -> String {
    let count = findings.len();
    let noun = if count == 1 { "warning" } else { "warnings" };
    let mut out = format!("\n {count} {noun} found (use `tierce build --check` to expand):\n");
    for finding in findings {
        let _ = writeln!(out, " - {}", finding.summary());
    }
    out
}

/// The lines, marked, between a few that surround them.
fn excerpt(out: &mut String, path: &str, lines: &[&str], marked: LineRange) {
    let (mut first, mut last) = (marked.first, marked.last.min(lines.len()));
    let _ = write!(out, "{path}:{first}\n{RULE}\n");
    let wanted = if first == last { 4 } else { 2 };
    // Each turn counts, too, so that a short file ends the search.
    let mut around = 0;
    while around < wanted {
        if first > 1 {
            first -= 1;
            around += 1;
        }
        if last < lines.len() {
            last += 1;
            around += 1;
        }
        around += 1;
    }
    for number in first..=last {
        let is_marked = (marked.first..=marked.last).contains(&number);
        let mark = if is_marked { ">>>" } else { "   " };
        let _ = writeln!(out, " {number:3} | {mark} {}", lines[number - 1]);
    }
    let _ = writeln!(out, "{RULE}");
}

const RULE: &str = "--------------------";
