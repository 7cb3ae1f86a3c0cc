//! Every case under `testdata/syntax` reads into what its `expected` says: the instructions with
//! their places, then what is wrong, as it is shown.

#[path = "syntax/dump.rs"]
mod dump;

use std::fs;
use std::path::{Path, PathBuf};

use builder::diagnostic::render;
use builder::stage::parse;
use builder::syntax::Source;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/syntax");
    let entries = fs::read_dir(&root).expect("testdata/syntax is there");
    let mut cases: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    assert!(cases.len() >= 40, "cases are missing in {}", root.display());
    cases
}

/// What the case's Dockerfile reads into.
fn actual(case: &Path) -> String {
    let bytes = fs::read(case.join("Dockerfile")).expect("the case has a Dockerfile");
    let source = match Source::from_bytes("Dockerfile", bytes) {
        Ok(source) => source,
        Err(error) => return format!("{error}\n"),
    };
    let parsed = parse(&source);
    let mut text = dump::dockerfile(&source, &parsed.dockerfile);
    for diagnostic in &parsed.diagnostics {
        text.push('\n');
        // Lines of a message may end in blanks, which no editor keeps.
        for line in render(&source, diagnostic, false).lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// With `TIERCE_BLESS` set, the expectations become what is: to be read before they are kept.
#[test]
fn dockerfiles_read_as_expected() {
    let mut wrong = Vec::new();
    for case in cases() {
        let actual = actual(&case);
        let expected = fs::read_to_string(case.join("expected")).unwrap_or_default();
        if actual == expected {
            continue;
        }
        if std::env::var_os("TIERCE_BLESS").is_some() {
            fs::write(case.join("expected"), &actual).expect("the expectation is written");
        }
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        wrong.push(format!("== {name}\n-- expected\n{expected}-- actual\n{actual}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
