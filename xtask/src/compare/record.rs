//! Expectations written from what a peer built.

use serde_json::{Map, Value, json};
use testutil::Case;

use super::difference::{history, meaning};
use super::image::Image;
use crate::step::Result;

/// The members of the config that are written down where they are not the base's.
const CONFIG: [&str; 12] = [
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

/// Writes what `built` is into the expectation of `case`, whose request stays.
pub(crate) fn record(case: &Case, built: &Image, base: &Image) -> Result<()> {
    let file = case.dir.join("expect.json");
    let old = std::fs::read(&file).unwrap_or_else(|_| b"{}".to_vec());
    let mut expected: Map<String, Value> =
        serde_json::from_slice(&old).map_err(|e| format!("{}: {e}", file.display()))?;
    let (all, before) = (history(built), history(base));
    let own = all.strip_prefix(before.as_slice()).unwrap_or(&all);
    expected.insert("tree".to_owned(), json!(listing(built)));
    expected.insert("history".to_owned(), json!(own));
    let config: Map<String, Value> = CONFIG
        .iter()
        .filter_map(|key| {
            let [now, before] = [built, base].map(|image| &image.document["config"][key]);
            (meaning(now) != meaning(before)).then(|| ((*key).to_owned(), now.clone()))
        })
        .collect();
    if config.is_empty() {
        expected.remove("config");
    } else {
        expected.insert("config".to_owned(), Value::Object(config));
    }
    let text = serde_json::to_string_pretty(&expected).map_err(|e| e.to_string())?;
    std::fs::write(&file, text + "\n").map_err(|e| format!("{}: {e}", file.display()))
}

/// The tree as the tests of the builder list it: without busybox's own directories and
/// what peers leave where they mounted something.
fn listing(image: &Image) -> Vec<String> {
    const OF_BASE: [&str; 8] =
        ["bin", "sbin", "usr", "etc/passwd", "etc/group", "root", "tmp", "linuxrc"];
    const STUBS: [&str; 3] = ["dev", "proc", "sys"];
    let is_of_base = |path: &str| {
        OF_BASE.iter().any(|base| {
            path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let mut entries: Vec<_> = image
        .tree
        .iter()
        .filter(|(path, _)| {
            !path.is_empty() && !is_of_base(path) && !STUBS.contains(&path.as_str())
        })
        .collect();
    // As a walk comes by them.
    entries.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    entries.into_iter().map(|(path, entry)| entry.line(path)).collect()
}
