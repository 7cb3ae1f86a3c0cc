//! Every case under `testdata/dockerignore`: an ignore file, and the paths that it leaves out
//! (`-`) and does not (`+`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use builder::dockerignore::{Ignore, ParentMatch};

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/dockerignore");
    let entries = fs::read_dir(&root).expect("testdata/dockerignore is there");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "cases are missing in {}", root.display());
    cases
}

#[test]
fn paths_are_left_out_as_expected() {
    for case in cases() {
        let text = fs::read_to_string(case.join("dockerignore")).expect("an ignore file");
        let expected = fs::read_to_string(case.join("expected")).expect("an expectation");
        let ignore = match Ignore::parse(&text) {
            Ok(ignore) => ignore,
            Err(error) => {
                assert_eq!(format!("error: {error}\n"), expected, "{}", case.display());
                continue;
            }
        };
        let mut wrong = String::new();
        for line in expected.lines() {
            let path = line.get(2..).expect("a sign and a path");
            let sign = if ignore.matches(path) { '-' } else { '+' };
            if !line.starts_with(sign) {
                wrong += &format!("{sign} {path}\n");
            }
            check_walk(&ignore, path, sign == '-');
        }
        assert_eq!(wrong, "", "{}", case.display());
    }
}

/// A walk finds what a single question finds, and skips no directory that holds what is kept.
fn check_walk(ignore: &Ignore, path: &str, left_out: bool) {
    let mut parents: BTreeMap<usize, bool> = BTreeMap::new();
    let mut parent = ParentMatch::default();
    let mut ignored = false;
    for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
        (ignored, parent) = ignore.check(&path[..end], &parent);
        parents.insert(end, ignored);
    }
    assert_eq!(ignored, left_out, "{path}");
    parents.remove(&path.len());
    for (end, ignored) in parents {
        let skipped = ignored && !ignore.may_reinclude_below(&path[..end]);
        assert!(left_out || !skipped, "{path}: {} is skipped", &path[..end]);
    }
}

#[test]
fn directories_are_skipped_where_nothing_comes_back() {
    for (text, directory, may) in [
        ("node_modules\n", "node_modules", false),
        ("*\n!src\n", "node_modules", false),
        ("*\n!src\n", "src", false),
        ("*\n!src/a/*.c\n", "src", true),
        ("*\n!src/a/*.c\n", "src/a", true),
        ("*\n!src/a/*.c\n", "src/b", false),
        ("*\n!src/a/*.c\n", "src/a/b", false),
        ("*\n!*.md\n", "docs", false),
        ("*\n!**/*.md\n", "docs/deep", true),
        ("*\n!d?c[s]/x\n", "docs", true),
        ("docs\n!docs/**/keep\n", "docs/a/b", true),
        ("docs\n!docs/**/keep\n", "other", false),
    ] {
        let ignore = Ignore::parse(text).expect(text);
        assert_eq!(ignore.may_reinclude_below(directory), may, "{text:?} {directory}");
    }
}
