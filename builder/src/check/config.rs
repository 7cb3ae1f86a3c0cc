//! Which rules are run.

use crate::diagnostic::Diagnostic;
use crate::error::BuildError;
use crate::request::BuildRequest;
use crate::syntax::{Check, Comment, Directives, Skip, Span, Word};

use super::{BUILD_ARGUMENT, Rule};

/// The options of the whole file.
#[derive(Debug)]
pub(super) struct Config {
    skip: Skip,
    experimental: Skip,
    pub(super) is_error: bool,
}

impl Config {
    /// The build argument's options if it is given, else the directive's.
    ///
    /// # Errors
    /// If the build argument cannot be read.
    pub(super) fn of(
        request: &BuildRequest,
        directives: &Directives,
    ) -> Result<Config, BuildError> {
        let given = request.build_args.get(BUILD_ARGUMENT).map(|text| text.trim());
        let check = match given {
            Some("") => None,
            Some(text) => Some(read_argument(text)?),
            None => directives.check.clone(),
        };
        let none = || Skip::Rules(Vec::new());
        Ok(match check {
            Some(Check { skip, experimental, error, .. }) => {
                Config { skip, experimental, is_error: error }
            }
            None => Config { skip: none(), experimental: none(), is_error: false },
        })
    }

    /// Whether `rule` is run on an instruction below `comments`.
    pub(super) fn runs(&self, rule: &Rule, comments: &[Comment]) -> bool {
        let local = comments.iter().find_map(read_comment);
        let named = |choice: &Skip| match choice {
            Skip::All => true,
            Skip::Rules(names) => names.iter().any(|name| name == rule.name),
        };
        if rule.is_experimental {
            return named(&self.experimental)
                || local.is_some_and(|check| named(&check.experimental));
        }
        !named(&self.skip) && !local.is_some_and(|check| named(&check.skip))
    }
}

fn read_argument(text: &str) -> Result<Check, BuildError> {
    Check::parse(&Word::new(text, Span::new(0, 0))).map_err(|diagnostic| {
        let message = format!("the build argument {BUILD_ARGUMENT}: {}", diagnostic.message);
        BuildError::Diagnostics(vec![Diagnostic { message, ..diagnostic }])
    })
}

/// The options in `# check=…`; none if it is another comment, or one that cannot be read.
fn read_comment(comment: &Comment) -> Option<Check> {
    let (key, value) = comment.text.split_once('=')?;
    if !key.trim_end().eq_ignore_ascii_case("check") {
        return None;
    }
    let options = value.trim_start().split(' ').next()?;
    Check::parse(&Word::new(options, comment.span)).ok()
}
