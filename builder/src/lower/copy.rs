//! COPY and ADD.

use super::meaning::Meaning;
use super::named::SourceOf;
use super::remote::{self, Kind, Wishes};
use super::stage::Lowering;
use super::{Lowerer, Scope, one};
use crate::diagnostic::Diagnostic;
use crate::dockerignore::Ignore;
use crate::error::BuildError;
use crate::graph::Vertex;
use crate::instruction::{Chmod, CopySource, Flag, Instruction, Statement};
use crate::op::{self, ContextId, Includes, Op, SourceTree, Take};
use crate::paths::{clean_absolute, resolve_keeping_slash};
use crate::progress::StepId;
use crate::remote::redacted;
use crate::syntax::{Span, Word};

/// What COPY and ADD share.
struct Transfer<'a> {
    keyword: &'static str,
    sources: &'a [CopySource],
    destination: &'a Word,
    from: Option<&'a Flag<Word>>,
    chown: Option<&'a Flag<Word>>,
    chmod: Option<&'a Flag<Word>>,
    excludes: &'a [Flag<Word>],
    link: bool,
    parents: bool,
    /// Whether archives of the context are unpacked, and those that are fetched.
    unpack: Unpack,
    checksum: Option<&'a Flag<Word>>,
    keep_git_dir: bool,
    strip: Option<&'a Flag<Word>>,
}

/// Which archives a step unpacks.
#[derive(Debug, Clone, Copy)]
struct Unpack {
    local: bool,
    remote: bool,
}

impl<'a> Transfer<'a> {
    fn of(instruction: &'a Instruction) -> Option<Transfer<'a>> {
        match instruction {
            Instruction::Copy(copy) => Some(Transfer {
                keyword: "COPY",
                sources: &copy.sources,
                destination: &copy.destination,
                from: copy.from.as_ref(),
                chown: copy.chown.as_ref(),
                chmod: copy.chmod.as_ref(),
                excludes: &copy.excludes,
                link: copy.link.is_some_and(|flag| flag.value),
                parents: copy.parents.is_some_and(|flag| flag.value),
                unpack: Unpack { local: false, remote: false },
                checksum: None,
                keep_git_dir: false,
                strip: None,
            }),
            Instruction::Add(add) => Some(Transfer {
                keyword: "ADD",
                sources: &add.sources,
                destination: &add.destination,
                from: None,
                chown: add.chown.as_ref(),
                chmod: add.chmod.as_ref(),
                excludes: &add.excludes,
                link: add.link.is_some_and(|flag| flag.value),
                parents: false,
                unpack: match add.unpack {
                    None => Unpack { local: true, remote: false },
                    Some(flag) => Unpack { local: flag.value, remote: flag.value },
                },
                checksum: add.checksum.as_ref(),
                keep_git_dir: add.keep_git_dir.is_some_and(|flag| flag.value),
                strip: add.strip.as_ref(),
            }),
            _ => None,
        }
    }
}

impl Lowerer<'_> {
    pub(super) fn copy(
        &mut self,
        lowering: &mut Lowering,
        statement: &Statement,
        triggered: bool,
    ) -> Result<(), BuildError> {
        let Some(transfer) = Transfer::of(&statement.instruction) else { return Ok(()) };
        let (tree, input) = match transfer.from {
            None => (SourceTree::Context(ContextId::Main), None),
            Some(from) => match self.copied_from(lowering, from)? {
                SourceOf::Context(id) => (SourceTree::Context(id), None),
                SourceOf::Step(step) => (SourceTree::Input(1), Some(step)),
            },
        };
        // The words of a trigger stand in another text.
        let trigger = triggered.then_some(statement.span);
        let draft = &lowering.state.draft;
        let scope = Scope { env: &draft.env, escape: self.escape };
        let flag = |flag: Option<&Flag<Word>>| flag.map(|flag| scope.word(&flag.value)).transpose();
        let (op, fetches, text) = (|| {
            // An empty flag is none.
            let owner = flag(transfer.chown)?.filter(|owner| !owner.is_empty());
            let chmod = flag(transfer.chmod)?.filter(|chmod| !chmod.is_empty());
            let Sources { sources, fetches, mut words } =
                sources(&transfer, &scope, tree, trigger)?;
            let destination = scope.word(transfer.destination)?;
            let mut text = transfer.keyword.to_owned();
            if transfer.parents {
                text.push_str(" --parents");
            }
            if let Some(owner) = &owner {
                text.push_str(&format!(" --chown={owner}"));
            }
            if let Some(chmod) = &chmod {
                text.push_str(&format!(" --chmod={chmod}"));
            }
            words.push(destination.clone());
            text.push_str(&format!(" {} # buildkit", words.join(" ")));
            let op = op::Copy {
                sources,
                destination: absolute(&draft.config.config.working_dir, &destination),
                excludes: excludes(transfer.excludes)?,
                owner,
                chmod: parse_chmod(chmod.as_deref(), transfer.chmod)?,
                strip: strip(&transfer, flag(transfer.strip)?.as_deref())?,
                times: lowering.state.times,
            };
            Ok::<_, Diagnostic>((op, fetches, text))
        })()
        .map_err(one)?;
        let fetches =
            fetches.into_iter().map(|fetch| self.fetch(statement.span, &statement.text, fetch));
        let inputs = input.into_iter().chain(fetches.collect::<Vec<_>>()).collect();
        if transfer.link && needs_nothing_below(&op) {
            self.linked_step(lowering, statement, Op::Copy(op), inputs, triggered);
        } else {
            self.step(lowering, statement, Op::Copy(op), inputs, triggered);
        }
        self.history(lowering, text, false);
        Ok(())
    }

    /// The step that fetches something; the same for all who want the same.
    pub(super) fn fetch(&mut self, span: Span, text: &str, op: op::Remote) -> StepId {
        if let Some(step) = self.fetches.get(&op) {
            return *step;
        }
        let name = match &op {
            op::Remote::File(file) => redacted(&file.url),
            op::Remote::Git(source) => redacted(&source.url),
        };
        let step = self.graph.add(Vertex {
            op: Op::Remote(op.clone()),
            inputs: Vec::new(),
            span,
            text: text.to_owned(),
            name,
        });
        self.fetches.insert(op, step);
        step
    }

    /// The step whose tree `--from` means.
    fn copied_from(
        &mut self,
        lowering: &Lowering,
        from: &Flag<Word>,
    ) -> Result<SourceOf, BuildError> {
        let scope = Scope { env: &lowering.state.draft.env, escape: self.escape };
        let name = &scope.word(&from.value).map_err(one)?;
        if name.is_empty() {
            let message = format!("`--from` names nothing: `{}` is empty", from.value.text);
            return Err(one(Diagnostic::error(from.value.span, message)));
        }
        match self.meanings().copy_source(name, lowering.index) {
            Meaning::Stage(index) => {
                self.stage(index)?;
                let state = self.stages[index].as_ref().expect("a stage is there once lowered");
                Ok(SourceOf::Step(state.tip))
            }
            Meaning::Files(index) => Ok(self.named_tree(index, from.value.span)),
            Meaning::TooLate => {
                let message =
                    format!("stage `{name}` is defined after the stage that copies from it");
                Err(one(Diagnostic::error(from.value.span, message)))
            }
            Meaning::Image(image) if image.parse::<usize>().is_ok() => {
                let message = format!("invalid stage index {name}");
                Err(one(Diagnostic::error(from.value.span, message)))
            }
            Meaning::Image(image) => self.copied_image(&image, from.value.span).map(SourceOf::Step),
        }
    }
}

/// What the words of a copy name.
struct Sources {
    sources: Vec<op::CopySource>,
    /// What has to be fetched for them: the inputs of the step, from 1.
    fetches: Vec<op::Remote>,
    /// The words, as history shows them.
    words: Vec<String>,
}

/// The sources of a copy.
fn sources(
    transfer: &Transfer<'_>,
    scope: &Scope<'_>,
    tree: SourceTree,
    trigger: Option<Span>,
) -> Result<Sources, Diagnostic> {
    let mut sources = Vec::new();
    let mut fetches = Vec::new();
    let checksum = checksum(transfer, scope)?;
    let mut words = Vec::new();
    for source in transfer.sources {
        match source {
            CopySource::Path(word) => {
                let written = scope.word(word)?;
                // History is read by whoever has the image.
                words.push(Kind::of(&written).map_or(written.clone(), |_| redacted(&written)));
                let span = trigger.unwrap_or(word.span);
                if let Some(kind) = Kind::of(&written) {
                    let fetch = fetched(transfer, &written, kind, span, checksum.as_deref())?;
                    let unpack = transfer.unpack.remote;
                    let (take, pattern) = match &fetch {
                        op::Remote::File(file) => (Take::Itself, format!("/{}", file.name)),
                        op::Remote::Git(_) => (Take::Matches, "/".to_owned()),
                    };
                    fetches.push(fetch);
                    let tree = SourceTree::Input(fetches.len());
                    let source =
                        op::CopySource::Path { tree, take, pattern, unpack, written, span };
                    sources.push(source);
                    continue;
                }
                if let Some(flag) = transfer.checksum {
                    let message = "`--checksum` is for sources that are fetched";
                    return Err(Diagnostic::error(flag.span, message));
                }
                let (take, pattern) = match transfer.parents {
                    false => (Take::Matches, clean_absolute(&written)),
                    true => below(&written).map_err(|message| Diagnostic::error(span, message))?,
                };
                let unpack = transfer.unpack.local;
                sources.push(op::CopySource::Path { tree, take, pattern, unpack, written, span });
            }
            CopySource::Heredoc(heredoc) => {
                words.push(format!("<<{}", heredoc.name));
                let content = scope.heredoc(heredoc)?;
                let name = heredoc.name.clone();
                if matches!(name.as_str(), "." | "..") || name.contains('/') {
                    let message = format!("`{name}` cannot name a file");
                    return Err(Diagnostic::error(heredoc.word.span, message));
                }
                sources.push(op::CopySource::Inline { name, content });
            }
        }
    }
    // History lists paths before here-documents.
    let (documents, mut paths): (Vec<_>, Vec<_>) = words
        .into_iter()
        .zip(transfer.sources)
        .partition(|(_, source)| matches!(source, CopySource::Heredoc(_)));
    paths.extend(documents);
    let words = paths.into_iter().map(|(word, _)| word).collect();
    Ok(Sources { sources, fetches, words })
}

/// Whether `--link` can be heeded. Names of owners are those of the image below; and with
/// `--chmod` BuildKit copies as if there were no `--link`.
fn needs_nothing_below(op: &op::Copy) -> bool {
    let is_number = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit());
    op.chmod.is_none() && op.owner.as_ref().is_none_or(|owner| owner.split(':').all(is_number))
}

/// A source with `--parents`: the directory that paths are kept from, which ends at the first
/// `/./` and is the root without one, and what is wanted of it.
fn below(written: &str) -> Result<(Take, String), String> {
    let (pivot, path) = written.split_once("/./").unwrap_or(("/", written));
    let text = clean_absolute(path).trim_start_matches('/').to_owned();
    let patterns = match text.as_str() {
        "" => Ok(Ignore::nothing()),
        text => Ignore::from_patterns(["**", &format!("!{text}")]),
    };
    let patterns = patterns.map_err(|_| format!("invalid pattern `{written}`"))?;
    Ok((Take::Below(Includes { text, patterns }), clean_absolute(pivot)))
}

/// The patterns of `--exclude`, which do not expand.
fn excludes(flags: &[Flag<Word>]) -> Result<op::Excludes, Diagnostic> {
    let texts: Vec<String> = flags.iter().map(|flag| flag.value.text.clone()).collect();
    let patterns = Ignore::from_patterns(texts.iter().map(String::as_str)).map_err(|error| {
        let wrong = error.number().checked_sub(1).and_then(|index| flags.get(index));
        let span = wrong.map(|flag| flag.value.span).unwrap_or_default();
        Diagnostic::error(span, format!("`--exclude` {}", error.reason()))
    })?;
    Ok(op::Excludes { texts, patterns })
}

/// The value of `--checksum`, which is that of one source.
fn checksum(transfer: &Transfer<'_>, scope: &Scope<'_>) -> Result<Option<String>, Diagnostic> {
    let Some(flag) = transfer.checksum else { return Ok(None) };
    if transfer.sources.len() > 1 {
        let message = "`--checksum` can't be specified for multiple sources";
        return Err(Diagnostic::error(flag.span, message));
    }
    if let Some(CopySource::Heredoc(_)) = transfer.sources.first() {
        let message = "`--checksum` is for sources that are fetched";
        return Err(Diagnostic::error(flag.span, message));
    }
    Ok(Some(scope.word(&flag.value)?).filter(|checksum| !checksum.is_empty()))
}

/// What there is to fetch for a source that is no path.
fn fetched(
    transfer: &Transfer<'_>,
    written: &str,
    kind: Kind,
    span: Span,
    checksum: Option<&str>,
) -> Result<op::Remote, Diagnostic> {
    if transfer.keyword != "ADD" {
        let message = format!("a source of COPY cannot be {}", kind.name());
        return Err(Diagnostic::error(span, message).help("ADD fetches such sources"));
    }
    let wishes = Wishes { checksum, keep_git_dir: transfer.keep_git_dir };
    remote::parse(written, kind, &wishes).map_err(|message| Diagnostic::error(span, message))
}

/// The value of `--strip-components`, which is for archives.
fn strip(transfer: &Transfer<'_>, text: Option<&str>) -> Result<u32, Diagnostic> {
    let (Some(flag), Some(text)) = (transfer.strip, text) else { return Ok(0) };
    if !transfer.unpack.local && !transfer.unpack.remote {
        let message = "`--strip-components` is for archives, and `--unpack=false` unpacks none";
        return Err(Diagnostic::error(flag.span, message));
    }
    text.parse().map_err(|_| {
        let message = format!("`--strip-components` takes a number, not `{text}`");
        Diagnostic::error(flag.value.span, message)
    })
}

pub(super) fn parse_chmod(
    chmod: Option<&str>,
    flag: Option<&Flag<Word>>,
) -> Result<Option<Chmod>, Diagnostic> {
    let span = flag.map(|flag| flag.value.span).unwrap_or_default();
    chmod
        .map(|text| Chmod::parse(text).map_err(|e| Diagnostic::error(span, e.to_string())))
        .transpose()
}

/// A destination seen from the working directory. `.` and nothing mean the directory itself.
fn absolute(workdir: &str, destination: &str) -> String {
    let destination = if destination.is_empty() || destination == "." { "./" } else { destination };
    resolve_keeping_slash(workdir, destination)
}
