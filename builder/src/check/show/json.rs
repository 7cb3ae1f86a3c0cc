//! What `build --call` answers, as JSON in the form of docker's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::check::{Finding, LineRange, Outline, OutlineMount, Target};
use crate::syntax::Source;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Results<'a> {
    /// Null where there is none, as in docker's.
    warnings: Option<Vec<Warning<'a>>>,
    sources: [SourceFile<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    build_error: Option<Message<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning<'a> {
    rule_name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
    detail: &'a str,
    location: Location,
}

#[derive(Serialize)]
struct SourceFile<'a> {
    filename: &'a str,
    data: String,
    language: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<Range>,
}

#[derive(Serialize)]
struct Range {
    start: Line,
    end: Line,
}

#[derive(Serialize)]
struct Line {
    line: usize,
}

#[derive(Serialize)]
struct OutlineDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<ArgumentDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<MountDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<MountDocument<'a>>,
    sources: [String; 1],
}

#[derive(Serialize)]
struct ArgumentDocument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    value: &'a str,
    location: Location,
}

#[derive(Serialize)]
struct MountDocument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    location: Location,
}

#[derive(Serialize)]
struct TargetsDocument<'a> {
    targets: Vec<TargetDocument<'a>>,
    sources: [String; 1],
}

#[derive(Serialize)]
struct TargetDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    base: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a str>,
    location: Location,
}

/// As many lines get a range of their own; further instructions get one as a whole.
const MOST_LINES: usize = 100_000;

/// Why a file cannot be built.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// What is wrong.
    pub message: &'a str,
    /// Where, if that is a place in the file.
    pub lines: Option<LineRange>,
}

/// What the checks found, and why the file cannot be built.
pub fn check(findings: &[Finding], failure: Option<&Failure<'_>>, source: &Source) -> String {
    let mut ranges = Ranges::default();
    let warnings: Vec<Warning<'_>> = findings
        .iter()
        .map(|finding| Warning {
            rule_name: finding.rule.name,
            description: finding.rule.description,
            url: finding.rule.url,
            detail: &finding.detail,
            location: ranges.location(finding.lines),
        })
        .collect();
    let file = SourceFile { filename: &source.name, data: data(source), language: "Dockerfile" };
    let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
    let build_error = failure.map(|failure| Message {
        message: failure.message,
        location: failure.lines.map_or(Location { ranges: Vec::new() }, |l| ranges.location(l)),
    });
    print(&Results { warnings, sources: [file], build_error })
}

/// What a target takes.
pub fn outline(outline: &Outline, source: &Source) -> String {
    let mut ranges = Ranges::default();
    let args = outline.arguments.iter().map(|argument| ArgumentDocument {
        name: &argument.name,
        description: argument.description.as_deref(),
        value: &argument.value,
        location: ranges.location(argument.lines),
    });
    let args = args.collect();
    print(&OutlineDocument {
        name: outline.name.as_deref(),
        description: outline.description.as_deref(),
        args,
        secrets: mounts(&outline.secrets, &mut ranges),
        ssh: mounts(&outline.agents, &mut ranges),
        sources: [data(source)],
    })
}

/// The stages.
pub fn targets(targets: &[Target], source: &Source) -> String {
    let mut ranges = Ranges::default();
    let targets = targets.iter().map(|target| TargetDocument {
        name: target.name.as_deref(),
        default: target.is_default,
        description: target.description.as_deref(),
        base: &target.base,
        platform: target.platform.as_deref(),
        location: ranges.location(target.lines),
    });
    print(&TargetsDocument { targets: targets.collect(), sources: [data(source)] })
}

fn mounts<'a>(mounts: &'a [OutlineMount], ranges: &mut Ranges) -> Vec<MountDocument<'a>> {
    mounts
        .iter()
        .map(|mount| MountDocument {
            name: &mount.id,
            required: mount.required,
            location: ranges.location(mount.lines),
        })
        .collect()
}

/// Counts the lines that got a range.
#[derive(Default)]
struct Ranges {
    count: usize,
}

impl Ranges {
    /// A range for each line.
    fn location(&mut self, lines: LineRange) -> Location {
        let range = |first, last| Range { start: Line { line: first }, end: Line { line: last } };
        self.count += lines.last - lines.first + 1;
        let ranges = match self.count <= MOST_LINES {
            true => (lines.first..=lines.last).map(|line| range(line, line)).collect(),
            false => vec![range(lines.first, lines.last)],
        };
        Location { ranges }
    }
}

fn data(source: &Source) -> String {
    STANDARD.encode(&source.text)
}

/// Indented, with what HTML would take for its own escaped, as Go's encoder does.
fn print(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}
