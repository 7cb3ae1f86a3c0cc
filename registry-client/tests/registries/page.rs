//! `docs/registry-client.md` names tests that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The tests of a file, as `file::test`.
fn tests(path: &Path) -> impl Iterator<Item = String> {
    let text = std::fs::read_to_string(path).unwrap();
    let file = path.file_stem().unwrap().to_string_lossy().into_owned();
    let after = text.split("test]\n").skip(1).map(str::to_owned).collect::<Vec<_>>();
    after.into_iter().filter_map(move |text| {
        let name = text.split_once("fn ")?.1.split_once('(')?.0;
        Some(format!("{file}::{name}"))
    })
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for part in ["oci", "layerfs", "registry-client", "cli"] {
        rust_files(&root.join(part), &mut files);
    }
    let known: BTreeSet<String> = files.iter().flat_map(|path| tests(path)).collect();
    let page = std::fs::read_to_string(root.join("docs/registry-client.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    let named: BTreeSet<&str> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 50, "{} tests are named", named.len());
    let lost: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(lost.is_empty(), "no test is named {lost:?}");
}
