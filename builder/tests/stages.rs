//! What names mean: of stages, and of the instructions that triggers and changes may be.

use builder::diagnostic::Footer;
use builder::instruction::{Instruction, parse_change, parse_onbuild_trigger};
use builder::stage::{Dockerfile, StageRef, parse};
use builder::syntax::Source;

fn read(text: &str) -> Dockerfile {
    let parsed = parse(&Source::new("Dockerfile", text));
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    parsed.dockerfile
}

#[test]
fn stages_are_found_by_name_in_any_case_and_by_number() {
    let file = read("FROM a AS Build\nFROM b\nFROM c AS build\nFROM build AS last\n");
    // The last of a name wins, and a number is the place among the stages.
    assert_eq!(file.target("BUILD"), Some(2));
    assert_eq!(file.target("0"), Some(0));
    assert_eq!(file.target("4"), None);
    assert_eq!(file.target("other"), None);
    // FROM sees earlier stages only, by name only.
    assert_eq!(file.base("build", 0), None);
    assert_eq!(file.base("Build", 2), Some(0));
    assert_eq!(file.base("build", 3), Some(2));
    assert_eq!(file.base("0", 3), None);
    // COPY --from takes numbers, a mount's from does not.
    assert_eq!(file.copy_source("1", 2), StageRef::Stage(1));
    assert_eq!(file.copy_source("2", 2), StageRef::TooLate(2));
    assert_eq!(file.copy_source("7", 2), StageRef::NotAStage);
    assert_eq!(file.copy_source("last", 1), StageRef::TooLate(3));
    assert_eq!(file.mount_source("1", 2), StageRef::NotAStage);
    assert_eq!(file.mount_source("build", 1), StageRef::Stage(0));
}

#[test]
fn reading_ends_after_as_many_errors_as_anybody_reads() {
    let text = format!("FROM scratch\n{}", "NOPE\n".repeat(1000));
    let parsed = parse(&Source::new("Dockerfile", text.as_str()));
    assert_eq!(parsed.diagnostics.len(), 50);
    let told = |footers: &[Footer]| {
        footers.contains(&Footer::Note("reading ends here, after 50 errors".to_owned()))
    };
    let last = parsed.diagnostics.last().expect("an error");
    assert!(told(&last.footers), "{last:?}");
    assert!(!told(&parsed.diagnostics[48].footers));
}

#[test]
fn triggers_are_read_as_instructions() {
    let read = |text: &str| parse_onbuild_trigger(&Source::new("ONBUILD", text));
    let statement = read("RUN <<EOF cat\none\nEOF").expect("a trigger");
    assert_eq!(statement.heredocs[0].body(), "one\n");
    assert!(matches!(statement.instruction, Instruction::Run(_)));
    for (text, message) in [
        ("", "the trigger of ONBUILD is blank"),
        ("FROM x", "FROM cannot be a trigger of ONBUILD"),
        ("onbuild RUN x", "ONBUILD cannot be the trigger of ONBUILD"),
        ("RUN x\nRUN y", "a trigger of ONBUILD is one instruction"),
        ("NOPE", "unknown instruction `NOPE`"),
    ] {
        assert_eq!(read(text).expect_err(text).message, message, "{text}");
    }
}

/// What ONBUILD stores reads back into the same instruction.
#[test]
fn stored_triggers_read_back() {
    for text in ["ONBUILD RUN a b", "ONBUILD COPY <<-A <<'B c' /x/\n\t1\n\tA\n2\nB c\n"] {
        let file = read(&format!("FROM scratch\n{text}\n"));
        let Instruction::Onbuild(onbuild) = &file.stages[0].body[0].instruction else {
            panic!("{text} is an ONBUILD");
        };
        let again = parse_onbuild_trigger(&Source::new("ONBUILD", onbuild.trigger.as_str()));
        let again = again.expect("what was stored");
        assert_eq!(again.text, onbuild.statement.text);
        let bodies = |heredocs: &[builder::syntax::Heredoc]| -> Vec<String> {
            heredocs.iter().map(|heredoc| heredoc.body().into_owned()).collect()
        };
        assert_eq!(bodies(&again.heredocs), bodies(&onbuild.statement.heredocs));
    }
}

#[test]
fn changes_edit_the_config_and_nothing_else() {
    let read = |text: &str| parse_change(&Source::new("--change", text));
    for text in [
        "CMD [\"a\"]",
        "env A=b",
        "EXPOSE 80",
        "LABEL a=b\nUSER x",
        "ONBUILD RUN x",
        "HEALTHCHECK NONE",
    ] {
        assert_eq!(read(text).expect(text).len(), text.lines().count(), "{text}");
    }
    for (text, messages) in [
        ("RUN x", vec!["RUN is no change of the config"]),
        ("FROM x\nUSER", vec!["FROM is no change of the config", "USER needs an argument"]),
        ("CDM x", vec!["unknown instruction `CDM`"]),
    ] {
        let wrong = read(text).expect_err(text);
        let actual: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
        assert_eq!(actual, messages, "{text}");
    }
}
