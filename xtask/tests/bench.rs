//! `cargo xtask bench` from end to end, on the cheapest scenario and Tierce alone.

use std::path::Path;
use std::process::Command;

use testutil::{Scratch, processes_with};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The program, which is built beside this one.
fn tierce() -> std::path::PathBuf {
    let binary = Path::new(XTASK).with_file_name("tierce");
    assert!(binary.is_file(), "{} is missing: `cargo build -p tierce`", binary.display());
    binary
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

#[test]
fn a_scenario_is_measured_verified_and_reported() {
    let out = Scratch::new();
    let data = Path::new("/dev/shm").join(format!("bench-test-{}", std::process::id()));
    std::fs::create_dir(&data).expect("a folder in memory");
    let output = Command::new(XTASK)
        .args(["bench", "run-rm", "--pairs", "1", "--peer", "none", "--binary"])
        .arg(tierce())
        .arg("--dir")
        .arg(&data)
        .arg("--out")
        .arg(out.path())
        .output()
        .expect("the benchmark starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");

    let results: serde_json::Value =
        serde_json::from_str(&read(&out.join("performance.json"))).expect("JSON");
    let row = &results["rows"]["run-rm"];
    assert_eq!(row["failed"], serde_json::Value::Null, "{said}{errors}");
    let runs = row["tools"]["tierce"]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 1);
    assert!(runs[0]["wall"].as_f64().expect("a time") > 0.0);
    assert!(runs[0]["peak"].as_u64().expect("a peak") > 1 << 20);
    assert_eq!(row["filesystem"], "tmpfs");
    assert_eq!(row["absent"]["docker"], "not asked for");

    // No peer took part, so the row cannot be a success; the others did not run, and say so.
    let table = read(&out.join("performance.md"));
    let line = |name: &str| {
        let start = format!("| **{name}**");
        table.lines().find(|line| line.starts_with(&start)).unwrap_or_default().to_owned()
    };
    assert!(line("run-rm").contains("missed: no peer to compare with"), "{table}");
    assert!(line("pull-cold").contains("has not run"), "{table}");
    assert!(read(&out.join("performance.svg")).contains("tierce "));

    // Nothing is left: no data, no registry.
    let left = std::fs::read_dir(&data).expect("the folder").count();
    std::fs::remove_dir(&data).expect("an empty folder");
    assert_eq!(left, 0);
    assert_eq!(processes_with(&data.display().to_string()), Vec::<String>::new());
}
