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
    /// `--from`: a stage, its number, a named context or an image; expands.
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
        check_chmod(chmod.as_ref())?;
        let (sources, destination) = parse_sources(line)?;
        Ok(Self { sources, destination, from, chown, chmod, link, parents, excludes })
    }
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
    let mut sources = match json_strings(line.rest)? {
        JsonArray::Strings(words) => json_sources(words)?,
        JsonArray::NotJson => plain_sources(line),
    };
    let keyword = &line.keyword.text;
    let Some(destination) = sources.pop().filter(|_| !sources.is_empty()) else {
        let span = line.keyword.span.to(line.rest.span());
        let message = format!("{keyword} needs a source and a destination");
        return Err(Diagnostic::error(span, message));
    };
    let destination = match destination {
        CopySource::Path(word) if !Heredoc::begins(&word.text) => word,
        CopySource::Path(word) | CopySource::Heredoc(Heredoc { word, .. }) => {
            let message = format!("a here-document cannot be the destination of {keyword}");
            return Err(Diagnostic::error(word.span, message));
        }
    };
    Ok((sources, destination))
}

/// Words apart at blanks; but those that make up the word of a here-document, which may hold
/// quoted blanks, are one. Both lists are in the order of the text.
fn plain_sources(line: &Line<'_>) -> Vec<CopySource> {
    let mut sources = Vec::new();
    let mut heredocs = line.heredocs.iter().peekable();
    for word in blank_separated(line.rest) {
        while heredocs.next_if(|doc| doc.word.span.end <= word.span.start).is_some() {}
        match heredocs.peek() {
            Some(doc) if doc.word.span.start == word.span.start => {
                sources.push(CopySource::Heredoc((*doc).clone()));
            }
            Some(doc) if doc.word.span.start < word.span.start => {}
            _ => sources.push(CopySource::Path(word)),
        }
    }
    sources
}

fn json_sources(words: Vec<Word>) -> Result<Vec<CopySource>, Diagnostic> {
    match words.iter().find(|word| Heredoc::begins(&word.text)) {
        Some(word) => {
            let message = "a here-document cannot stand in a JSON array";
            Err(Diagnostic::error(word.span, message))
        }
        None => Ok(words.into_iter().map(CopySource::Path).collect()),
    }
}
