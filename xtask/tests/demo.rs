//! `cargo xtask demo` as an ordinary user types it, the compiling left out.

use std::path::Path;
use std::process::Command;

use testutil::{OrdinaryUser, Scratch, SubordinateIds, processes_with};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The program, which is built beside this one.
fn tierce() -> std::path::PathBuf {
    let binary = Path::new(XTASK).with_file_name("tierce");
    assert!(binary.is_file(), "{} is missing: `cargo build -p tierce`", binary.display());
    binary
}

fn demo_as(ids: SubordinateIds) {
    let user = OrdinaryUser::new(ids);
    let home = Scratch::new();
    // Both programs are where the user can read them, whoever made the workspace.
    for (from, to) in [(Path::new(XTASK), "xtask"), (&tierce(), "tierce")] {
        std::fs::copy(from, home.join(to)).expect("a copy of a program");
    }
    user.own(home.path());
    let launcher = user.launcher(XTASK);
    let output = Command::new(&launcher[0])
        .args(&launcher[1..])
        .arg(home.join("xtask"))
        .args(["demo", "--binary"])
        .arg(home.join("tierce"))
        .env("HOME", home.path())
        .env("CARGO_TARGET_DIR", home.join("target"))
        .output()
        .expect("the demo starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("hello from "), "{said}{errors}");
    // Each command is shown as one would type it.
    for command in [" build -t ", " push ", " pull ", " run --rm "] {
        let shown = said.lines().any(|line| line.starts_with("$ ") && line.contains(command));
        assert!(shown, "no `{command}` in {said}");
    }
    let mark = home.path().display().to_string();
    assert_eq!(processes_with(&mark), Vec::<String>::new(), "the registry ends with the demo");
}

#[test]
fn the_demo_of_an_ordinary_user() {
    demo_as(SubordinateIds::Many);
}

#[test]
fn the_demo_of_a_user_with_one_id() {
    demo_as(SubordinateIds::None);
}
