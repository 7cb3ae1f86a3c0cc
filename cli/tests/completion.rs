//! What a shell offers while a command is being typed.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::process::Command;

use testutil::{Tierce, busybox};

/// What bash offers behind these words, of which the last is unfinished.
fn offered(tierce: &Tierce, words: &[&str]) -> Vec<String> {
    // As bash does it when somebody presses the tabulator.
    let script = "source <(\"$0\" completion bash);
        COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_tierce tierce \"${COMP_WORDS[COMP_CWORD]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let bin = tierce.scratch().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let binary = env!("CARGO_BIN_EXE_tierce");
    let _ = std::os::unix::fs::symlink(binary, bin.join("tierce"));
    let mut path = bin.into_os_string();
    path.push(":/usr/bin:/bin");
    let mut bash = Command::new("bash");
    bash.args(["-c", script, binary]).args(words).env("PATH", path);
    let output = bash.env("TIERCE_ROOT", tierce.root()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn commands_and_options_are_offered() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    assert_eq!(offered(&tierce, &["tierce", "bu"]), ["build", "builder"]);
    assert_eq!(offered(&tierce, &["tierce", "network", "cr"]), ["create"]);
    assert_eq!(offered(&tierce, &["tierce", "run", "--net"]), ["--network", "--network-alias"]);
    let none = offered(&tierce, &["tierce", "rm", ""]);
    assert!(none.iter().all(|word| word.starts_with('-')), "a store without containers: {none:?}");
    assert!(!tierce.root().join("state.db").exists(), "to ask makes no store");
}

#[test]
fn names_of_what_there_is_are_offered() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    busybox(&tierce);
    for name in ["anna", "anton", "berta"] {
        tierce.ok(["create", "--name", name, "busybox"]);
    }
    tierce.ok(["volume", "create", "annals"]);
    tierce.ok(["network", "create", "ants"]);
    assert_eq!(offered(&tierce, &["tierce", "start", "an"]), ["anna", "anton"]);
    assert_eq!(offered(&tierce, &["tierce", "container", "rm", "-f", "b"]), ["berta"]);
    assert_eq!(offered(&tierce, &["tierce", "run", "--rm", "b"]), ["busybox:latest"]);
    assert_eq!(offered(&tierce, &["tierce", "volume", "rm", "an"]), ["annals"]);
    assert_eq!(offered(&tierce, &["tierce", "network", "rm", "an"]), ["ants"]);
    let all = offered(&tierce, &["tierce", "inspect", "an"]);
    assert_eq!(all, ["anna", "annals", "anton", "ants"]);
}

#[test]
fn every_shell_gets_a_script() {
    let tierce = Tierce::new(env!("CARGO_BIN_EXE_tierce"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tierce.ok(["completion", shell]);
        assert!(script.contains("TIERCE_COMPLETE"), "{shell}: {script}");
    }
    let unknown = tierce.run(["completion", "tcsh"]);
    assert!(unknown.code != 0 && unknown.stderr.contains("bash"), "{unknown:?}");
}
