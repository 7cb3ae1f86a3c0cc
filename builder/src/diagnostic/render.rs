//! A diagnostic as text for people.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Footer, Severity};
use crate::syntax::{Source, Span};

/// Lines shown before the one that is meant.
const CONTEXT: usize = 2;

/// Lines longer than this are cut around what is meant, in bytes.
const LONGEST: usize = 400;

/// Renders `diagnostic` with its place in `source`: the file's name and line, the line itself and
/// a caret under what is meant; with colours if `color`. The text has no line break at its end.
pub fn render(source: &Source, diagnostic: &Diagnostic, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut title = level.primary_title(&diagnostic.message);
    if let Some(rule) = diagnostic.rule {
        title = title.id(rule);
    }
    let mut group = Group::with_title(title);
    let excerpt = Excerpt::of(source, diagnostic.span);
    if !excerpt.text.is_empty() {
        let range = excerpt.span.start..excerpt.span.end;
        let label = diagnostic.label.as_deref();
        group = group.element(
            Snippet::source(excerpt.text)
                .path(source.name_at(diagnostic.span.start))
                .line_start(excerpt.line)
                .fold(false)
                .annotation(AnnotationKind::Primary.span(range).label(label)),
        );
    }
    for footer in &diagnostic.footers {
        group = group.element(match footer {
            Footer::Note(note) => Level::NOTE.message(note),
            Footer::Help(help) => Level::HELP.message(help),
        });
    }
    renderer.render(&[group])
}

/// The part of a source around a span, so that the cost of rendering does not grow with the file.
struct Excerpt<'s> {
    text: &'s str,
    /// The number of its first line.
    line: usize,
    /// The span in it, on one line.
    span: Span,
}

impl<'s> Excerpt<'s> {
    fn of(source: &'s Source, span: Span) -> Self {
        let text = source.text.as_str();
        let start = text.floor_char_boundary(span.start);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line_end = start + text[start..line_end].trim_end_matches('\r').len();
        let end = text.floor_char_boundary(span.end).clamp(start, line_end);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        if line_end - line_start > LONGEST {
            return Self::cut(source, Span::new(start, end), Span::new(line_start, line_end));
        }
        // A blank line is shown only if its line break is.
        let blank = usize::from(line_end == line_start && text[line_end..].starts_with('\n'));
        let mut from = line_start;
        for _ in 0..CONTEXT {
            if from <= source.start_of_part(start) {
                break;
            }
            let before = text[..from].strip_suffix('\n');
            let Some(before) = before else { break };
            let previous = before.rfind('\n').map_or(0, |newline| newline + 1);
            if before.len() - previous > LONGEST {
                break;
            }
            from = previous;
        }
        let line = source.position(from).line;
        Self {
            text: &text[from..line_end + blank],
            line,
            span: Span::new(start - from, end - from),
        }
    }

    /// The middle of a line that is too long to show.
    fn cut(source: &'s Source, span: Span, line: Span) -> Self {
        let text = source.text.as_str();
        let from = text.ceil_char_boundary(span.start.saturating_sub(LONGEST / 2)).max(line.start);
        let to = text.floor_char_boundary(from + LONGEST).min(line.end).max(span.start);
        let end = span.end.min(to);
        Self {
            text: &text[from..to],
            line: source.position(from).line,
            span: Span::new(span.start - from, end - from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_with_a_caret() {
        let source = Source::new("Dockerfile", "FROM scratch\nRUNN true\n");
        let diagnostic = Diagnostic::error(Span::new(13, 17), "unknown instruction `RUNN`")
            .label("did you mean RUN?")
            .help("see the reference");
        assert_eq!(
            render(&source, &diagnostic, false),
            "error: unknown instruction `RUNN`
 --> Dockerfile:2:1
  |
1 | FROM scratch
2 | RUNN true
  | ^^^^ did you mean RUN?
  |
  = help: see the reference"
        );
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let source = Source::new("Dockerfile", format!("FROM {}", "é".repeat(1_000_000)));
        let diagnostic = Diagnostic::error(Span::new(500_001, 500_002), "wrong");
        assert!(render(&source, &diagnostic, false).len() < 4_000);
    }

    #[test]
    fn spans_outside_of_the_text_are_survived() {
        let source = Source::new("Dockerfile", "");
        let diagnostic = Diagnostic::error(Span::new(5, 9), "wrong");
        assert_eq!(render(&source, &diagnostic, false), "error: wrong");
    }
}
