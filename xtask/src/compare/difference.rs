//! What two images of one case do not have in common.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use super::image::{Entry, Image};

/// The members of the config that a Dockerfile says something of.
const CONFIG: [&str; 13] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

/// Directories that runtimes leave in images where they mounted something, or put a file to mount
/// over. Tierce leaves nothing.
const STUBS: [&str; 4] = ["dev", "proc", "sys", "etc"];

/// The differences of `ours` to `theirs`, a line each.
///
/// What the peer dated within `now` (seconds after 1970), as it was building, has no time to
/// compare: Tierce gives it a time that is the same in every build.
pub(crate) fn differences(ours: &Image, theirs: &Image, now: &Range<u64>) -> Vec<String> {
    let mut lines = Vec::new();
    let paths: BTreeSet<&String> = ours.tree.keys().chain(theirs.tree.keys()).collect();
    for path in paths {
        let (our, their) = (ours.tree.get(path), theirs.tree.get(path));
        if is_stub(path, our, their) {
            continue;
        }
        let is_timed = their.is_none_or(|entry| !now.contains(&entry.mtime));
        let shown = |entry: Option<&Entry>| match entry {
            Some(entry) => full(path, entry, is_timed),
            None => "nothing".to_owned(),
        };
        let (our, their) = (shown(our), shown(their));
        if our != their {
            lines.push(format!("tree /{path}: {our} | {their}"));
        }
    }
    for key in CONFIG {
        let of = |image: &Image| meaning(&image.document["config"][key]);
        let (our, their) = (of(ours), of(theirs));
        if our != their {
            lines.push(format!("config {key}: {our} | {their}"));
        }
    }
    let (our, their) = (history(ours), history(theirs));
    if our != their {
        lines.push(format!("history: {our:#?} | {their:#?}"));
    }
    lines
}

/// Whether a directory is there, or has its time, only because something was mounted in it.
fn is_stub(path: &str, ours: Option<&Entry>, theirs: Option<&Entry>) -> bool {
    let same_but_for_time = match (ours, theirs) {
        (None, Some(_)) => true,
        (Some(ours), Some(theirs)) => ours.line(path) == theirs.line(path),
        _ => false,
    };
    STUBS.contains(&path) && same_but_for_time
}

/// All that is compared of an entry.
fn full(path: &str, entry: &Entry, is_timed: bool) -> String {
    let content = if entry.kind == '-' { entry.gist() } else { entry.target.clone() };
    let mut line = format!("{} {content}", entry.line(path));
    if is_timed {
        line.push_str(&format!(" at {}", entry.mtime));
    }
    if let Some(first) = &entry.same_as {
        line.push_str(&format!(" = /{first}"));
    }
    if !entry.xattrs.is_empty() {
        line.push_str(&format!(" {:?}", entry.xattrs));
    }
    line
}

/// A member of a config; what says nothing is nothing.
pub(crate) fn meaning(value: &Value) -> Value {
    match value {
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::Object(map) if map.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Bool(false) => Value::Null,
        other => other.clone(),
    }
}

/// The entries of the history, those without a layer after `0 `.
pub(crate) fn history(image: &Image) -> Vec<String> {
    let entries = image.document["history"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let empty = if entry["empty_layer"] == true { "0 " } else { "" };
            format!("{empty}{}", entry["created_by"].as_str().unwrap_or_default())
        })
        .collect()
}
