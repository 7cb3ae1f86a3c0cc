//! How a command ends that does not succeed.

use std::error::Error;
use std::fmt;

/// A failure as the command line reports it: what happened, what might help, the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The whole chain of causes, outermost first.
    pub(crate) message: String,
    /// What to try.
    pub(crate) hint: Option<String>,
    /// The exit status.
    pub(crate) code: u8,
}

/// The result of a command: its exit status.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure in words of the command line's own.
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hint: None, code: 1 }
    }

    /// An end that needs no words.
    pub(crate) fn silent(code: u8) -> Failure {
        Failure::new("").code(code)
    }

    /// The same with what to try.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another exit status.
    pub(crate) fn code(mut self, code: u8) -> Failure {
        self.code = code;
        self
    }
}

/// Gives a failure its context: `.doing(|| "pull busybox")`.
pub(crate) trait Doing<T> {
    /// Puts what was being done before the error.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut failure: Failure = error.into();
            failure.message = format!("{}: {}", what(), failure.message);
            failure
        })
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { hint: hint_for(&error), message: chain(&error), code: 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The causes in one line, each once: many libraries repeat their cause in their own text.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// What might help against an error, or against one of its causes.
fn hint_for(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<oci::Error>() {
            match error {
                oci::Error::PlatformNotFound { .. } => {
                    return Some("choose one of them with `--platform`".into());
                }
                oci::Error::ImageNotFound { .. } => {
                    return Some(
                        "`tierce images` lists what is here, `tierce pull` gets more".into(),
                    );
                }
                _ => {}
            }
        }
        let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let store = error.downcast_ref::<layerfs::Error>();
        if io == Some(std::io::ErrorKind::StorageFull)
            || store.is_some_and(layerfs::Error::is_storage_full)
        {
            return Some("`tierce prune --all` makes room".into());
        }
        cause = error.source();
    }
    None
}
