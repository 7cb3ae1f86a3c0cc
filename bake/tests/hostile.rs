//! No text makes the reader panic, overflow or run away.

use bake::{Definitions, File, Surroundings};
use proptest::prelude::*;

struct Nothing;

impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn home(&self) -> Option<String> {
        None
    }

    fn now(&self) -> String {
        "2026-01-01T00:00:00Z".to_owned()
    }
}

fn read(name: &str, text: impl Into<String>) -> Result<Definitions, bake::Error> {
    Definitions::read(&[File { name: name.to_owned(), text: text.into() }], &[], &Nothing)
}

#[test]
fn what_is_too_deep_is_an_error() {
    let deep = 100_000;
    for text in [
        format!("a = {}1", "(".repeat(deep)),
        format!("a = {}1", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("a = {}1", "-".repeat(deep)),
        format!("a = {}true", "!".repeat(deep)),
        format!("a = b{}", ".b".repeat(deep)),
        format!("a = b{}", "[0]".repeat(deep)),
        format!("a = 1{}", "+1".repeat(deep)),
        format!("a = {}1", "true ? 1 : ".repeat(deep)),
        format!("a = \"{}", "${\"".repeat(deep)),
        format!("a = \"{}", "%{ if true }".repeat(deep)),
        "a {".repeat(deep),
    ] {
        assert!(read("docker-bake.hcl", text).is_err());
    }
    assert!(read("docker-bake.json", "[".repeat(deep)).is_err());
    assert!(read("compose.yaml", format!("services: {}", "[".repeat(deep))).is_err());
}

#[test]
fn what_grows_or_waits_without_end_is_an_error() {
    let doubled = |form: &str| -> String {
        let mut text = "variable \"v0\" { default = \"xxxxxxxxxx\" }\n".to_owned();
        for number in 1..60 {
            let value = form.replace('V', &format!("v{}", number - 1));
            text.push_str(&format!("variable \"v{number}\" {{ default = {value} }}\n"));
        }
        text
    };
    assert!(read("docker-bake.hcl", doubled("\"${V}${V}\"")).is_err());
    assert!(read("docker-bake.hcl", doubled("[V, V]")).is_err());
    let mut chain = String::new();
    for number in 0..5000 {
        chain.push_str(&format!("v{number} = v{}\n", number + 1));
    }
    assert!(read("docker-bake.hcl", chain).is_err());
    let lists = "x = [1,2,3,4,5,6,7,8,9,10]";
    let matrix: String = ('a'..='l').map(|key| format!("{key} = x\n")).collect();
    let text = format!("{lists}\ntarget \"t\" {{\n matrix = {{\n{matrix}}}\n name = \"t\"\n}}\n");
    assert!(read("docker-bake.hcl", text).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        for name in ["docker-bake.hcl", "docker-bake.json", "compose.yaml", "other"] {
            let _ = read(name, text.clone());
        }
    }

    #[test]
    fn any_expression_is_read_or_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "target", "\"a\"", "{", "}", "[", "]", "(", ")", "=", "=>", "\n", "for", "in", "if", ":",
            "?", "${", "%{", "~}", "<<-E\n", "E\n", "x", ".", "*", "...", "1", "-", "!", "&&", "\"",
            "add(", ",", "null", "target.a.args", "name", "matrix", "$${", "\\", "#", "/*", "é",
        ]), 0..40)
    ) {
        let _ = read("docker-bake.hcl", pieces.join(" "));
        let _ = read("docker-bake.hcl", pieces.concat());
        let _ = read("docker-bake.hcl", format!("a = {}\ntarget \"t\" {{ tags = [a] }}", pieces.join(" ")));
    }
}
