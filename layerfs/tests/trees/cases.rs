//! The cases of `testdata/layers`: what an archive becomes, and what several become together.
//!
//! A case is a directory. With `layer.txt`, an archive's description (see [`crate::archive`]), it
//! has `tree.txt`, the layer's directory, or `error.txt`, words of the error. With `1.txt`,
//! `2.txt`, … it has `merged.txt`, the tree that these layers show together. `TIERCE_BLESS=1`
//! writes the expected files anew; read them before committing.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use layerfs::{ApplyOptions, Committed, LayerOfStack, Root, Snapshotter, apply_layer};

use crate::archive::build;
use crate::listing::{Detail, list};
use crate::scratch::Scratch;

#[test]
fn every_layer_becomes_what_its_case_says() {
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() >= 30, "only {} cases found", cases.len());
    for case in &cases {
        let outcome = if case.join("layer.txt").exists() { one(case) } else { stack(case) };
        let (file, found) = match outcome {
            Outcome::Tree(text) => ("tree.txt", text),
            Outcome::Merged(text) => ("merged.txt", text),
            Outcome::Error(text) => ("error.txt", text),
        };
        if std::env::var_os("TIERCE_BLESS").is_some() {
            for other in ["tree.txt", "merged.txt", "error.txt"] {
                let _ = std::fs::remove_file(case.join(other));
            }
            std::fs::write(case.join(file), &found).unwrap();
        }
        let expected = std::fs::read_to_string(case.join(file)).unwrap_or_default();
        if found != expected {
            writeln!(wrong, "{}/{file}\nexpected:\n{expected}found:\n{found}", case.display())
                .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Tree(String),
    Merged(String),
    Error(String),
}

/// The outcome of a layer alone, which is the same however many threads work on it.
fn one(case: &Path) -> Outcome {
    let tar = build(&std::fs::read_to_string(case.join("layer.txt")).unwrap());
    let outcome = applied(&tar, false);
    assert_eq!(outcome, applied(&tar, true), "{}", case.display());
    outcome
}

fn applied(tar: &[u8], finish_apart: bool) -> Outcome {
    let scratch = Scratch::new();
    let tree = scratch.dir("layer");
    let root = Root::open(&tree).unwrap();
    let options = ApplyOptions { finish_apart, ..ApplyOptions::default() };
    match apply_layer(&mut &*tar, &root, &options) {
        Ok(_) => Outcome::Tree(list(&tree, Detail::Layer)),
        Err(e) => Outcome::Error(chain(&e) + "\n"),
    }
}

/// Enough small files for both threads, some of them removed, replaced or linked to before they
/// are finished.
#[test]
fn many_files_become_the_same_with_a_second_thread() {
    let mut text = String::new();
    for n in 0..400 {
        let (dir, size, owner) = (n % 3, n * 131 % 40_000, n % 4);
        let mode = 0o600 + n % 8;
        writeln!(text, "file d{dir}/{n} mode={mode:o} uid={owner} data=x times={size} mtime={n}")
            .unwrap();
        match n % 10 {
            3 => writeln!(text, "link d0/link-{n} to=d{dir}/{n}").unwrap(),
            5 => writeln!(text, "file d{dir}/{n} data=again mtime=7").unwrap(),
            7 => writeln!(text, "dir d{dir}/{n} mtime=7").unwrap(),
            _ => {}
        }
    }
    let tar = build(&text);
    let outcome = applied(&tar, true);
    assert!(matches!(&outcome, Outcome::Tree(tree) if tree.lines().count() > 440), "{outcome:?}");
    assert_eq!(outcome, applied(&tar, false));
}

/// Names of attributes have at most 255 bytes.
#[test]
fn what_the_second_thread_cannot_do_is_an_error() {
    for after in [0, 1, 500] {
        let refused = format!("file bad pax.SCHILY.xattr.user.{}=1\n", "n".repeat(300));
        let files = |range: std::ops::Range<usize>| {
            range.map(|n| format!("file {n} data=abc\n")).collect::<String>()
        };
        let tar = build(&(files(0..40) + &refused + &files(40..40 + after)));
        let Outcome::Error(error) = applied(&tar, true) else { panic!("{after}: no error") };
        assert!(error.contains("set the attributes of `bad`"), "{error}");
    }
}

fn stack(case: &Path) -> Outcome {
    let scratch = Scratch::new();
    let mut layers = Vec::new();
    let mut implicit = Vec::new();
    for i in 1.. {
        let Ok(text) = std::fs::read_to_string(case.join(format!("{i}.txt"))) else { break };
        let tree = scratch.dir(&i.to_string());
        let root = Root::open(&tree).unwrap();
        let applied = apply_layer(&mut &build(&text)[..], &root, &ApplyOptions::default()).unwrap();
        implicit.push(applied.implicit);
        layers.push(Committed { tree });
    }
    let on_top = Committed { tree: scratch.dir("on-top") };
    let described: Vec<LayerOfStack<'_>> = layers
        .iter()
        .zip(&implicit)
        .map(|(layer, implicit)| LayerOfStack { layer, implicit })
        .collect();
    if layerfs::complete_implicit(&described, &Root::open(&on_top.tree).unwrap()).unwrap() {
        layers.push(on_top);
    }
    let view = scratch.overlay().view(&layers, &|| scratch.fresh()).unwrap();
    Outcome::Merged(list(&through(&view.root), Detail::Tree))
}

/// The path by which this process and its children see a tree that is mounted nowhere.
pub(crate) fn through(root: &Root) -> PathBuf {
    use std::os::fd::{AsFd, AsRawFd};
    PathBuf::from(format!("/proc/{}/fd/{}/.", std::process::id(), root.as_fd().as_raw_fd()))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").unwrap();
        cause = error.source();
    }
    text
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/layers");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}
