//! `COPY`, and the sources and destination that it shares with `ADD`.

use super::Directive;
use super::flag::{Flag, Flags};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Heredoc, JsonArray, Line, Word, blank_separated, json_strings};

/// `COPY [flags] source… destination`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is copied, at least one.
    pub sources: Vec<CopySource>,
    /// Where to; expands.
    pub destination: Word,
    /// `--from`: a stage, its number, a named context or an image. Does not expand.
    pub from: Option<Flag<Word>>,
    /// `--chown=user[:group]`; expands.
    pub chown: Option<Flag<Word>>,
    /// `--chmod`; expands, then [`Chmod::parse`](super::Chmod::parse) reads it.
    pub chmod: Option<Flag<Word>>,
    /// `--link`.
    pub link: Option<Flag<bool>>,
    /// `--parents`.
    pub parents: Option<Flag<bool>>,
    /// `--exclude` patterns; they do not expand.
    pub excludes: Vec<Flag<Word>>,
}

/// A source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A path, a pattern, or for `ADD` a URL; expands.
    Path(Word),
    /// A here-document: a file named [`Heredoc::name`].
    Heredoc(Heredoc),
}

impl Directive for Copy {
    const KEYWORD: &'static str = "COPY";
    const HEREDOCS: bool = true;

    fn parse(line: &Line<'_>) -> Result<Self, Diagnostic> {
        let mut flags = Flags::of(line);
        let from = flags.word("from")?;
        let chown = flags.word("chown")?;
        let chmod = flags.word("chmod")?;
        let link = flags.boolean("link")?;
        let parents = flags.boolean("parents")?;
        let excludes = flags.words("exclude")?;
        flags.finish()?;
        if let Some(from) = &from {
            check_from(&from.value)?;
        }
        check_chmod(chmod.as_ref())?;
        let (sources, destination) = parse_sources(line)?;
        Ok(Self { sources, destination, from, chown, chmod, link, parents, excludes })
    }
}

/// Refuses a `--from` that expansion would change.
fn check_from(from: &Word) -> Result<(), Diagnostic> {
    if !from.text.contains('$') {
        return Ok(());
    }
    Err(Diagnostic::error(from.span, "variables do not expand in `--from`")
        .help("name a stage with `FROM $IMAGE AS name`, which expands global arguments"))
}

/// Refuses a constant mode that is none.
pub(super) fn check_chmod(chmod: Option<&Flag<Word>>) -> Result<(), Diagnostic> {
    match chmod.map(|flag| &flag.value) {
        Some(mode) if !mode.text.contains(['$', '\\', '`', '"', '\'']) => {
            super::Chmod::parse(&mode.text)
                .map(|_| ())
                .map_err(|error| Diagnostic::error(mode.span, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Reads the arguments: words or a JSON array, the last of which is the destination.
pub(super) fn parse_sources(line: &Line<'_>) -> Result<(Vec<CopySource>, Word), Diagnostic> {
    let (mut words, json) = match json_strings(line.rest)? {
        JsonArray::Strings(words) => (words, true),
        JsonArray::NotJson => (source_words(line), false),
    };
    let keyword = &line.keyword.text;
    let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
        let span = line.keyword.span.to(line.rest.span());
        let message = format!("{keyword} needs a source and a destination");
        return Err(Diagnostic::error(span, message));
    };
    if Heredoc::begins(&destination.text) {
        let message = format!("a here-document cannot be the destination of {keyword}");
        return Err(Diagnostic::error(destination.span, message));
    }
    let sources = words.into_iter().map(|word| source(line, word, json));
    Ok((sources.collect::<Result<_, _>>()?, destination))
}

/// Words apart at blanks; but a here-document's word may hold quoted blanks.
fn source_words(line: &Line<'_>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for word in blank_separated(line.rest) {
        let inside = line
            .heredocs
            .iter()
            .any(|doc| doc.word.span.start < word.span.start && word.span.end <= doc.word.span.end);
        if inside {
            continue;
        }
        match line.heredocs.iter().find(|doc| doc.word.span.start == word.span.start) {
            Some(doc) => words.push(doc.word.clone()),
            None => words.push(word),
        }
    }
    words
}

fn source(line: &Line<'_>, word: Word, json: bool) -> Result<CopySource, Diagnostic> {
    if let Some(doc) = line.heredocs.iter().find(|doc| doc.word.span == word.span) {
        return Ok(CopySource::Heredoc(doc.clone()));
    }
    if json && Heredoc::begins(&word.text) {
        let message = "a here-document cannot stand in a JSON array";
        return Err(Diagnostic::error(word.span, message));
    }
    Ok(CopySource::Path(word))
}
