//! `docs/dockerfile.md` names cases that exist, all of them, and every deliberate difference.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use testutil::Case;

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn page() -> String {
    fs::read_to_string(workspace("docs/dockerfile.md")).unwrap()
}

fn names(dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(workspace(dir)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The names between backticks in a column of the page's tables.
fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The rows of the tables below a heading that `wanted` accepts, as their cells.
fn rows(page: &str, wanted: impl Fn(&str) -> bool) -> Vec<Vec<&str>> {
    let mut heading = "";
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        } else if line.starts_with("| ") && wanted(heading) {
            rows.push(line.trim_matches('|').split(" | ").map(str::trim).collect());
        }
    }
    rows
}

/// Whether `name` is as `pattern` says, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|&at| tail.is_char_boundary(at))
                .any(|at| matches(rest, &tail[at..]))
        }),
    }
}

const DELIBERATE: &str = "Deliberate differences";

#[test]
fn the_page_names_cases_that_exist_and_all_of_them() {
    let (cases, checks) = (names("testdata/dockerfile"), names("testdata/checks"));
    let page = page();
    let rows = rows(&page, |heading| heading != DELIBERATE);
    let patterns: Vec<&str> =
        rows.iter().filter_map(|row| row.last()).flat_map(|cell| in_backticks(cell)).collect();
    let mut unnamed = cases.clone();
    let mut lost = Vec::new();
    for pattern in patterns {
        let (wanted, all) = match pattern.strip_prefix("check:") {
            Some(wanted) => (wanted, &checks),
            None => (pattern, &cases),
        };
        if !all.iter().any(|name| matches(wanted, name)) {
            lost.push(pattern);
        }
        if !pattern.starts_with("check:") {
            unnamed.retain(|name| !matches(wanted, name));
        }
    }
    assert!(lost.is_empty(), "no case is named {lost:?}");
    assert!(unnamed.is_empty(), "docs/dockerfile.md has no row for {unnamed:?}");
    assert!(cases.len() >= 400, "there are {} cases", cases.len());
}

#[test]
fn the_page_lists_the_deliberate_differences_of_the_cases() {
    let page = page();
    let listed: BTreeSet<(&str, &str)> = rows(&page, |heading| heading == DELIBERATE)
        .into_iter()
        .skip(1)
        .map(|row| (row[0].trim_matches('`'), row[2]))
        .collect();
    let cases = Case::all(&workspace("testdata/dockerfile")).unwrap();
    let deliberate: BTreeSet<(&str, &str)> = cases
        .iter()
        .flat_map(|case| case.expected.deliberate.iter().map(|one| (&*case.name, &*one.why)))
        .collect();
    let missing: Vec<_> = deliberate.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/dockerfile.md lacks {missing:?}");
    let gone: Vec<_> = listed.difference(&deliberate).collect();
    assert!(gone.is_empty(), "docs/dockerfile.md lists what no case does: {gone:?}");
}
