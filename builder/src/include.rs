//! `INCLUDE path`: files of the context in the place of lines of a Dockerfile.
//!
//! The text is put together before anything else reads it, so that all the rest sees one file; the
//! [`Source`] knows which part of it stood where.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use layerfs::Root;

use crate::diagnostic::Diagnostic;
use crate::instruction::takes_heredocs;
use crate::named_context::ContextDirectory;
use crate::stage::MOST_ERRORS;
use crate::syntax::{Directives, LogicalLine, LogicalLines, Source, Span};

/// The instruction's name.
const KEYWORD: &str = "INCLUDE";

/// The most files that include each other.
const MAX_DEPTH: usize = 16;

/// The longest text that may come of it, in bytes.
const MAX_LENGTH: usize = 16 << 20;

/// The most files that are put in.
const MAX_FILES: usize = 1000;

/// Puts the files in that the Dockerfile includes, and those that these include. Paths are those of
/// the context, whatever file they stand in; what the ignore file leaves out of the context can be
/// included. Beside the text stands all that is wrong with its includes.
pub fn include(source: Source, context: Option<&ContextDirectory>) -> (Source, Vec<Diagnostic>) {
    // Nearly no file has any.
    let has_any = source.text.as_bytes().windows(KEYWORD.len());
    if !has_any.into_iter().any(|word| word.eq_ignore_ascii_case(KEYWORD.as_bytes())) {
        return (source, Vec::new());
    }
    let (directives, _) = Directives::parse(&source);
    let root = context.map(|context| Root::open(&context.path));
    let mut joiner = Joiner {
        root,
        directives: Directives { end: 0, ..directives.clone() },
        joined: Source::new(source.name.clone(), ""),
        open: Vec::new(),
        files: 0,
        errors: Vec::new(),
    };
    joiner.add(&source, &directives);
    (joiner.joined, joiner.errors)
}

struct Joiner {
    /// The context, if there is one.
    root: Option<layerfs::Result<Root>>,
    /// How included files are read: as the file that includes them.
    directives: Directives,
    joined: Source,
    /// The files that are being put in, each included by the one before.
    open: Vec<PathBuf>,
    files: usize,
    errors: Vec<Diagnostic>,
}

impl Joiner {
    /// Adds a file, with what it includes.
    fn add(&mut self, source: &Source, directives: &Directives) {
        let mut copied = 0;
        for line in LogicalLines::new(source, directives, takes_heredocs) {
            // What cannot be read as a line is told when all of it is parsed.
            let Ok(line) = line else { continue };
            let Some(path) = included(&line) else { continue };
            self.joined.append(source, Span::new(copied, line.span.start));
            copied = line.span.end;
            if let Err(error) = self.put_in(path) {
                // The line stays, for the error to point at.
                let start = self.joined.text.len();
                self.joined.append(source, line.span);
                let span = Span::new(start, self.joined.text.len());
                self.errors.push(Diagnostic { span, ..error });
            }
            if self.errors.len() >= MOST_ERRORS {
                break;
            }
        }
        self.joined.append(source, Span::new(copied, source.text.len()));
    }

    /// Adds the file at `path` of the context. An error's place is not known here.
    fn put_in(&mut self, path: &str) -> Result<(), Diagnostic> {
        let error = |message: String| Diagnostic::error(Span::default(), message);
        let clean = clean(path).map_err(error)?;
        if self.open.contains(&clean) {
            let chain = self.open.iter().map(|path| path.display().to_string());
            let chain = chain.chain([path.to_owned()]).collect::<Vec<_>>().join(", ");
            return Err(error(format!("{path} includes itself")).note(format!("by way of {chain}")));
        }
        self.files += 1;
        if self.open.len() >= MAX_DEPTH {
            return Err(error(format!("more than {MAX_DEPTH} files include each other")));
        }
        if self.files > MAX_FILES {
            return Err(error(format!("more than {MAX_FILES} files are included")));
        }
        let source = self.read(path, &clean).map_err(error)?;
        self.open.push(clean);
        let directives = self.directives.clone();
        self.add(&source, &directives);
        self.open.pop();
        Ok(())
    }

    fn read(&self, path: &str, clean: &Path) -> Result<Source, String> {
        let root = match &self.root {
            Some(Ok(root)) => root,
            Some(Err(e)) => return Err(format!("the build context cannot be read: {e}")),
            None => return Err(format!("there is no build context to include {path} from")),
        };
        let room = MAX_LENGTH.saturating_sub(self.joined.text.len());
        let file = root.open_file(clean).map_err(|e| match e.io_kind() {
            Some(std::io::ErrorKind::NotFound) => format!("{path} is not in the build context"),
            _ => format!("cannot include {path}: {e}"),
        })?;
        let mut bytes = Vec::new();
        file.take(room as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| format!("cannot include {path}: {e}"))?;
        if bytes.len() > room {
            return Err(format!("with {path} the file is longer than {} MiB", MAX_LENGTH >> 20));
        }
        let mut source = Source::from_bytes(path, bytes).map_err(|e| e.to_string())?;
        if let Some(text) = source.text.strip_prefix('\u{feff}') {
            source.text = text.to_owned();
        }
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            source.text.push('\n');
        }
        Ok(source)
    }
}

/// The path that a line includes, if it is such a line.
fn included(line: &LogicalLine) -> Option<&str> {
    let text = line.text.as_str();
    let (keyword, rest) = text.split_at_checked(KEYWORD.len())?;
    let separated = rest.is_empty() || rest.starts_with([' ', '\t']);
    (keyword.eq_ignore_ascii_case(KEYWORD) && separated).then(|| rest.trim())
}

/// A path of the context, as it is told from others.
fn clean(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        return Err("INCLUDE requires the path of a file in the build context".into());
    }
    if path.contains(char::is_whitespace) {
        return Err("INCLUDE takes exactly one path, without blanks".into());
    }
    if path.starts_with("--") {
        return Err(format!("INCLUDE has no flags, and {path} looks like one"));
    }
    if path.contains('$') {
        return Err("INCLUDE takes no variables: it is read before anything is expanded".into());
    }
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir if !clean.pop() => {
                return Err(format!("{path} leaves the build context"));
            }
            _ => {}
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;

    /// What becomes of `Dockerfile` among these files of a context, and the errors as shown.
    fn joined(dockerfile: &str, files: &[(&str, &str)]) -> (Source, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let context = ContextDirectory::local(dir.path().to_owned(), String::new());
        let (source, errors) = include(Source::new("Dockerfile", dockerfile), Some(&context));
        let shown = errors.iter().map(|error| render(&source, error, false)).collect();
        (source, shown)
    }

    #[test]
    fn files_take_the_place_of_lines() {
        let (source, errors) = joined(
            "FROM a\nInclude  base.inc\nRUN b\n",
            &[("base.inc", "ENV A=1\nINCLUDE deep"), ("deep", "ENV B=2")],
        );
        assert_eq!(errors, [""; 0]);
        let kept: Vec<_> = source.text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(kept, ["FROM a", "ENV A=1", "ENV B=2", "RUN b"]);
        for (text, name, line) in [
            ("FROM", "Dockerfile", 1),
            ("A=1", "base.inc", 1),
            ("B=2", "deep", 1),
            ("RUN", "Dockerfile", 3),
        ] {
            let at = source.text.find(text).unwrap();
            assert_eq!((source.name_at(at), source.position(at).line), (name, line), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        let text =
            "FROM a\nRUN <<E\nINCLUDE x\nE\nRUN a \\\n INCLUDE x\n# INCLUDE x\nONBUILD INCLUDE x\n";
        let (source, errors) = joined(text, &[("x", "ENV A=1")]);
        assert_eq!((source.text.as_str(), errors.len()), (text, 0));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        let (_, errors) = joined("FROM a\nINCLUDE one\n", &[("one", "ENV A=1\nINCLUDE ./one\n")]);
        assert_eq!(
            errors,
            [
                "error: ./one includes itself\n --> one:2:1\n  |\n1 | ENV A=1\n2 | INCLUDE ./one\n  | \
              ^^^^^^^^^^^^^\n  |\n  = note: by way of one, ./one"
            ]
        );
        for (line, says) in [
            ("INCLUDE", "requires the path"),
            ("INCLUDE a b", "exactly one path"),
            ("INCLUDE --x", "no flags"),
            ("INCLUDE $A", "no variables"),
            ("INCLUDE ../a", "leaves the build context"),
            ("INCLUDE nowhere", "nowhere is not in the build context"),
            ("INCLUDE .", "cannot include"),
        ] {
            let (_, errors) = joined(&format!("FROM a\n{line}\n"), &[]);
            assert!(errors.len() == 1 && errors[0].contains(says), "{line}: {errors:?}");
        }
        let (_, errors) = include(Source::new("Dockerfile", "INCLUDE a"), None);
        assert!(errors[0].message.contains("no build context"));
    }

    #[test]
    fn files_that_multiply_come_to_an_end() {
        let names: Vec<String> = (0..15).map(|i| format!("f{i}")).collect();
        let texts: Vec<String> = (1..16).map(|i| format!("INCLUDE f{i}\nINCLUDE f{i}\n")).collect();
        let (names, texts) =
            ([names, vec!["f15".into()]].concat(), [texts, vec!["ENV A=1".into()]].concat());
        let files: Vec<_> =
            names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let (_, errors) = joined("INCLUDE f0\n", &files);
        assert!(errors.iter().any(|error| error.contains("more than 1000 files")), "{errors:?}");
    }
}
