//! Whatever the text, reading it ends, never panics, and places what it says inside the text.

use builder::diagnostic::render;
use builder::dockerignore::Ignore;
use builder::expand::{Mode, expand};
use builder::glob::Glob;
use builder::instruction::{Chmod, parse_change, parse_duration, parse_onbuild_trigger};
use builder::instruction::{parse_port, parse_signal, parse_size};
use builder::stage::{Parsed, parse};
use builder::syntax::{Directives, Escape, LogicalLines, Source, Span};
use proptest::prelude::*;

/// Text made of what means something in a Dockerfile.
fn dockerfile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        8 => prop::sample::select(vec![
            "FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "CMD", "ENTRYPOINT", "ONBUILD",
            "HEALTHCHECK", "EXPOSE", "VOLUME", "SHELL", "STOPSIGNAL", "USER", "WORKDIR", "AS",
            "MAINTAINER", "NONE", "scratch",
        ]).prop_map(str::to_owned),
        8 => prop::sample::select(vec![
            " ", " ", "\n", "\n", "\\\n", "\\", "`", "#", "# escape=`\n", "# check=", "\t", "\r\n",
            "<<EOF", "<<-", "EOF", "\nEOF\n", "'", "\"", "$", "${", "}", ":-", "=", "--", "--from=",
            "--mount=", "--chmod=", "type=cache", ",", "[", "]", "[\"", "\"]", "\u{feff}", "é", "\0",
            "\u{2028}", "//", "{\"", "%", "--interval=1s",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn inside(source: &Source, span: Span) -> bool {
    let text = source.text.as_str();
    span.start <= span.end
        && span.end <= text.len()
        && text.is_char_boundary(span.start)
        && text.is_char_boundary(span.end)
}

fn check(source: &Source) -> Parsed {
    let parsed = parse(source);
    for diagnostic in &parsed.diagnostics {
        assert!(inside(source, diagnostic.span), "{diagnostic:?}");
        render(source, diagnostic, true);
    }
    for stage in &parsed.dockerfile.stages {
        let spans = stage.body.iter().map(|statement| (statement.span, statement.keyword.span));
        for (span, keyword) in spans.chain([(stage.from.span, stage.from.keyword.span)]) {
            assert!(inside(source, span) && inside(source, keyword));
            assert!(span.start <= keyword.start && keyword.end <= span.end);
        }
    }
    parsed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn dockerfiles_are_survived(text in dockerfile()) {
        check(&Source::new("Dockerfile", text));
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        check(&Source::new("Dockerfile", text));
    }

    #[test]
    fn any_bytes_are_survived(bytes in any::<Vec<u8>>()) {
        if let Ok(source) = Source::from_bytes("Dockerfile", bytes) {
            check(&source);
        }
    }

    #[test]
    fn triggers_and_changes_are_survived(text in dockerfile()) {
        let source = Source::new("ONBUILD", text);
        if let Err(diagnostic) = parse_onbuild_trigger(&source) {
            prop_assert!(inside(&source, diagnostic.span));
        }
        for diagnostic in parse_change(&source).err().into_iter().flatten() {
            prop_assert!(inside(&source, diagnostic.span));
        }
    }

    /// No byte of the file is read twice, and none is lost but comments, blanks, the ends of
    /// here-documents and the escapes that continue lines.
    #[test]
    fn logical_lines_hold_the_text(text in dockerfile()) {
        let source = Source::new("Dockerfile", text);
        let (directives, _) = Directives::parse(&source);
        let mut at = 0;
        let mut between = String::new();
        let mut ends = Vec::new();
        for line in LogicalLines::new(&source, &directives, |_| true).flatten() {
            prop_assert!(at <= line.span.start);
            between += &source.text[at..line.span.start];
            let joined: String = line.text.split_whitespace().collect();
            let stood = source.slice(line.span);
            // Every character of the line stands in its place, in order.
            let mut chars = stood.chars();
            prop_assert!(joined.chars().all(|c| chars.any(|stood| stood == c)), "{joined} {stood}");
            at = line.span.end;
            for heredoc in line.heredocs {
                between += &source.text[at..heredoc.span.start];
                prop_assert_eq!(source.slice(heredoc.span), &heredoc.content);
                at = heredoc.span.end;
                ends.push(heredoc.name);
            }
        }
        let escape = directives.escape.as_char();
        for lost in between.split('\n') {
            let rest = lost.trim_matches(|c: char| c.is_whitespace() || c == escape || c == '\u{feff}');
            let end = ends.iter().any(|end| lost.trim_end_matches('\r').trim_start_matches('\t') == end);
            prop_assert!(rest.is_empty() || rest.starts_with('#') || end, "{lost:?} is lost");
        }
    }

    #[test]
    fn words_are_survived(
        word in "[$]?(\\{?[a#%/:?+*-]|[\\}'\"\\\\ `]|x){0,40}",
        value in "\\PC{0,20}",
    ) {
        for mode in [Mode::Word, Mode::Heredoc, Mode::Display] {
            let env = |name: &str| (name != "x").then(|| value.clone());
            if let Err(error) = expand(&word, &env, Escape::Backslash, mode) {
                prop_assert!(error.at <= word.len() && word.is_char_boundary(error.at));
            }
        }
    }

    /// What holds no `$`, quote or escape stays as it is.
    #[test]
    fn plain_words_expand_into_themselves(word in "[^$'\"\\\\]{0,40}") {
        let expansion = expand(&word, &|_| None, Escape::Backslash, Mode::Word).expect("plain");
        prop_assert_eq!(&expansion.text, &word);
        let words: Vec<&str> = word.split_whitespace().collect();
        prop_assert_eq!(expansion.words, words);
    }

    /// A word in single quotes is itself, whatever it holds.
    #[test]
    fn single_quotes_protect(word in "[^']{0,40}") {
        let quoted = format!("'{word}'");
        let expansion = expand(&quoted, &|_| None, Escape::Backslash, Mode::Word).expect("quoted");
        prop_assert_eq!(expansion.text, word);
    }

    #[test]
    fn values_of_flags_are_survived(text in "\\PC{0,20}|[0-9a-zA-Z.:/+=,-]{0,20}") {
        let _ = Chmod::parse(&text).map(|chmod| chmod.apply(0o644, true));
        let _ = parse_duration(&text);
        let _ = parse_port(&text);
        let _ = parse_signal(&text);
        let _ = parse_size(&text);
    }

    #[test]
    fn patterns_are_survived(pattern in "[a*?/\\[\\]^\\\\!.-]{0,20}", path in "[a/.-]{0,20}") {
        let _ = Glob::parse(&pattern).map(|glob| glob.matches(&path));
        let _ = Ignore::parse(&pattern).map(|ignore| ignore.matches(&path));
    }

    /// A pattern without wildcards matches exactly itself.
    #[test]
    fn plain_patterns_match_themselves(pattern in "[a-c/]{0,10}", path in "[a-c/]{0,10}") {
        let glob = Glob::parse(&pattern).expect("a plain pattern");
        prop_assert_eq!(glob.matches(&path), pattern == path);
    }

    /// A walk from the root skips nothing that is kept.
    #[test]
    fn walks_skip_only_what_is_left_out(
        patterns in prop::collection::vec("!?(a|b|\\*|\\*\\*|a\\*)(/(a|b|\\*|\\*\\*)){0,3}", 1..5),
        path in "[ab](/[ab]){0,4}",
    ) {
        let ignore = Ignore::parse(&patterns.join("\n")).expect("patterns");
        let ends = path.match_indices('/').map(|(at, _)| at);
        let skipped = ends.map(|end| &path[..end])
            .any(|dir| ignore.matches(dir) && !ignore.may_reinclude_below(dir));
        prop_assert!(!skipped || ignore.matches(&path), "{:?} {}", patterns, path);
    }
}

/// Files that repeat one thing are read in a time that grows with their length only: anything
/// more would take hours here.
#[test]
fn large_files_are_read() {
    let size = 1 << 19;
    let times = |text: &str| text.repeat(size / text.len());
    let cases = [
        format!("FROM scratch\n{}", times("RUN true\n")),
        format!("FROM scratch\nRUN {}", times("a")),
        format!("FROM scratch\nRUN {}", times("a \\\n")),
        format!("FROM scratch\nRUN a \\\n{}", times("\n")),
        format!("FROM scratch\nENV {}", times("a=b ")),
        format!("FROM scratch\nRUN <<EOF\n{}\nEOF\n", times("line\n")),
        format!("FROM scratch\nCOPY {}", times("<<a ")),
        format!("FROM scratch\nCOPY {}/x/\n{}", "<<a ".repeat(size / 8), "a\n".repeat(size / 8)),
        format!("FROM scratch\n{}", "RNU true\n".repeat(size / 64)),
        format!("FROM scratch\nRUN [{}\"\"]", times("\"a\",")),
        format!("FROM scratch\nRUN {}", times("[")),
        format!("FROM scratch\nRUN {}", times("--mount=type=cache ")),
        times("# comment\n"),
        times("\n"),
        times("FROM a AS b\n"),
        format!("FROM scratch\nONBUILD {}", times("ONBUILD ")),
    ];
    for text in cases {
        let source = Source::new("Dockerfile", text);
        let parsed = parse(&source);
        if let Some(diagnostic) = parsed.diagnostics.last() {
            render(&source, diagnostic, false);
        }
    }
}
