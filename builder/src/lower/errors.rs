//! What is wrong with a file, all of it at once.

use super::lower;
use crate::diagnostic::Diagnostic;
use crate::error::BuildError;
use crate::images::{BaseImage, BaseImages};
use crate::instruction::Statement;
use crate::progress::Silent;
use crate::request::BuildRequest;
use crate::stage::{MOST_ERRORS, Parsed};

/// What was found to be wrong so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    wrong: Vec<Diagnostic>,
    /// The images that cannot be had, each once.
    images: Vec<BuildError>,
}

impl Errors {
    /// Notes what is wrong with a statement. Over an image that is not known, what is said of a
    /// statement with variables may be wrong.
    pub(super) fn note<I>(
        &mut self,
        error: BuildError,
        statement: &Statement<I>,
        is_blind: bool,
    ) -> Result<(), BuildError> {
        let has_variables = || {
            let documents = statement.heredocs.iter().map(|heredoc| heredoc.content.as_str());
            documents.chain([statement.text.as_str()]).any(|text| text.contains('$'))
        };
        match error {
            BuildError::Diagnostics(_) if is_blind && has_variables() => {}
            BuildError::Diagnostics(wrong) => {
                let room = MOST_ERRORS.saturating_sub(self.wrong.len());
                self.wrong.extend(wrong.into_iter().take(room));
            }
            image @ BuildError::Image { .. } => self.image(image),
            other => return Err(other),
        }
        Ok(())
    }

    /// Notes an image that cannot be had.
    pub(super) fn image(&mut self, error: BuildError) {
        let is_of = |name: &String| {
            let known =
                |e: &BuildError| matches!(e, BuildError::Image { name: n, .. } if n == name);
            self.images.iter().any(known)
        };
        if !matches!(&error, BuildError::Image { name, .. } if is_of(name)) {
            self.images.push(error);
        }
    }

    /// All of it as one error.
    pub(super) fn result(mut self) -> Result<(), BuildError> {
        if self.wrong.is_empty() && self.images.len() < 2 {
            return self.images.pop().map_or(Ok(()), Err);
        }
        self.wrong.extend(self.images.iter().filter_map(image_diagnostic));
        self.wrong.sort_by_key(|diagnostic| diagnostic.span.start);
        Err(BuildError::Diagnostics(self.wrong))
    }
}

fn image_diagnostic(error: &BuildError) -> Option<Diagnostic> {
    let BuildError::Image { span, .. } = error else { return None };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Some(Diagnostic::error(*span, message))
}

/// Images of which nothing is known.
struct Unknown;

impl BaseImages for Unknown {
    fn resolve(&self, name: &str, _: &oci::Platform, _: bool) -> oci::Result<BaseImage> {
        Err(oci::Error::ImageNotFound { name: name.to_owned() })
    }
}

/// What is wrong with a file that cannot be read as a whole, as far as that is certain: beside
/// what reading it said, what building it would say of statements without variables.
pub(crate) fn certain_errors(request: &BuildRequest, parsed: Parsed) -> Vec<Diagnostic> {
    let Parsed { dockerfile, mut diagnostics, has_all_stages } = parsed;
    if !has_all_stages {
        return diagnostics;
    }
    if let Err(BuildError::Diagnostics(wrong)) = lower(request, &dockerfile, &Unknown, &Silent) {
        let text = |diagnostic: &Diagnostic| request.dockerfile.line_of(diagnostic.span.start);
        let certain = wrong.into_iter().filter(|diagnostic| {
            let is_image = diagnostic.message.starts_with("cannot resolve image");
            !is_image && !text(diagnostic).contains('$')
        });
        let room = MOST_ERRORS.saturating_sub(diagnostics.len());
        diagnostics.extend(certain.take(room));
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    }
    diagnostics
}
